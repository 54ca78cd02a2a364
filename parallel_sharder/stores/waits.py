"""Waits: whether a conversion waited for reads so much that it would have been faster to read its source through first.

It calculates with what was measured, and knows neither disks nor files. It cannot tell a slow source from a slow
destination: one that takes less than 33 MB/s looks like a source that gives no more.
"""

from __future__ import annotations

from typing import NamedTuple

READ_THROUGH_BYTES = 100_000_000
"""How many bytes a second a disk gives that is read from front to back: hard disks give 100 to 270 MB, and a network of
1 Gbit 110. With a larger figure, sources that cannot be read so fast are said to gain; with a smaller one, some that
would gain are not."""

SLOWNESS = 3
"""How many times as long as with staging it must have taken. Staging takes room for the source once more, and its time
is only estimated, so half the time is not enough. A hard disk that finds 150 images of 110 KB a second takes 6 times as
long. With 3, no run that reads 33 MB/s is said to wait, however slow its destination is; with more, fewer hard disks
are noticed."""

SHORTEST_SECONDS = 30.0
"""A shorter period says nothing: starting takes a second, and nobody stages a source for so little."""


class Waits(NamedTuple):
    """What `workers` workers, 1 or more, did in a period.

    `wall_seconds` is the period's length, `cpu_seconds` their CPU time together, and `read_bytes` what they read of the
    source.
    """

    wall_seconds: float
    cpu_seconds: float
    workers: int
    read_bytes: int

    @property
    def share(self) -> float:
        """The share of the workers' time in which they did not compute, from 0 to 1."""
        return min(1.0, max(0.0, 1.0 - self.cpu_seconds / max(self.workers * self.wall_seconds, 1e-9)))

    @property
    def staged_seconds(self) -> float:
        """How long the same would have taken from a staged source: reading through, and then only computing."""
        return self.read_bytes / READ_THROUGH_BYTES + self.cpu_seconds / self.workers

    @property
    def staging_would_help(self) -> bool:
        """Whether the period took SLOWNESS times as long as it would have taken with staging."""
        return self.wall_seconds >= max(SHORTEST_SECONDS, SLOWNESS * self.staged_seconds)
