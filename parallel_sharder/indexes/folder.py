"""The readers' indexes of one folder while they are made: shard by shard, and then what says something of all shards.

Each file appears whole or not at all, and no file of another kind is replaced. Who makes the indexes of a folder holds
its lock (see stores/lock.py), so that two runs do not work on them at once.
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
from parallel_sharder.indexes.members import ShardMembers, key_end
from parallel_sharder.indexes.openclip import OpenClip
from parallel_sharder.indexes.reader_index import ReaderIndex
from parallel_sharder.indexes.shard_sets import ShardSet
from parallel_sharder.indexes.timm import Timm
from parallel_sharder.indexes.wids import Wids
from parallel_sharder.options import Reader

READERS: tuple[type[ReaderIndex], ...] = (Wids, Dali, OpenClip, Timm, Energon)
"""The index of each of options.INDEXES, in the order in which they are written."""


class Found(NamedTuple):
    """What is known of one shard: its numbers, and by the reader what the index of the folder wants to know besides."""

    shard: Shard
    by_reader: Mapping[Reader, Any] = {}


def indexes_of(readers: Collection[str]) -> list[type[ReaderIndex]]:
    """The indexes for these readers."""
    return [index for index in READERS if index.reader in readers]


def index_shard(shard: Shard, path: str, members: ShardMembers, readers: Collection[str]) -> Found:
    """Write what lies beside the `shard` at `path`, which has these members; return what was found, samples counted.

    Raises SourceError for a shard that a reader cannot take.
    """
    samples = sum(len(columns.keys) for columns in members.samples(key_end))
    try:
        by_reader = {index.reader: index.index_shard(path, members) for index in indexes_of(readers)}
    except ValueError as error:
        raise SourceError(f"{path} {error}. Leave that reader out, or make the shard anew without that.") from error
    return Found(shard._replace(samples=samples), by_reader)


def remove_partials(folder: str) -> None:
    """Remove what killed runs, or an interrupt, have left of any reader's index. The folder should be locked."""
    for index in READERS:
        index.remove_partials(folder)


def unwritten(folder: str, error: OSError | sqlite3.Error) -> DestinationError:
    """The error that the indexes in a folder cannot be written, and why."""
    if isinstance(error, FileExistsError):
        return unwritable(error.filename, error)
    if isinstance(error, OSError):
        cause = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    else:
        cause = str(error)
    remedy = "Mend that, and type the same command again."
    return unwritable(f"the indexes in {os.path.abspath(folder)}", cause, remedy)


class FolderIndexes:
    """The indexes for `readers` of the shards of `sets`, all in one folder, which should be locked; a context manager.

    Every shard is added, best in order, because what is early waits in memory; then `write` writes the files. If it is
    left before, nothing that says something of the whole folder has changed. Raises DestinationError for a file of
    another kind under one of the names.
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
        """How many samples the shards have that were added."""
        return sum(shard.samples for shard in self._shards.values())

    def add(self, found: Found) -> None:
        """Add a shard. Raises SourceError if a reader cannot take the shard beside the others."""
        name = found.shard.name
        self._shards[name] = found.shard
        for index in self._indexes:
            index.add(self._numbers[name], found.shard, found.by_reader.get(index.reader))

    def write(self) -> list[str]:
        """Write the files that say something of all shards; return the paths of all, those beside shards first."""
        assert self._shards.keys() == {*self._names}  # noqa: S101 - who has named them adds them
        shards = {each.name: [self._shards[name] for name in each.names] for each in self._sets}
        contents = [index.contents(shards) for index in self._indexes]  # all of them before the first is written
        paths = [os.path.join(self._folder, name) for name in self._names]
        beside = [index.index_path(path) for path in paths for index in self._indexes]
        written = [path for path in beside if path is not None]
        for index, files in zip(self._indexes, contents, strict=True):
            written += index.write(files)
        return written
