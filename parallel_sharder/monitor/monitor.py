"""Monitors: how the inside tells people what is going on. The only other thing that prints is the command line.

The coordinator calls a monitor from one thread, in the order of the methods below. Tests read the same numbers as
users do, through a Recording.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TextIO

from parallel_sharder.errors import SharderError
from parallel_sharder.model import Listing, Plan, ShardRecord
from parallel_sharder.text import counted, duration, printable, size

LOG_INTERVAL_SECONDS = 10.0
"""Between two lines in a log: seldom enough for a run of hours, often enough to see that it lives."""


class Monitor(Protocol):
    """What the coordinator tells."""

    def scanning(self, folders_done: int, folders: int, images: int) -> None:
        """So many folders are listed, and hold so many images."""

    def found(self, listing: Listing) -> None:
        """The scan is done."""

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Writing begins; the shards of `kept` are there from an earlier run."""

    def progress(self, samples: int, tar_bytes: int) -> None:
        """So much is written by this run, shards in hand included."""

    def working(self, doing: str, done: int, total: int) -> None:
        """So much, of so much, is done of what is being done, such as "verifying shards": its last word is the unit."""

    def waiting(self, whom: str, seconds: float) -> None:
        """Another run holds the folder's lock: for whom it is waited, and for how long already."""

    def close(self) -> None:
        """Nothing follows, whether the run has ended well or not."""


