"""DirectFile: a shard's file on the local disk, written from front to back through one buffer, and hashed on the way.

The file has a temporary name until it is finished (see durable). On a file system of a block device it is written past
the page cache (O_DIRECT). The page cache would only copy the bytes once more and evict what others need; without it, a
whole conversion on ext4 takes an eighth to a quarter less CPU time (benchmarks.output). Network and memory file systems
accept O_DIRECT and become slower, or refuse it; there the file is written as usual.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import mmap
import os

import xxhash

from parallel_sharder.stores import durable, traces

BUFFER_BYTES = 2 * 1024 * 1024
"""How many bytes are written at a time. Half of it takes a sixteenth more CPU time, a quarter more still
(benchmarks.output)."""

HUGE_PAGE_BYTES = 2 * 1024 * 1024
"""The size of a huge page on x86 and, with pages of 4 KB, on ARM. With another size the buffer is in normal pages."""

ALIGNMENT_BYTES = 4096
"""The address, offset and length of a write past the page cache are multiples of it. It is the device's block size, or
a multiple of that. For devices with larger blocks, durable.write_all returns to the page cache."""


class DirectFile:
    """A new file that will be `path`, as `store.Writer` and `Store.create` describe it.

    `size` is the number of bytes written so far; `md5` asks for the MD5 too. With `replaces_damaged`, a file that has
    the name and is a damaged copy of the new file is replaced; no other file is.
    """

    def __init__(self, path: str, *, md5: bool = False, replaces_damaged: bool = False) -> None:
        self._path = path
        self._replaces_damaged = replaces_damaged
        self._descriptor, self._temporary = durable.create(path)
        is_block_device = os.major(os.fstat(self._descriptor).st_dev) != 0
        self._is_direct = is_block_device and durable.set_direct(self._descriptor, True)
        self._buffer = _memory(BUFFER_BYTES)
        self._filled = 0
        self._digest = xxhash.xxh3_128()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self.size = 0

    @property
    def xxh3_128(self) -> str:
        """The digest of the bytes so far, in hex."""
        return self._digest.hexdigest()

    @property
    def md5(self) -> str:
        """The MD5 of the bytes so far, in hex; "" if it was not asked for."""
        return "" if self._md5 is None else self._md5.hexdigest()

    def reserve(self, size: int) -> memoryview | None:
        """Return room for the next `size` bytes, to be filled and then `advance`d over; None if it is too much."""
        end = self._filled + size
        if end > BUFFER_BYTES:
            self._write_out()
            end = self._filled + size
            if end > BUFFER_BYTES:
                return None
        return self._buffer[self._filled : end]

    def advance(self, size: int) -> None:
        """Append the first `size` of the reserved bytes to the file."""
        end = self._filled + size
        new = self._buffer[self._filled : end]
        self._digest.update(new)  # while they are in the cache
        if self._md5 is not None:
            self._md5.update(new)
        self._filled = end
        self.size += size

    def write(self, data: bytes | memoryview) -> None:
        """Append a copy of the data, of any length."""
        view = memoryview(data)
        while view:
            some = view[: BUFFER_BYTES - ALIGNMENT_BYTES]
            room = self.reserve(len(some))
            assert room is not None  # noqa: S101 - it is smaller than the buffer
            room[:] = some
            self.advance(len(some))
            view = view[len(some) :]

    def finish(self) -> None:
        """Write the rest, sync, and give the file its final name.

        After an error the new file is removed, unless only the folder's sync failed.
        Raises FileExistsError if a different file has the name; a file of the same bytes is kept.
        """
        try:
            self._write_out()
            if self._is_direct:  # because the rest is no whole block
                durable.set_direct(self._descriptor, False)
                self._is_direct = False
            self._write_out()
        except BaseException:
            self.abort()
            raise
        durable.finish(
            self._descriptor, self._temporary, self._path, self._is_damaged if self._replaces_damaged else None
        )

    def _is_damaged(self, path: str) -> bool:
        return traces.is_damaged_copy(path, self._temporary)

    def abort(self) -> None:
        """Remove the file."""
        durable.discard(self._descriptor, self._temporary)

    def abandon(self) -> None:
        """Remove the file's name alone: a compressor's thread may be writing to it."""
        durable.remove(self._temporary)

    def _write_out(self) -> None:
        """Write the buffer's bytes; past the page cache only whole blocks, and the rest stays in the buffer."""
        rest = self._filled % ALIGNMENT_BYTES if self._is_direct else 0
        end = self._filled - rest
        durable.write_all(self._descriptor, self._buffer[:end])
        self._buffer[:rest] = self._buffer[end : self._filled]
        self._filled = rest


def _memory(size: int) -> memoryview:
    """Return `size` bytes of memory that begin where a huge page can, and lie in huge pages where the system has them.

    The device is then given one page instead of 512, which takes a tenth off the CPU time of a conversion
    (benchmarks.output). Of the reserved memory, only the pages that are written to are used.
    """
    whole = mmap.mmap(-1, size + HUGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError, AttributeError):  # not everywhere
        whole.madvise(mmap.MADV_HUGEPAGE)
    start = -ctypes.addressof(ctypes.c_char.from_buffer(whole)) % HUGE_PAGE_BYTES
    return memoryview(whole)[start : start + size]
