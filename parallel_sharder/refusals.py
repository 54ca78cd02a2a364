"""Refusals: groups of checks that refuse a run which could not be finished, each called as early as it can be.

Most come before the scan, some before the first write. An error that comes later also says what is left to do. The
single refusals are in `destination`, `journal` and `publish`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Container, Iterator

import numpy as np

from parallel_sharder.destination import existing, refuse_full, refuse_in_source, refuse_taken, refuse_unwritable
from parallel_sharder.engines.limits import explain
from parallel_sharder.errors import DestinationError, DestinationGoneError, OptionsError
from parallel_sharder.journal.file import refuse_foreign_journal
from parallel_sharder.journal.fingerprint import refuse_other
from parallel_sharder.journal.journal import Journal
from parallel_sharder.journal.past import Past
from parallel_sharder.model import Listing, Plan
from parallel_sharder.nodes import left_for, listing_of, refuse_misplaced, refuse_seen_alive, refuse_unfinished
from parallel_sharder.options import Options
from parallel_sharder.publish import refuse_in_the_way
from parallel_sharder.resume import archives_by_entry, fingerprint
from parallel_sharder.sources.source import Source
from parallel_sharder.stores import store_of
from parallel_sharder.stores.durable import TAKEN
from parallel_sharder.text import shards_done


def check_place_for(source: Source, options: Options) -> None:
    """Raise DestinationError if the place is a part of the source, is taken, or cannot be written.

    It is taken if something has the name of a file that will be written, and no journal knows it.
    """
    if existing(options.pattern) and not options.pattern.files.journals():  # in this order: a journal is made first
        refuse_taken(options.pattern)
    refuse_in_the_way(options)
    refuse_in_source(options.pattern.folder, source.folders)
    refuse_foreign_journal(options.journal_path)
    refuse_unwritable(options.pattern, options.journal_path)


def check_room(options: Options, plan: Plan, kept: Container[int]) -> None:
    """Raise DestinationError unless there is room for the shards that this run writes, but for the `kept` numbers."""
    pattern = options.pattern
    refuse_full(pattern, _bytes_without(options, plan, kept), store_of(pattern.folder).free_bytes(pattern.folder))


def why_refused(options: Options, listing: Listing, plan: Plan, past: Past | None) -> str:
    """Return what would stop the run of this plan, besides shards that no journal knows; "" if nothing would."""
    files = options.pattern.files
    try:
        if options.is_of_array:
            listing_of(files)
        refuse_misplaced(options.place, left_for(files), files)
        refuse_seen_alive(options)
        refuse_in_the_way(options)
        refuse_foreign_journal(options.journal_path)
        refuse_unwritable(options.pattern, options.journal_path)
        if past is not None and not options.overwrite:
            made_from, archives = fingerprint(options, listing, plan), archives_by_entry(listing)
            refuse_other(files.journal, past.fingerprint, made_from, archives)
        if options.finish:
            done = past.done if past is not None else frozenset()
            refuse_unfinished([number for number in range(plan.shard_count) if number not in done], plan, files)
    except (DestinationError, OptionsError) as error:
        return str(error)
    return ""


@contextlib.contextmanager
def saying_what_is_left(options: Options, plan: Plan, journal: Journal) -> Iterator[None]:
    """Add to a DestinationError which shards are done, what room the rest needs, and how the run is continued."""
    try:
        yield
    except DestinationGoneError:
        raise
    except DestinationError as error:
        if options.finish:
            raise
        if journal.done:
            journal.refuse_gone()
        explain(error)  # before the rest is said
        share, folder = options.numbers(plan.shard_count), options.pattern.folder
        left = _bytes_without(options, plan, journal.done)
        if not left:
            raise DestinationError(
                f"{error.args[0]} All shards are done. Mend that, and the same command writes the rest."
            ) from error
        undone = sum(number not in journal.done for number in share)
        state = shards_done(len(share) - undone, len(share))
        if not any(each in error.args[0] for each in (os.strerror(errno.EFBIG), TAKEN)):  # room helps neither
            rest = "it needs" if len(share) == 1 else "the other needs" if undone == 1 else "the others need"
            free = store_of(folder).free_bytes(folder)
            state += f"; {rest} up to {left:,} bytes, and {free:,} are free"
        raise DestinationError(
            f"{error.args[0]} {state}. Mend that, and the same command continues; or choose another --dest."
        ) from error


def _bytes_without(options: Options, plan: Plan, kept: Container[int]) -> int:
    """Return the most bytes that the shards which this run writes take, but for those of the `kept` numbers."""
    missing = [number for number in options.numbers(plan.shard_count) if number not in kept]
    return int(np.sum(plan.shard_bytes[missing]))
