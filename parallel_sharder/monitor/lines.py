"""The lines that monitors for people print alike, and how they are printed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TextIO

from parallel_sharder.model import Listing, Plan, ShardRecord
from parallel_sharder.text import counted, duration, printable

INTERVAL_SECONDS = 10.0
"""Between two lines in a log: seldom enough for a run of hours, often enough to see that it lives."""


def print_found(listing: Listing, stream: TextIO) -> None:
    """Print what the scan has found, a line a part, and what people should know of it."""
    for name, text in listing.found:
        print_line(f"{name:<13}{text}", stream)
    for notice in listing.notices:
        print_line(f"note: {notice}", stream)


def beginning(plan: Plan, kept: Sequence[ShardRecord]) -> str:
    """Returns what a run is about to write, and what is there from an earlier one."""
    there = f"{counted(len(kept), 'shard')} kept from an earlier run"
    if len(kept) == plan.shard_count:
        return f"{there}, none to be written"
    writing = f"writing {counted(len(plan.order), 'sample')} to {counted(plan.shard_count, 'shard')}"
    return f"{writing}; {there}" if kept else writing


def waiting(whom: str, seconds: float) -> str:
    """Returns for whom a run waits, and for how long already."""
    return f"waiting for the lock of the folder, which {whom} holds: {duration(seconds)} so far"


def samples_of(records: Sequence[ShardRecord]) -> int:
    """Returns how many samples the shards of these records were to hold."""
    return sum(record.samples + len(record.left_out) for record in records)


def print_line(line: str, stream: TextIO) -> None:
    """Print a line, if anybody listens."""
    with contextlib.suppress(OSError):  # nobody listens any more; the shards are wanted all the same
        print(printable(line), file=stream, flush=True)
