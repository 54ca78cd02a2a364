"""The log, a monitor for pipes, files and batch systems: it prints a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from parallel_sharder.model import Listing, Plan, ShardRecord
from parallel_sharder.monitor import lines
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.text import counted, duration, size


class Log(Silent):
    """The monitor that prints a line when at least `interval_seconds` have passed since the last one."""

    def __init__(self, stream: TextIO, interval_seconds: float = lines.INTERVAL_SECONDS) -> None:
        self._stream = stream
        self._interval = interval_seconds
        self._started = self._told = time.monotonic()
        self._samples = self._kept = 0
        self._told_seconds = -interval_seconds

    def scanning(self, done: int, total: int, images: int, unit: str = "folder") -> None:
        """Print a line if one is due."""
        if self._is_due():
            lines.print_line(f"scanning: {done:,} of {counted(total, unit)}, {counted(images, 'image')}", self._stream)

    def found(self, listing: Listing) -> None:
        """Print what was found, and where."""
        lines.print_found(listing, self._stream)

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Print what will be written, and what is kept from an earlier run."""
        self._samples = len(plan.order)
        self._kept = lines.samples_of(kept)
        self._started = self._told = time.monotonic()
        lines.print_line(lines.first_line(plan, kept), self._stream)

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Print a line if one is due."""
        if not samples or not self._is_due():
            return
        elapsed = self._told - self._started
        done = self._kept + samples
        left = elapsed / samples * (self._samples - done)
        lines.print_line(
            f"{done / self._samples:6.1%}  {done:,} of {counted(self._samples, 'image')}, {size(tar_bytes)}, "
            f"{samples / elapsed:,.0f} images/s, {tar_bytes / elapsed / 1e6:,.0f} MB/s, {duration(left)} left",
            self._stream,
        )

    def working(self, doing: str, done: int, total: int) -> None:
        """Print a line if one is due."""
        if self._is_due():
            lines.print_line(f"{doing}: {done:,} of {total:,}", self._stream)

    def waiting(self, whom: str, seconds: float) -> None:
        """Print a line at once, and further lines when they are due."""
        if not 0 <= seconds - self._told_seconds < self._interval:
            self._told_seconds = seconds
            lines.print_line(lines.waiting(whom, seconds), self._stream)

    def noticed(self, text: str) -> None:
        """Print a line."""
        lines.print_line(f"note: {text}", self._stream)

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._told < self._interval:
            return False
        self._told = now
        return True
