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

from parallel_sharder.destination import refuse_full, refuse_in_source, refuse_taken, refuse_unwritable
from parallel_sharder.engines.limits import explain
from parallel_sharder.errors import DestinationError, DestinationGoneError
from parallel_sharder.journal.file import refuse_foreign_journal
from parallel_sharder.journal.fingerprint import refuse_other
from parallel_sharder.journal.journal import Journal, Past
from parallel_sharder.model import Listing, Plan
from parallel_sharder.options import Options
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.publish import refuse_in_the_way
from parallel_sharder.resume import archives_by_entry, fingerprint
from parallel_sharder.sources.source import Source
from parallel_sharder.stores import store_of
from parallel_sharder.stores.durable import TAKEN
from parallel_sharder.text import shards_done


def check_place(options: Options) -> None:
    """Raise DestinationError if something has the name of a file that will be written, and no journal knows it."""
    if not store_of(options.pattern.folder).exists(options.pattern.files.journal):
        refuse_taken(options.pattern)
    refuse_in_the_way(options)


def check_place_for(source: Source, options: Options) -> None:
    """Raise DestinationError if the place is a part of the source, or cannot be written."""
    refuse_in_source(options.pattern, source.folders)
    refuse_foreign_journal(options.pattern.files.journal)
    refuse_unwritable(options.pattern)


def check_room(pattern: ShardPattern, plan: Plan, kept: Container[int]) -> None:
    """Raise DestinationError unless there is room for the shards of the plan, but for those of the `kept` numbers."""
    refuse_full(pattern, _bytes_without(plan, kept), store_of(pattern.folder).free_bytes(pattern.folder))


def why_refused(options: Options, listing: Listing, plan: Plan, past: Past | None) -> str:
    """Return what would stop the run of this plan, besides shards that no journal knows; "" if nothing would."""
    try:
        refuse_in_the_way(options)
        refuse_foreign_journal(options.pattern.files.journal)
        refuse_unwritable(options.pattern)
        if past is not None and not options.overwrite:
            made_from, archives = fingerprint(options, listing, plan), archives_by_entry(listing)
            refuse_other(options.pattern.files.journal, past.fingerprint, made_from, archives)
    except DestinationError as error:
        return str(error)
    return ""


@contextlib.contextmanager
def saying_what_is_left(pattern: ShardPattern, plan: Plan, journal: Journal) -> Iterator[None]:
    """Add to a DestinationError which shards are done, what room the rest needs, and how the run is continued."""
    try:
        yield
    except DestinationGoneError:
        raise
    except DestinationError as error:
        if journal.done:
            journal.refuse_gone()
        explain(error)  # before the rest is said
        left = _bytes_without(plan, journal.done)
        if not left:
            raise DestinationError(
                f"{error.args[0]} All shards are done. Mend that, and the same command writes the rest."
            ) from error
        state = shards_done(len(journal.done), plan.shard_count)
        if not any(each in error.args[0] for each in (os.strerror(errno.EFBIG), TAKEN)):  # room helps neither
            undone = plan.shard_count - len(journal.done)
            rest = "it needs" if plan.shard_count == 1 else "the other needs" if undone == 1 else "the others need"
            free = store_of(pattern.folder).free_bytes(pattern.folder)
            state += f"; {rest} up to {left:,} bytes, and {free:,} are free"
        raise DestinationError(
            f"{error.args[0]} {state}. Mend that, and the same command continues; or choose another --dest."
        ) from error


def _bytes_without(plan: Plan, kept: Container[int]) -> int:
    """Return the most bytes that the shards of the plan take, but for those of the `kept` numbers."""
    missing = [number not in kept for number in range(plan.shard_count)]
    return int(np.sum(plan.shard_bytes[missing]))
