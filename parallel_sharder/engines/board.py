"""The board: memory that the coordinator and its workers share, in which workers tell how far they are.

It has 64-bit words: one flag, by which the coordinator tells all workers to stop, and two words for each slot (one task
in hand), with the samples and the bytes that the task's function has told. The words need no lock, because each has
one writer at a time. The flag is written by the coordinator. A slot is written by the worker that does its task, and by
the coordinator after the task is done or the worker has died.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import tempfile


class Board:
    """The board in `memory`, which is all zero at first."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._words = memoryview(memory).cast("Q")

    @classmethod
    def at(cls, descriptor: int) -> Board:
        """Return the board in the file that `create` has made. All processes that have the file open share it."""
        return cls(mmap.mmap(descriptor, 0))

    @staticmethod
    def create(slots: int) -> int:
        """Return the descriptor of a file without a name that holds a board with this number of slots.

        The file is in memory if possible, and otherwise a temporary file. Raises OSError if neither can be made.
        """
        zeros = bytes(8 * (1 + 2 * slots))
        with contextlib.suppress(AttributeError, OSError):  # this system, or this container, has no such files
            return _filled(os.memfd_create("parallel_sharder"), zeros)
        with contextlib.suppress(OSError):
            return _filled(unnamed_file("/dev/shm"), zeros)  # noqa: S108
        return _filled(unnamed_file(None), zeros)

    @property
    def stopped(self) -> bool:
        """Whether all workers are to stop."""
        return bool(self._words[0])

    def stop(self) -> None:
        """Tell all workers to stop."""
        self._words[0] = 1

    def slot(self, number: int) -> Slot:
        """Return the slot with this number; the first is 0."""
        return Slot(self._words, number)

    def told(self) -> tuple[int, int]:
        """Return the sums of samples and of bytes over all slots."""
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
    """Return the descriptor of a temporary file without a name. None is the system's folder for temporary files."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        return os.dup(file.fileno())


def _filled(descriptor: int, data: bytes) -> int:
    """Return the descriptor, after `data` has been written to it.

    That reserves the memory: a process is killed if it uses shared memory that the system cannot provide.
    """
    try:
        if os.write(descriptor, data) == len(data):
            return descriptor
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.close(descriptor)
        raise
