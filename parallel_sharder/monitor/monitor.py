"""The monitor's interface: what the inside tells of its work. Monitors and the command line are all that prints.

The coordinator calls a monitor from one thread, in the order of the methods below.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from parallel_sharder.errors import SharderError
from parallel_sharder.model import Listing, Plan, ShardRecord


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
