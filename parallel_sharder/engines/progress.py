"""Progress: the object by which the function of a task tells how far it is, and asks whether to stop.

The engine hands one to each function that it calls. The function does not know in which process or on which host it
runs; the engine carries the numbers to the coordinator, and the order to stop to the function.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """The channel of one task."""

    def tell(self, samples: int, written_bytes: int) -> None:
        """Tell how many samples and bytes of the task are done. Each call replaces the numbers of the last one."""

    @property
    def stopped(self) -> bool:
        """Whether the function should raise StoppedError, because its result is not wanted any more."""


class Counts:
    """A Progress for one process. Its attributes are the numbers that were told last, and whether to stop."""

    def __init__(self) -> None:
        self.samples = self.written_bytes = 0
        self.stopped = False

    def tell(self, samples: int, written_bytes: int) -> None:
        """As Progress says."""
        self.samples, self.written_bytes = samples, written_bytes
