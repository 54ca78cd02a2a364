"""All readers' indexes of a conversion's own shards: they are refused, withdrawn and written together.

It computes once, for all readers, where the members of these shards are. The indexes of the folder also list the
finished sets in the same folder that have a manifest or a wids index: energon's from the headers of their shards, the
others' from the manifest or the wids index.
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
from parallel_sharder.indexes.computed import computed_members
from parallel_sharder.indexes.folder import (
    FolderIndexes,
    FoundShard,
    index_shard,
    indexes_of,
    remove_partials,
    unwritten,
)
from parallel_sharder.indexes.headers import index_headers
from parallel_sharder.indexes.member_places import ShardMembers
from parallel_sharder.indexes.reader_index import ReaderIndex
from parallel_sharder.indexes.shard_sets import ListedSet, ShardSet, listed_sets
from parallel_sharder.model import ShardRecord
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.samples.forms import ANNOTATED
from parallel_sharder.stores import store_of

Made = Sequence[tuple[ShardRecord, Callable[[], ShardMembers]]]
"""The records of shards, in order of number. Each has a function that computes where the shard's members are."""


class ReaderIndexes(Beside):
    """The indexes for `readers` of the set that a run makes, and of the finished sets in the same folder."""

    is_shared = True

    def __init__(self, pattern: ShardPattern, split: str | None, readers: Collection[str]) -> None:
        self._pattern = pattern
        self._split = split
        self._readers = readers

    def refuse(self) -> None:
        """Raise DestinationError if a file of another kind has the name of an index."""
        for index in self._of_own_set():
            index.refuse()
            index.refuse_beside_shards()

    def withdraw(self) -> bool:
        """Remove the entries of the set's shards from the indexes, and return whether there were any.

        Files of another kind stay.
        """
        withdrawn = [index.withdraw() for index in self._of_own_set()]
        return any(withdrawn)

    def write(self, finished: FinishedSet) -> None:
        """Write the indexes of the finished set."""
        listing, plan, form = finished.listing, finished.plan, finished.manifest.options.its_form
        if form in ANNOTATED:
            made = [(record, partial(computed_members, listing, plan, form, record)) for record in finished.records]
            self.index(made, finished.engine, finished.monitor)
        else:  # the sizes of members, and which there are, are in the shards alone
            paths = [record.path for record in finished.records]
            readers = [index.reader for index in indexes_of(self._readers)]
            found = index_headers(paths, readers, finished.engine, finished.monitor)
            self._index(found, len(paths), finished.engine, finished.monitor)

    def index(self, made: Made, engine: Engine, monitor: Monitor) -> None:
        """Write the indexes of all shards that a run has made, and of the finished sets beside them.

        Raises DestinationError if an index cannot be written, and for shards that a reader cannot take.
        """
        self._index(self._index_made(made, monitor), len(made), engine, monitor)

    def _index(self, found_here: Iterator[FoundShard], shard_count: int, engine: Engine, monitor: Monitor) -> None:
        """Write the indexes of the shards of the run, in which `found_here` was found, and of the sets beside them."""
        folder = self._pattern.folder
        own = self._own(shard_count)
        found = {own: found_here}
        for listed in listed_sets(sets_in(folder), own.owns):
            if listed.set.name != own.name and all(_is_uncompressed_shard(folder, name) for name in listed.set.names):
                found[listed.set] = self._index_listed(listed, engine, monitor)
        try:
            with FolderIndexes(folder, sorted(found), self._readers) as indexes:
                for each in sorted(found):
                    for shard in found[each]:
                        indexes.add(shard)
                indexes.write(monitor)
        except SourceError as error:
            raise DestinationError(
                f"{error} (Leave that reader out of --index, and the same command succeeds.)"
            ) from error
        except (OSError, sqlite3.Error) as error:
            raise unwritten(folder, error) from error

    def remove_partials(self) -> None:
        """Remove the partial files of indexes, which killed runs have left."""
        remove_partials(self._pattern.folder)

    def _of_own_set(self) -> list[ReaderIndex]:
        return [index(self._pattern.folder, [self._own()]) for index in indexes_of(self._readers)]

    def _own(self, shard_count: int = 0) -> ShardSet:
        return ShardSet.made(self._pattern, self._split or "train", shard_count)

    def _index_made(self, made: Made, monitor: Monitor) -> Iterator[FoundShard]:
        """Write the indexes beside each shard of the run, and yield what the indexes of the folder need of it."""
        seeks = any(index.seeks for index in indexes_of(self._readers))
        for done, (record, members) in enumerate(made, 1):
            shard = Shard(os.path.basename(record.path), record.samples, record.file_bytes)
            yield index_shard(shard, record.path, members(), self._readers) if seeks else FoundShard(shard)
            monitor.working("indexing shards", done, len(made))

    def _index_listed(self, listed: ListedSet, engine: Engine, monitor: Monitor) -> Iterator[FoundShard]:
        """Yield what the indexes of the folder need of each shard of another set.

        Readers whose index of the folder lists samples need the shard's headers, and then the indexes beside the shard
        are written too. The other readers need only the counts, which the set's manifest or wids index has.
        """
        paths = [os.path.join(self._pattern.folder, name) for name in listed.set.names]
        readers = [index.reader for index in indexes_of(self._readers) if index.lists_samples]
        return index_headers(paths, readers, engine, monitor) if readers else map(FoundShard, listed.shards)


def _is_uncompressed_shard(folder: str, name: str) -> bool:
    return name.endswith(".tar") and store_of(folder).is_file(os.path.join(folder, name))
