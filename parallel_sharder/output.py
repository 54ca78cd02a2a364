"""Output: the file that a shard is written to, from front to back, through one buffer, hashed on the way.

Under a temporary name until it is published (see durable). On a file system of a block device it is written past the
page cache (O_DIRECT), which would only copy the bytes once more and throw out what others need: on ext4 that takes an
eighth to a quarter off the CPU time of a whole conversion (benchmarks.output). Network and memory file systems say yes
to O_DIRECT and become slower, or say no; they are written as usual.
"""

from __future__ import annotations

import mmap
import os

import xxhash

from parallel_sharder import durable

BUFFER_BYTES = 2 * 1024 * 1024
"""Written at a time past the page cache. Half and twice of it take a tenth more CPU time (benchmarks.output)."""

CACHED_BYTES = 1024 * 1024
"""Written at a time through it: a quarter of it takes a little more, twice of it half as much again."""

ALIGNMENT_BYTES = 4096
"""What memory, place and length of a write past the page cache are multiples of: the device's block, or a multiple of
it. For devices with larger blocks durable.write_all goes back to the page cache."""


class Output:
    """A new file that will be `path`. `size` counts the bytes it has been given."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor, self._temporary = durable.create(path)
        is_block_device = os.major(os.fstat(self._descriptor).st_dev) != 0
        self._is_direct = is_block_device and durable.set_direct(self._descriptor, True)
        self._capacity = BUFFER_BYTES if self._is_direct else CACHED_BYTES
        self._buffer = memoryview(mmap.mmap(-1, self._capacity))  # which begins at a page
        self._filled = 0
        self._digest = xxhash.xxh3_128()
        self.size = 0

    @property
    def xxh3_128(self) -> str:
        """The digest of the bytes so far, in hex."""
        return self._digest.hexdigest()

    def reserve(self, size: int) -> memoryview | None:
        """Room for the next `size` bytes, to be filled and then `advance`d over; None if that is more than fits."""
        if self._filled + size > self._capacity:
            self._write_out()
            if self._filled + size > self._capacity:
                return None
        return self._buffer[self._filled : self._filled + size]

    def advance(self, size: int) -> None:
        """Take the first `size` bytes of what was reserved as the next of the file."""
        self._digest.update(self._buffer[self._filled : self._filled + size])  # while they are in the cache
        self._filled += size
        self.size += size

    def write(self, data: bytes | memoryview) -> None:
        """Append any bytes, copied."""
        view = memoryview(data)
        while view:
            some = view[: self._capacity - ALIGNMENT_BYTES]
            room = self.reserve(len(some))
            assert room is not None
            room[:] = some
            self.advance(len(some))
            view = view[len(some) :]

    def publish(self) -> None:
        """Write the rest, sync, and give the file its final name. After an OSError the file is gone."""
        try:
            self._write_out()
            if self._is_direct:  # the rest is no whole block
                durable.set_direct(self._descriptor, False)
                self._is_direct = False
            self._write_out()
        except BaseException:
            self.discard()
            raise
        durable.publish(self._descriptor, self._temporary, self._path)

    def discard(self) -> None:
        """Remove the file."""
        durable.discard(self._descriptor, self._temporary)

    def _write_out(self) -> None:
        """Write what the buffer holds, but for what is no whole block if only such can be written."""
        rest = self._filled % ALIGNMENT_BYTES if self._is_direct else 0
        end = self._filled - rest
        durable.write_all(self._descriptor, self._buffer[:end])
        self._buffer[:rest] = self._buffer[end : self._filled]
        self._filled = rest
