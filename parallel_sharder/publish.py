"""Publishing: the files that lie beside finished shards, for people and readers, are written, the manifest last.

Before work starts, foreign files that have their names are refused. Before shards are removed, the files that list them
are withdrawn. Each kind of file is a `catalog.beside.Beside` in a module of its own, which knows the file's content and
recognises its own; this module knows only which kinds a run writes, and in which order. The readers' indexes are one
kind (see indexes/readers.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterator, Sequence

from parallel_sharder.catalog.beside import Beside, FinishedSet
from parallel_sharder.catalog.card import Card
from parallel_sharder.catalog.class_table import ClassTable
from parallel_sharder.catalog.manifest_file import ManifestFile, manifest_of
from parallel_sharder.catalog.problems_file import ProblemsFile
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError
from parallel_sharder.journal.journal import Journal
from parallel_sharder.model import Listing, Plan, Problem, ShardRecord
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.options import INDEXES, Options
from parallel_sharder.stores import store_of
from parallel_sharder.stores.digests import digests_of


def besides(options: Options) -> tuple[Beside, ...]:
    """Return what these options have written beside the shards, in the order in which it is written."""
    return _besides(options, options.readers, options.card)


def _besides(options: Options, readers: Collection[str], card: bool) -> tuple[Beside, ...]:
    files = options.pattern.files
    readers = [name for name in readers if name != "wids"]  # the index of wids is the manifest
    indexes: list[Beside] = []
    if readers:
        from parallel_sharder.indexes.readers import ReaderIndexes  # here, because it loads SQLite

        indexes.append(ReaderIndexes(options.pattern, options.split, readers))
    return (
        ProblemsFile(files.problems),
        *indexes,
        *([ClassTable(files.classes), Card(files)] if card else []),
        ManifestFile(files.manifest),
    )


def refuse_in_the_way(options: Options) -> None:
    """Raise DestinationError now, not after hours, if a foreign file has the name of one that will be published."""
    for beside in besides(options):
        beside.refuse()


def withdraw(options: Options, journal: Journal, monitor: Monitor) -> bool:
    """Remove the set from all indexes and the card, and return whether one of them listed it.

    It is called before shards are removed, and includes files that the options do not ask for.
    """
    with _lock(options, journal, monitor):
        withdrawn = [beside.withdraw() for beside in _besides(options, INDEXES, card=True)]
        return any(withdrawn)


def publish(
    options: Options,
    listing: Listing,
    plan: Plan,
    records: Sequence[ShardRecord],
    journal: Journal,
    engine: Engine,
    monitor: Monitor,
) -> tuple[Problem, ...]:
    """Write all that lies beside the shards of `records`, which are in order of number, and return the set's problems.

    Raises DestinationError for a file that cannot be written, and for a foreign file that has its name.
    """
    if options.md5:
        records = _with_md5(records, engine, journal)
    problems = (*listing.problems, *(problem for record in records for problem in record.problems))
    manifest = manifest_of(options, listing, plan, records)
    finished = FinishedSet(listing, plan, records, problems, manifest, journal, engine, monitor)
    wanted = besides(options)
    with _folder_for(wanted, options, journal, monitor):
        for beside in wanted:
            beside.write(finished)
    return problems


@contextlib.contextmanager
def _folder_for(wanted: Sequence[Beside], options: Options, journal: Journal, monitor: Monitor) -> Iterator[None]:
    """Hold the folder's lock inside the block, if a file that is written covers other sets in the folder too.

    So of two runs that end at once, the second sees the set of the first. When the block raises, unfinished files are
    removed; if the folder is locked, those that other runs have left are removed too.
    """
    pattern = options.pattern
    is_for_all = any(beside.is_shared for beside in wanted)
    with _lock(options, journal, monitor) if is_for_all else contextlib.nullcontext():
        try:
            yield
        except BaseException:
            store_of(pattern.folder).remove_partials(pattern.folder, pattern.shard_names)
            for beside in _besides(options, INDEXES, card=True) if is_for_all else wanted:
                beside.remove_partials()
            raise


def _lock(options: Options, journal: Journal, monitor: Monitor) -> contextlib.AbstractContextManager[None]:
    """Return the lock of the folder; it holds across hosts if several of them write the set."""
    folder, take_over = options.pattern.folder, options.take_over
    return store_of(folder).lock(folder, monitor.waiting, take_over=take_over, across_hosts=journal.is_shared)


def _with_md5(records: Sequence[ShardRecord], engine: Engine, journal: Journal) -> list[ShardRecord]:
    """Return the records, each with the MD5 of its shard; shards that were written without MD5 are read for it."""
    without = {record.path: record for record in records if not record.md5}
    for path, md5, xxh3_128 in engine.each(digests_of, without):
        if xxh3_128 != without[path].xxh3_128:
            raise DestinationError(f"{path} has changed since it was finished. With --check it is made anew.")
        without[path] = dataclasses.replace(without[path], md5=md5)
    journal.record([*without.values()])
    return [without.get(record.path, record) for record in records]
