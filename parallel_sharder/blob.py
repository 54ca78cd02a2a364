"""A blob: bytes that lie in a file of the source, read straight into a buffer.

A blob is (file, offset, length), so that a loose JPEG and one inside an archive are read in the same way. The length
is the one the plan was made with: a file that has another size by now is a problem of its sample.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from parallel_sharder.errors import SampleError
from parallel_sharder.model import Kind


class Blob(NamedTuple):
    """All `length` bytes of the file at `path`."""

    path: str
    length: int

    def read_into(self, view: memoryview) -> None:
        """Fill `view`, of exactly `length` bytes. Raises SampleError if the file cannot be read or has another size."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = _fill(descriptor, view)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SampleError(Kind.UNREADABLE, self.path, error.strerror or str(error)) from error
        if size != self.length:
            now = f"{size:,}" if size < self.length else "more"
            raise SampleError(Kind.CHANGED, self.path, f"{self.length:,} bytes when scanned, {now} when read")

    def announce(self) -> None:
        """Have the system begin to read it, without waiting. What is wrong with it will be seen when it is read."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(descriptor, 0, self.length, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)

    def read(self) -> bytes:
        """The bytes, in an object of their own; errors as for `read_into`."""
        data = bytearray(self.length)
        self.read_into(memoryview(data))
        return bytes(data)


def _fill(descriptor: int, view: memoryview) -> int:
    """Read until `view` is full or the file ends; the bytes read, one too many if the file goes on behind them."""
    # The further byte tells in the same system call whether the file has grown, which would otherwise take an fstat.
    beyond = bytearray(1)
    size = os.readv(descriptor, [view, beyond])
    while size < len(view):  # network file systems may give less at a time
        read = os.readv(descriptor, [view[size:], beyond])
        if not read:
            break
        size += read
    return size
