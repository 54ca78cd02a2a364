"""The lines that the monitors for terminals and logs share, and how they are printed.

Takes what a monitor's methods get, and returns or prints lines. A line is made printable first. A stream that cannot be
written is no error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TextIO

from parallel_sharder.model import Listing, Plan, ShardRecord
from parallel_sharder.text import counted, duration, printable

INTERVAL_SECONDS = 10.0
"""The time between two lines. Less floods the log of a run of hours; with more the run seems to hang."""


def print_found(listing: Listing, stream: TextIO) -> None:
    """Print a line for each part of the source that the scan has found, and its notices."""
    for name, text in listing.found:
        print_line(f"{name:<13}{text}", stream)
    for notice in listing.notices:
        print_line(f"note: {notice}", stream)


def first_line(plan: Plan, kept: Sequence[ShardRecord]) -> str:
    """Return what a run is about to write, and what it keeps from an earlier run."""
    keeping = f"{counted(len(kept), 'shard')} kept from an earlier run"
    if len(kept) >= plan.shard_count:
        return f"{keeping}, none to be written"
    writing = f"writing {counted(len(plan.order), 'sample')} to {counted(plan.shard_count, 'shard')}"
    return f"{writing}; {keeping}" if kept else writing


def waiting(whom: str, seconds: float) -> str:
    """Return for whom a run waits, and for how long it has waited."""
    return f"waiting for a lock in the folder, which {whom} holds: {duration(seconds)} so far"


def samples_of(records: Sequence[ShardRecord]) -> int:
    """Return how many samples the shards of these records have, with those that were left out."""
    return sum(record.samples + len(record.left_out) for record in records)


def print_line(line: str, stream: TextIO) -> None:
    """Print a line. A stream that cannot be written is no error, because the shards are wanted all the same."""
    with contextlib.suppress(OSError):
        print(printable(line), file=stream, flush=True)
