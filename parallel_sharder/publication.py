"""Publication: what lies beside finished shards, for people and readers, the manifest last.

Indexes, the list of problems, the class table and the card of a data set, and the manifest. Each appears whole or not
at all, nothing of anybody else's is replaced, and before shards are made anew, what tells of the old ones goes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from parallel_sharder import __version__, durable
from parallel_sharder.card import class_table, refuse_foreign_card, withdraw_card, write_card
from parallel_sharder.destination import CARD, ShardPattern
from parallel_sharder.engines import Engine
from parallel_sharder.errors import DestinationError
from parallel_sharder.indexer import index_made
from parallel_sharder.indexes.folder import refuse_foreign_beside, refuse_foreign_indexes, remove_partials, withdraw
from parallel_sharder.indexes.sets import ShardSet
from parallel_sharder.journal import CLASSES, MANIFEST, PROBLEMS, Journal
from parallel_sharder.lock import locked_folder
from parallel_sharder.manifest import is_manifest, manifest
from parallel_sharder.model import Listing, Plan, Problem, ShardRecord
from parallel_sharder.monitor import Monitor
from parallel_sharder.options import Options
from parallel_sharder.placed import placed
from parallel_sharder.problems import problem_lines
from parallel_sharder.traces import identity_if, trace_of
from parallel_sharder.worker import digests_of


def refuse_in_the_way(options: Options) -> None:
    """Raise DestinationError now, not after hours, if something else has the name of what will be published."""
    folder = options.pattern.folder
    refuse_foreign_indexes(folder, options.readers, ())
    refuse_foreign_beside(folder, _own(options), options.readers)
    if options.card:
        refuse_foreign_card(folder)


def withdraw_all(options: Options, monitor: Monitor) -> bool:
    """Remove what indexes and card tell of the shards of an earlier run, before these go; whether that was any."""
    with locked_folder(options.pattern.folder, monitor.waiting):
        told = withdraw(options.pattern.folder, _own(options))
        return withdraw_card(options.pattern.folder, options.pattern.set_name) or told


def _own(options: Options) -> ShardSet:
    return ShardSet.made(options.pattern, options.split, 0)


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

    Each file is journalled before it is begun, with the trace that it will have, or can be told by its content, so that
    what is there is known to be the tool's own. Raises DestinationError for what cannot be written, and for what is in
    the way.
    """
    pattern = options.pattern
    if options.md5:
        records = _with_md5(records, engine, journal)
    problems = (*listing.problems, *(problem for record in records for problem in record.problems))
    _write(journal, PROBLEMS, pattern.problems_path, problem_lines(problems))

    content = _manifest(options, listing, plan, records)
    readers = [name for name in options.readers if name != "wids"]  # whose index is the manifest
    tells_of_others = bool(readers or options.card)  # so of two runs that end at once, each has to see the other
    with contextlib.ExitStack() as context:
        if tells_of_others:
            context.enter_context(locked_folder(pattern.folder, monitor.waiting))
        context.enter_context(_clean(pattern, tells_of_others))
        if readers:
            made = [(record, partial(placed, listing, plan, options.annotations, record)) for record in records]
            index_made(pattern, options.split, made, readers, engine, monitor)
        if options.card:
            _write(journal, CLASSES, pattern.classes_path, class_table(content))
            write_card(pattern.folder, content, pattern.set_name)
        _write(journal, MANIFEST, pattern.manifest_path, content)
    return problems


def _write(journal: Journal, number: int, path: str, content: bytes) -> None:
    """Make the file with this number hold that, if it does not already; without content there is no such file."""

    def is_ours(path: str) -> bool:
        return (number == MANIFEST and is_manifest(path)) or identity_if(path, journal.traces(number)) is not None

    try:
        if content:
            trace = trace_of(content)
            journal.record_beside(number, path, trace)
            if identity_if(path, [trace]) is None:
                durable.write_file(path, content, is_ours)
        elif os.path.lexists(path):
            if (identity := identity_if(path, journal.traces(number))) is None:
                raise durable.taken(path)
            durable.remove_if(path, identity)
    except OSError as error:
        raise DestinationError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def _clean(pattern: ShardPattern, is_locked: bool) -> Iterator[None]:
    """What an interrupt leaves of files that are being written goes; if the folder is locked, also of those of all."""
    try:
        yield
    except BaseException:
        durable.remove_partials(pattern.folder, pattern.names)
        if is_locked:
            durable.remove_partials(pattern.folder, re.escape(CARD))
            remove_partials(pattern.folder)
        raise


def _with_md5(records: Sequence[ShardRecord], engine: Engine, journal: Journal) -> list[ShardRecord]:
    """The records, each with the MD5 of its shard: what was made without is read for it."""
    without = {record.path: record for record in records if not record.md5}
    for path, md5, xxh3_128 in engine.each(digests_of, without):
        if xxh3_128 != without[path].xxh3_128:
            raise DestinationError(f"{path} is not as it was finished any more. With --check it is made anew.")
        without[path] = dataclasses.replace(without[path], md5=md5)
    journal.record([*without.values()])
    return [without.get(record.path, record) for record in records]


def _manifest(options: Options, listing: Listing, plan: Plan, records: Sequence[ShardRecord]) -> bytes:
    stored = np.ones(len(listing), np.bool_)
    for record in records:
        stored[plan.order[plan.cuts[record.number] :][list(record.left_out)]] = False
    counts = np.bincount(listing.class_index[stored] + 1, minlength=len(listing.classes) + 1)[1:]  # class -1 is none
    table = listing.classes, counts.tolist()
    return manifest(options.pattern.set_name, __version__, options.choices, *table, records, options.md5)
