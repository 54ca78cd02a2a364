"""Progress: what the function of a task is handed, to tell how far it is, and to ask whether to go on.

The function runs wherever its engine lets it run, and knows nothing of that place. How the numbers reach the
coordinator, and the wish to stop reaches the function, is the engine's business.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """The channel of one task."""

    def tell(self, samples: int, written_bytes: int) -> None:
        """So much of the task is done. Each call replaces what was told before."""

    @property
    def stopped(self) -> bool:
        """Whether the function should raise StoppedError, because nobody wants its result any more."""


class Counts:
    """A Progress within one process: its attributes are what was told last, and whether to stop."""

    def __init__(self) -> None:
        self.samples = self.written_bytes = 0
        self.stopped = False

    def tell(self, samples: int, written_bytes: int) -> None:
        """As Progress says."""
        self.samples, self.written_bytes = samples, written_bytes
