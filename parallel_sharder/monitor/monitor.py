"""The monitor's interface: its methods are called while a command works. Only monitors and the command line print.

Each command gets a monitor, and calls its methods from one thread. A conversion calls them in the order below, except
that `waiting`, `working` and `noticed` can come at any time. What a monitor raises stops the command with a
SharderError.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from parallel_sharder.errors import SharderError
from parallel_sharder.model import Listing, Plan, ShardRecord


class Monitor(Protocol):
    """The methods that commands call, and when."""

    def scanning(self, done: int, total: int, images: int, unit: str = "folder") -> None:
        """The scan has read `done` of `total` folders, shards or rows, as `unit` says, which hold `images` images."""

    def found(self, listing: Listing) -> None:
        """The scan is done."""

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Writing begins; the shards of the records `kept` are those of an earlier run."""

    def progress(self, samples: int, tar_bytes: int) -> None:
        """The run has written so many samples and bytes of tars, counting unfinished shards too."""

    def working(self, doing: str, done: int, total: int) -> None:
        """`done` of `total` units of some work are done. The last word of `doing` is the unit: "verifying shards"."""

    def waiting(self, whom: str, seconds: float) -> None:
        """The command has waited so many seconds for a lock in the folder, which `whom` holds."""

    def noticed(self, text: str) -> None:
        """Something should be known now, and is no error: a cluster was started, a host is refused."""

    def close(self) -> None:
        """The command has ended, with or without an error; no other method is called after this one."""


class Silent:
    """The monitor that does nothing."""

    def scanning(self, done: int, total: int, images: int, unit: str = "folder") -> None:
        """Do nothing."""

    def found(self, listing: Listing) -> None:
        """Do nothing."""

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Do nothing."""

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Do nothing."""

    def working(self, doing: str, done: int, total: int) -> None:
        """Do nothing."""

    def waiting(self, whom: str, seconds: float) -> None:
        """Do nothing."""

    def noticed(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class _Guarded:
    """A monitor that calls another one. What the other one raises becomes a SharderError that names the method."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def scanning(self, done: int, total: int, images: int, unit: str = "folder") -> None:
        """Call the other monitor's method."""
        self._hand_on("scanning", done, total, images, unit)

    def found(self, listing: Listing) -> None:
        """Call the other monitor's method."""
        self._hand_on("found", listing)

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """Call the other monitor's method."""
        self._hand_on("planned", plan, kept)

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Call the other monitor's method."""
        self._hand_on("progress", samples, tar_bytes)

    def working(self, doing: str, done: int, total: int) -> None:
        """Call the other monitor's method."""
        self._hand_on("working", doing, done, total)

    def waiting(self, whom: str, seconds: float) -> None:
        """Call the other monitor's method."""
        self._hand_on("waiting", whom, seconds)

    def noticed(self, text: str) -> None:
        """Call the other monitor's method, if it has one: monitors made for the version before have none."""
        if hasattr(self._monitor, "noticed"):
            self._hand_on("noticed", text)

    def close(self) -> None:
        """Call the other monitor's method."""
        self._hand_on("close")

    def _hand_on(self, method: str, *arguments: Any) -> None:
        try:
            getattr(self._monitor, method)(*arguments)
        except SharderError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}".rstrip(".: ")
            raise SharderError(
                f"the monitor's method {method} raised {what}. What is done stays. Mend the monitor, and call again."
            ) from error


def waiting_for(monitor: Monitor, why: Callable[[str], str]) -> Callable[[str, float], None]:
    """Return the `waiting` of a monitor, which first notices once why; `why` gets for whom the command waits."""
    has_said = False

    def waiting(whom: str, seconds: float) -> None:
        nonlocal has_said
        if not has_said:
            has_said = True
            monitor.noticed(why(whom))
        monitor.waiting(whom, seconds)

    return waiting


@contextlib.contextmanager
def guarded(monitor: Monitor | None) -> Iterator[Monitor]:
    """Yield a monitor that calls the given one, if there is one, and close it at the end of the block.

    What the given monitor raises becomes a SharderError, except for what stops Python itself. After an error in the
    block, an error of closing is ignored.
    """
    guard = _Guarded(Silent() if monitor is None else monitor)
    try:
        yield guard
    except BaseException:
        with contextlib.suppress(SharderError):
            guard.close()
        raise
    guard.close()
