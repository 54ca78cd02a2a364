"""The board: the channel of engines whose workers see the coordinator's memory.

Some 64-bit words that all of them see: one flag, by which the coordinator tells every worker to stop, and for each slot
(one task in hand) the samples and the bytes that its function has told. The words need no lock: a slot's are written by
the worker that does its task, and by the coordinator once the task is done or its worker dead; the flag is written by
the coordinator.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import tempfile


class Board:
    """The words, in `memory` that is all zero to begin with."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._words = memoryview(memory).cast("Q")

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
            return _filled(unnamed_file("/dev/shm"), zeros)  # noqa: S108
        return _filled(unnamed_file(None), zeros)

    @property
    def stopped(self) -> bool:
        """Whether every worker is to stop."""
        return bool(self._words[0])

    def stop(self) -> None:
        """Tell every worker to stop."""
        self._words[0] = 1

    def slot(self, number: int) -> Slot:
        """The slot with this number, from 0."""
        return Slot(self._words, number)

    def told(self) -> tuple[int, int]:
        """Samples and bytes over all slots."""
        return sum(self._words[1::2]), sum(self._words[2::2])


class Slot:
    """The Progress of the task in one slot of a board."""

    def __init__(self, words: memoryview[int], number: int) -> None:
        self._words = words
        self._samples_at, self._bytes_at = 1 + 2 * number, 2 + 2 * number

    def tell(self, samples: int, written_bytes: int) -> None:
        """As Progress says."""
        self._words[self._samples_at] = samples
        self._words[self._bytes_at] = written_bytes

    @property
    def stopped(self) -> bool:
        """As Progress says."""
        return self._words[0] != 0


def unnamed_file(folder: str | None) -> int:
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
