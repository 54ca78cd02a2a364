"""The terminal's monitor: it shows bars that move."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TextIO

from parallel_sharder.model import Listing, Plan, ShardRecord
from parallel_sharder.monitor import lines
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.text import counted, size


class Terminal(Silent):
    """The monitor that shows a bar for a scan of more than a second, and then one bar for all workers together."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Any = None
        self._started = 0.0
        self._kept = 0
        self._told_seconds = -lines.INTERVAL_SECONDS

    def scanning(self, done: int, total: int, images: int, unit: str = "folder") -> None:
        """Move the scan's bar."""
        if self._bar is None or self._bar.desc != "scanning":
            self.close()
            self._bar = self._new_bar(total=total, unit=unit, desc="scanning", delay=1, leave=False)
        self._bar.set_postfix_str(counted(images, "image"), refresh=False)
        self._bar.update(done - self._bar.n)

    def found(self, listing: Listing) -> None:
        """Print what was found, and where."""
        self.close()
        lines.print_found(listing, self._stream)

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Print what will be written, and start the bar at the number of samples that an earlier run has written."""
        self._started = time.monotonic()
        self._kept = lines.samples_of(kept)
        lines.print_line(lines.first_line(plan, kept), self._stream)
        self._bar = self._new_bar(total=len(plan.order), unit=" images", smoothing=0.05, initial=self._kept)

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Move the bar."""
        elapsed = max(time.monotonic() - self._started, 1e-9)
        self._bar.set_postfix_str(f"{size(tar_bytes)}, {tar_bytes / elapsed / 1e6:,.0f} MB/s", refresh=False)
        self._bar.update(self._kept + samples - self._bar.n)

    def working(self, doing: str, done: int, total: int) -> None:
        """Move the bar of this work; each work has its own bar."""
        if self._bar is None or self._bar.desc != doing:
            self.close()
            self._bar = self._new_bar(total=total, unit=f" {doing.split()[-1]}", desc=doing)
        self._bar.update(done - self._bar.n)

    def waiting(self, whom: str, seconds: float) -> None:
        """Print a line at once, and a further line every INTERVAL_SECONDS."""
        if not 0 <= seconds - self._told_seconds < lines.INTERVAL_SECONDS:
            self._told_seconds = seconds
            self.close()
            lines.print_line(lines.waiting(whom, seconds), self._stream)

    def noticed(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.clear()
        lines.print_line(f"note: {text}", self._stream)
        if self._bar is not None:
            self._bar.refresh()

    def close(self) -> None:
        """Close the bar, which ends its line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _new_bar(self, **options: Any) -> Any:
        from tqdm import tqdm

        class Bar(tqdm):  # type: ignore[type-arg]
            monitor_interval = 0  # tqdm starts no thread: the bar is moved several times a second anyway

        return Bar(file=self._stream, dynamic_ncols=True, **options)
