"""The board: what workers and coordinator tell each other while a chunk is being written.

A few 64-bit counters in memory that both see: for each slot (one chunk in hand) the samples done and the tar bytes
written, and one flag that tells every worker to stop. One writer a counter, so no locks.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import tempfile


class Board:
    """Counters for some chunks at a time, in `memory` that is all zero to begin with."""

    def __init__(self, memory: bytearray | mmap.mmap) -> None:
        self._words = memoryview(memory).cast("Q")

    @classmethod
    def local(cls, slots: int) -> Board:
        """A board of so many slots within one process."""
        return cls(bytearray(8 * (1 + 2 * slots)))

    @classmethod
    def at(cls, descriptor: int) -> Board:
        """The board in the file that `create` has made; all processes that have it open see the same."""
        return cls(mmap.mmap(descriptor, 0))

    @staticmethod
    def create(slots: int) -> int:
        """The descriptor of a file without a name that holds a board of so many slots.

        The file is in memory if that can be, and else a temporary one. Raises OSError if there can be neither.
        """
        zeros = bytes(8 * (1 + 2 * slots))
        with contextlib.suppress(AttributeError, OSError):  # not on this system, or not in this container
            return _filled(os.memfd_create("parallel_sharder"), zeros)
        with contextlib.suppress(OSError):
            return _filled(_temporary("/dev/shm"), zeros)  # noqa: S108
        return _filled(_temporary(None), zeros)

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


def _temporary(folder: str | None) -> int:
    """The descriptor of a temporary file that has no name any more; None is the system's folder for such files."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        return os.dup(file.fileno())


def _filled(descriptor: int, data: bytes) -> int:
    """The descriptor, after `data` has been written to it: memory that is not there kills whoever touches it."""
    try:
        if os.write(descriptor, data) == len(data):
            return descriptor
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.close(descriptor)
        raise
