"""The readers' indexes of one folder while they are made: one shard after the other, then the folder's own files.

Takes shards with their members, and writes the indexes beside each shard and those of the whole folder. Each file
appears whole or not at all, and no file of another kind is replaced. The caller holds the folder's lock (see
stores/lock.py), so that two runs do not write the same indexes at once.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from parallel_sharder.errors import DestinationError, SourceError, unwritable
from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.dali import Dali
from parallel_sharder.indexes.energon import Energon
from parallel_sharder.indexes.member_places import ShardMembers, key_end
from parallel_sharder.indexes.openclip import OpenClip
from parallel_sharder.indexes.reader_index import ReaderIndex
from parallel_sharder.indexes.shard_sets import ShardSet
from parallel_sharder.indexes.timm import Timm
from parallel_sharder.indexes.wids import Wids
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.options import Reader

READERS: tuple[type[ReaderIndex], ...] = (Wids, Dali, OpenClip, Timm, Energon)
"""The index of each of options.INDEXES, in the order in which they are written."""


class FoundShard(NamedTuple):
    """The facts of one shard, and for each reader what `index_shard` of its index has returned."""

    shard: Shard
    by_reader: Mapping[Reader, Any] = {}


def indexes_of(readers: Collection[str]) -> list[type[ReaderIndex]]:
    """Return the classes of the indexes for these readers."""
    return [index for index in READERS if index.reader in readers]


def index_shard(shard: Shard, path: str, members: ShardMembers, readers: Collection[str]) -> FoundShard:
    """Write the indexes beside the `shard` at `path`, which has these members, and return what `FolderIndexes` adds.

    The shard's samples are counted here. Raises SourceError for a shard that a reader cannot take.
    """
    samples = sum(len(columns.keys) for columns in members.samples(key_end))
    try:
        by_reader = {index.reader: index.index_shard(path, members) for index in indexes_of(readers)}
    except ValueError as error:
        raise SourceError(f"{path} {error}. Leave that reader out, or put another shard in its place.") from error
    return FoundShard(shard._replace(samples=samples), by_reader)


def remove_partials(folder: str) -> None:
    """Remove the partial files of all readers' indexes, which killed or interrupted runs have left.

    The caller holds the folder's lock.
    """
    for index in READERS:
        index.remove_partials(folder)


def unwritten(folder: str, error: OSError | sqlite3.Error) -> DestinationError:
    """Return the error that says why the indexes in a folder cannot be written."""
    if isinstance(error, FileExistsError):
        return unwritable(error.filename, error)
    if isinstance(error, OSError):
        cause = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    else:
        cause = str(error)
    remedy = "Mend that, and type the same command again."
    return unwritable(f"the indexes in {os.path.abspath(folder)}", cause, remedy)


class FolderIndexes:
    """The indexes for `readers` of the shards of `sets`, all in one folder whose lock the caller holds.

    A context manager. The caller adds every shard, best in order, because a shard that comes early waits in memory.
    Then `write` writes the files of the whole folder; if the block ends before, those files have not changed. On
    entering it raises DestinationError if a file of another kind has the name of an index.
    """

    def __init__(self, folder: str, sets: Sequence[ShardSet], readers: Collection[str]) -> None:
        self._folder = folder
        self._sets = sets
        self._indexes = [index(folder, sets) for index in indexes_of(readers)]
        self._names = [name for each in sets for name in each.names]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._shards: dict[str, Shard] = {}
        self._context = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for index in self._indexes:
            index.refuse()
        remove_partials(self._folder)
        with contextlib.ExitStack() as context:
            for index in self._indexes:
                context.callback(index.close)
                index.begin()
            self._context = context.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()

    @property
    def samples(self) -> int:
        """The number of samples in the shards that were added."""
        return sum(shard.samples for shard in self._shards.values())

    def add(self, found: FoundShard) -> None:
        """Add a shard. Raises SourceError if a reader cannot take it together with those added before."""
        name = found.shard.name
        self._shards[name] = found.shard
        for index in self._indexes:
            index.add(self._numbers[name], found.shard, found.by_reader.get(index.reader))

    def write(self, monitor: Monitor) -> list[str]:
        """Write the indexes of the whole folder, and return the paths of all indexes, those beside shards first.

        The monitor hears what an index lacks.
        """
        assert self._shards.keys() == {*self._names}  # noqa: S101 - the caller adds each shard of `sets`
        shards = {each.name: [self._shards[name] for name in each.names] for each in self._sets}
        contents = [index.contents(shards) for index in self._indexes]  # may raise, so before the first is written
        paths = [os.path.join(self._folder, name) for name in self._names]
        beside = [index.index_path(path) for path in paths for index in self._indexes]
        written = [path for path in beside if path is not None]
        for index in self._indexes:
            written += index.write_large()
        for index, files in zip(self._indexes, contents, strict=True):
            written += index.write(files)
            for notice in index.notices:
                monitor.noticed(notice)
        return written
