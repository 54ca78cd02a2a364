"""The board: what workers and coordinator tell each other while a chunk is being written.

A few 64-bit counters in memory that both see: for each slot (one chunk in hand) the samples done and the tar bytes
written, and one flag that tells every worker to stop. One writer a counter, so no locks.
"""

from __future__ import annotations

import ctypes
from multiprocessing.context import BaseContext
from typing import Any


class Board:
    """Counters for `slots` chunks at a time, in `memory` of `words(slots)` 64-bit words, all zero to begin with."""

    def __init__(self, memory: Any) -> None:
        self._words = memoryview(memory).cast("B").cast("Q")

    @staticmethod
    def shared(context: BaseContext, slots: int) -> Any:
        """Memory for a board that processes of `context` inherit; give it to `Board` on both sides."""
        return context.RawArray(ctypes.c_uint64, 1 + 2 * slots)

    @staticmethod
    def local(slots: int) -> Any:
        """Memory for a board within one process."""
        return bytearray(8 * (1 + 2 * slots))

    @property
    def stopped(self) -> bool:
        """Whether every worker is to stop."""
        return bool(self._words[0])

    def stop(self) -> None:
        """Tell every worker to stop at its next sample."""
        self._words[0] = 1

    def write(self, slot: int, samples: int, tar_bytes: int) -> None:
        """Set how far the chunk in `slot` is."""
        self._words[1 + 2 * slot] = samples
        self._words[2 + 2 * slot] = tar_bytes

    def read(self) -> tuple[int, int]:
        """Samples and tar bytes over all slots."""
        return sum(self._words[1::2]), sum(self._words[2::2])
