"""The readers' indexes of a run's own shards: refused, withdrawn and written for all readers at once.

Where the members of these shards are is computed once for all readers. The finished sets in the same folder, those with
a manifest or a wids index, are in the indexes too: for energon by their headers, for others by what that file says.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

from parallel_sharder.catalog.beside import Beside, FinishedSet
from parallel_sharder.catalog.sets import sets_in
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.computed import computed
from parallel_sharder.indexes.folder import FolderIndexes, Found, index_shard, indexes_of, remove_partials, unwritten
from parallel_sharder.indexes.headers import index_headers
from parallel_sharder.indexes.members import ShardMembers
from parallel_sharder.indexes.reader_index import ReaderIndex
from parallel_sharder.indexes.shard_sets import ListedSet, ShardSet, listed_sets
from parallel_sharder.model import ShardRecord
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.pattern import ShardPattern

Made = Sequence[tuple[ShardRecord, Callable[[], ShardMembers]]]
"""The records of shards, in order of number, each with a function that computes where the shard's members are."""


class ReaderIndexes(Beside):
    """The indexes for `readers` of the set that a run makes, and of the sets in the same folder."""

    is_shared = True

    def __init__(self, pattern: ShardPattern, split: str, readers: Collection[str]) -> None:
        self._pattern = pattern
        self._split = split
        self._readers = readers

    def refuse(self) -> None:
        """Raise DestinationError if a file of another kind has the name of an index."""
        for index in self._of_own_set():
            index.refuse()
            index.refuse_beside_shards()

    def withdraw(self) -> bool:
        """Remove what the indexes say of the set's shards; files of another kind are left alone."""
        withdrawn = [index.withdraw() for index in self._of_own_set()]
        return any(withdrawn)

    def write(self, finished: FinishedSet) -> None:
        """Write the indexes of the finished set."""
        listing, plan, form = finished.listing, finished.plan, finished.manifest.options.annotations
        made = [(record, partial(computed, listing, plan, form, record)) for record in finished.records]
        self.index(made, finished.engine, finished.monitor)

    def index(self, made: Made, engine: Engine, monitor: Monitor) -> None:
        """Write the indexes of all shards that a run has made, and of the finished sets beside them.

        Raises DestinationError for what cannot be written, and for shards that a reader cannot take.
        """
        folder = self._pattern.folder
        own = self._own(len(made))
        found = {own: self._index_made(made, monitor)}
        for listed in listed_sets(sets_in(folder), own.owns):
            if listed.set.name != own.name and all(_is_there(folder, name) for name in listed.set.names):
                found[listed.set] = self._index_listed(listed, engine, monitor)
        try:
            with FolderIndexes(folder, sorted(found), self._readers) as indexes:
                for each in sorted(found):
                    for shard in found[each]:
                        indexes.add(shard)
                indexes.write()
        except SourceError as error:
            raise DestinationError(f"{error} (Without that reader in --index, the same command ends well.)") from error
        except (OSError, sqlite3.Error) as error:
            raise unwritten(folder, error) from error

    def remove_partials(self) -> None:
        """Remove what is left of indexes that were being written."""
        remove_partials(self._pattern.folder)

    def _of_own_set(self) -> list[ReaderIndex]:
        return [index(self._pattern.folder, [self._own()]) for index in indexes_of(self._readers)]

    def _own(self, shard_count: int = 0) -> ShardSet:
        return ShardSet.made(self._pattern, self._split, shard_count)

    def _index_made(self, made: Made, monitor: Monitor) -> Iterator[Found]:
        """Write what lies beside shards of the run."""
        seeks = any(index.seeks for index in indexes_of(self._readers))
        for done, (record, members) in enumerate(made, 1):
            shard = Shard(os.path.basename(record.path), record.samples, record.file_bytes)
            yield index_shard(shard, record.path, members(), self._readers) if seeks else Found(shard)
            monitor.working("indexing shards", done, len(made))

    def _index_listed(self, listed: ListedSet, engine: Engine, monitor: Monitor) -> Iterator[Found]:
        """Write what lies beside the shards of another set, for readers whose index of the folder lists its samples.

        For the other readers the counts will do that its manifest or wids index has.
        """
        paths = [os.path.join(self._pattern.folder, name) for name in listed.set.names]
        listing = [index.reader for index in indexes_of(self._readers) if index.lists_samples]
        return index_headers(paths, listing, engine, monitor) if listing else map(Found, listed.shards)


def _is_there(folder: str, name: str) -> bool:
    """Whether that is an uncompressed shard in the folder."""
    return name.endswith(".tar") and os.path.isfile(os.path.join(folder, name))
