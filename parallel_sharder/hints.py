"""Hints: whether a run would be faster with a stage: because of where its source lies, or because its workers waited.

A hint is a sentence for people, with what was seen and the option that helps. It changes nothing. `--stage none` says
that no stage is wanted, and ends the hints.
"""

from __future__ import annotations

import contextlib
import time

import psutil

from parallel_sharder.model import Listing
from parallel_sharder.options import Options
from parallel_sharder.stores.disks import slow_place
from parallel_sharder.stores.waits import Waits


def slow_source(listing: Listing, options: Options) -> str:
    """Return the hint that the source lies where reads in shuffled order are slow; "" if nothing says so.

    Samples in the order of their keys are not read in the order of the disk either, but nearly so.
    """
    if options.stage is not None or not options.shuffle:
        return ""
    for path in dict.fromkeys(place.path for place in (listing.places[0], listing.places[-1])):
        place = slow_place(path)
        if place is not None:
            return (
                f"{path} lies on {place}, which gives shuffled samples slowly. --stage DIR first copies them in their "
                "own order, to a folder on a fast disk; --stage none ends this note."
            )
    return ""


class Watch:
    """A watch over the workers of this host, from when it is made."""

    def __init__(self) -> None:
        self._started, self._cpu_seconds = time.monotonic(), _cpu_seconds()

    def hint(self, options: Options, workers: int, read_bytes: int) -> str:
        """Return the hint that the workers waited for reads, of so many bytes in all; "" if they did not."""
        now = _cpu_seconds()
        if options.stage is not None or now is None or self._cpu_seconds is None:
            return ""
        waits = Waits(time.monotonic() - self._started, now - self._cpu_seconds, max(1, workers), read_bytes)
        if not waits.staging_would_help:
            return ""
        return (
            f"the workers waited {waits.share:.0%} of the time. If it was for the source, on a disk that seeks or on a "
            "network, --stage DIR is faster: it first copies the source, in its own order, to a folder on a fast disk."
        )


def _cpu_seconds() -> float | None:
    """Return the CPU time of this process and of the living processes below it, such as the workers.

    None if the system does not tell it, as where /proc is hidden.
    """
    try:
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    except (psutil.Error, OSError):
        return None
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has ended
            times = process.cpu_times()
            total += times.user + times.system
    return total