class Silent:
    """Tells nobody."""

    def scanning(self, folders_done: int, folders: int, images: int) -> None:
        """Nothing."""

    def found(self, listing: Listing) -> None:
        """Nothing."""

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Nothing."""

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Nothing."""

    def working(self, doing: str, done: int, total: int) -> None:
        """Nothing."""

    def waiting(self, whom: str, seconds: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class _Guarded:
    """Hands everything on to a monitor; what that raises is a SharderError which says so."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def scanning(self, folders_done: int, folders: int, images: int) -> None:
        """Handed on."""
        self._hand_on("scanning", folders_done, folders, images)

    def found(self, listing: Listing) -> None:
        """Handed on."""
        self._hand_on("found", listing)

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Handed on."""
        self._hand_on("planned", plan, kept)

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Handed on."""
        self._hand_on("progress", samples, tar_bytes)

    def working(self, doing: str, done: int, total: int) -> None:
        """Handed on."""
        self._hand_on("working", doing, done, total)

    def waiting(self, whom: str, seconds: float) -> None:
        """Handed on."""
        self._hand_on("waiting", whom, seconds)

    def close(self) -> None:
        """Handed on."""
        self._hand_on("close")

    def _hand_on(self, method: str, *told: Any) -> None:
        try:
            getattr(self._monitor, method)(*told)
        except SharderError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}".rstrip(".: ")
            raise SharderError(
                f"the monitor's method {method} raised {what}. What is done stays. Mend the monitor, and call again."
            ) from error


@contextlib.contextmanager
def telling(monitor: Monitor | None) -> Iterator[Monitor]:
    """A monitor that tells this one, if there is one, and is closed at the end.

    What a monitor raises is a SharderError, but for what stops Python itself. An error within the context counts more
    than one of closing.
    """
    guarded = _Guarded(Silent() if monitor is None else monitor)
    try:
        yield guarded
    except BaseException:
        with contextlib.suppress(SharderError):
            guarded.close()
        raise
    guarded.close()


class Recording(Silent):
    """Keeps the numbers that a user would have seen, for tests."""

    def __init__(self) -> None:
        self.scans: list[tuple[int, int, int]] = []
        self.totals: list[tuple[int, int]] = []

    def scanning(self, folders_done: int, folders: int, images: int) -> None:
        """Kept in `scans`."""
        self.scans.append((folders_done, folders, images))

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Kept in `totals`."""
        self.totals.append((samples, tar_bytes))


class Terminal(Silent):
    """One bar for the scan if it takes longer than a second, then one for all workers together."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Any = None
        self._started = 0.0
        self._kept = 0
        self._told_seconds = -LOG_INTERVAL_SECONDS

    def scanning(self, folders_done: int, folders: int, images: int) -> None:
        """Moves the scan's bar."""
        if self._bar is None or self._bar.unit != "folder":
            self.close()
            self._bar = self._new_bar(total=folders, unit="folder", desc="scanning", delay=1, leave=False)
        self._bar.set_postfix_str(counted(images, "image"), refresh=False)
        self._bar.update(folders_done - self._bar.n)

    def found(self, listing: Listing) -> None:
        """Prints what was found, and where."""
        self.close()
        print_found(listing, self._stream)

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Says what is to be written, and starts the bar, where an earlier run has left off."""
        self._started = time.monotonic()
        self._kept = _samples_of(kept)
        _print(_beginning(plan, kept), self._stream)
        self._bar = self._new_bar(total=len(plan.order), unit=" images", smoothing=0.05, initial=self._kept)

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Moves the bar."""
        elapsed = max(time.monotonic() - self._started, 1e-9)
        self._bar.set_postfix_str(f"{size(tar_bytes)}, {tar_bytes / elapsed / 1e6:,.0f} MB/s", refresh=False)
        self._bar.update(self._kept + samples - self._bar.n)

    def working(self, doing: str, done: int, total: int) -> None:
        """Moves a bar, one for each thing that is done."""
        if self._bar is None or self._bar.desc != doing:
            self.close()
            self._bar = self._new_bar(total=total, unit=f" {doing.split()[-1]}", desc=doing)
        self._bar.update(done - self._bar.n)

    def waiting(self, whom: str, seconds: float) -> None:
        """A line at once, and then now and then."""
        if not 0 <= seconds - self._told_seconds < LOG_INTERVAL_SECONDS:
            self._told_seconds = seconds
            self.close()
            _print(_waiting(whom, seconds), self._stream)

    def close(self) -> None:
        """Ends the line that a bar stands in."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _new_bar(self, **options: Any) -> Any:
        from tqdm import tqdm

        class Bar(tqdm):  # type: ignore[type-arg]
            monitor_interval = 0  # no thread of its own: we update several times a second

        return Bar(file=self._stream, dynamic_ncols=True, **options)


class Log(Silent):
    """A line now and then, for pipes, files and batch systems."""

    def __init__(self, stream: TextIO, interval_seconds: float = LOG_INTERVAL_SECONDS) -> None:
        self._stream = stream
        self._interval = interval_seconds
        self._started = self._told = time.monotonic()
        self._samples = self._kept = 0
        self._told_seconds = -interval_seconds

    def scanning(self, folders_done: int, folders: int, images: int) -> None:
        """A line now and then."""
        if self._is_due():
            _print(
                f"scanning: {folders_done:,} of {counted(folders, 'folder')}, {counted(images, 'image')}", self._stream
            )

    def found(self, listing: Listing) -> None:
        """Prints what was found, and where."""
        print_found(listing, self._stream)

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Says what is to be written, and what is there from an earlier run."""
        self._samples = len(plan.order)
        self._kept = _samples_of(kept)
        self._started = self._told = time.monotonic()
        _print(_beginning(plan, kept), self._stream)

    def progress(self, samples: int, tar_bytes: int) -> None:
        """A line now and then."""
        if not samples or not self._is_due():
            return
        elapsed = self._told - self._started
        done = self._kept + samples
        left = elapsed / samples * (self._samples - done)
        _print(
            f"{done / self._samples:6.1%}  {done:,} of {counted(self._samples, 'image')}, {size(tar_bytes)}, "
            f"{samples / elapsed:,.0f} images/s, {tar_bytes / elapsed / 1e6:,.0f} MB/s, {duration(left)} left",
            self._stream,
        )

    def working(self, doing: str, done: int, total: int) -> None:
        """A line now and then."""
        if self._is_due():
            _print(f"{doing}: {done:,} of {total:,}", self._stream)

    def waiting(self, whom: str, seconds: float) -> None:
        """A line at once, and then now and then."""
        if not 0 <= seconds - self._told_seconds < self._interval:
            self._told_seconds = seconds
            _print(_waiting(whom, seconds), self._stream)

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._told < self._interval:
            return False
        self._told = now
        return True


def print_found(listing: Listing, stream: TextIO) -> None:
    """What the scan has found, a line a part, and what people should know of it."""
    for name, text in listing.found:
        _print(f"{name:<13}{text}", stream)
    for notice in listing.notices:
        _print(f"note: {notice}", stream)


def _beginning(plan: Plan, kept: Sequence[ShardRecord]) -> str:
    there = f"{counted(len(kept), 'shard')} kept from an earlier run"
    if len(kept) == plan.shard_count:
        return f"{there}, none to be written"
    writing = f"writing {counted(len(plan.order), 'sample')} to {counted(plan.shard_count, 'shard')}"
    return f"{writing}; {there}" if kept else writing


def _waiting(whom: str, seconds: float) -> str:
    return f"waiting for the lock of the folder, which {whom} holds: {duration(seconds)} so far"


def _samples_of(records: Sequence[ShardRecord]) -> int:
    """Those that their shards were to hold."""
    return sum(record.samples + len(record.left_out) for record in records)


def _print(line: str, stream: TextIO) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more; the shards are wanted all the same
        print(printable(line), file=stream, flush=True)
