"""The writer of tar shards: samples come in, and the ShardRecord of a finished shard is returned.

A ShardFile is one shard that is being written to a file that the caller has created. A sample comes in whole, by
`write`; or the caller asks for `room`, which is the file's own buffer, lays the sample out there, and calls `take`. A
sample is in the shard only after `take`, so one that fails half-way leaves no trace. `finish()` is the only success:
after anything else there is no file under the final name.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from parallel_sharder.model import ShardRecord
from parallel_sharder.tar import compress, ustar

if TYPE_CHECKING:
    from parallel_sharder.stores.store import Writer

_REUSED_BYTES = 2 * 1024 * 1024
"""Memory for samples that do not fit into the file's buffer is used again up to this size. Larger memory is freed when
the next room is asked for."""


class Member(NamedTuple):
    """One file of a shard: its full name and its content."""

    name: str
    content: bytes


def sample_bytes(members: Iterable[Member]) -> int:
    """Return the bytes of a sample in the tar: headers, data and padding of its members."""
    return sum(ustar.member_bytes(len(member.content)) for member in members)


class ShardFile:
    """One shard, written to `file`, which belongs to it from now on, and which gets its final name by `finish`.

    As a context manager it removes the file on exit, unless the shard is finished. `path` and `number` are used in the
    record and in messages only.
    """

    def __init__(
        self,
        file: Writer,
        path: str,
        number: int = 0,
        *,
        compression: str = "none",
        compression_threads: int = 1,
        template: ustar.HeaderTemplate | None = None,
    ) -> None:
        self.path = path
        self.number = number
        self.samples = 0
        self.tar_bytes = 0
        self._template = template or ustar.HeaderTemplate()
        self._file = file
        self._open = True
        self._elsewhere: memoryview | None = None
        self._reused = memoryview(b"")
        self._stream: compress.Stream | None = None
        if compression != "none":
            self._stream = compress.open_stream(compression, compress.Sink(self._store), compression_threads)

    def write(self, members: Iterable[Member]) -> int:
        """Append one sample and return its bytes in the tar.

        Raises ValueError for a name or size that tar cannot hold; the shard is then unchanged. Raises OSError if the
        file cannot be written; the shard is then given up.
        """
        self._refuse_closed()
        parts: list[bytes] = []
        for name, content in members:
            header = self._template.header(name, len(content))
            parts += (header, content, ustar.PADDING[len(content) % ustar.BLOCK_BYTES])
        data = memoryview(b"".join(parts))
        self._append(data)
        self.samples += 1
        self.tar_bytes += len(data)
        return len(data)

    def room(self, size: int) -> memoryview:
        """Return room of `size` bytes, in which the caller lays out the next sample before it calls `take`.

        Before `take` nothing of the sample is in the shard. A second call before `take` discards the room of the first.
        Raises OSError as `write` does.
        """
        if not self._open:
            self._refuse_closed()
        self._elsewhere = None
        if self._stream is None:
            try:
                room = self._file.reserve(size)
            except BaseException:
                self.abort()  # the file may hold a part of what was written, and nothing can follow it
                raise
            if room is not None:
                return room
        self._elsewhere = self._reused_memory(size)
        return self._elsewhere

    def take(self, size: int) -> None:
        """Append the first `size` bytes of the room as one sample. May store data, and so raise OSError, as `write`."""
        if self._elsewhere is None:
            self._file.advance(size)
        else:
            self._append(self._elsewhere[:size])
        self.samples += 1
        self.tar_bytes += size

    def finish(self) -> ShardRecord:
        """End the archive, sync it, give it its final name, and return its record. Raises OSError as `write` does.

        Raises FileExistsError if another file has got the name meanwhile. If that file has the same bytes, it is kept
        and is the shard. A file system that does not sync at all (SMB for folders, some FUSE) is no error.
        """
        self._refuse_closed()
        self._append(memoryview(ustar.END))
        self.tar_bytes += len(ustar.END)
        if self._stream is not None:
            self._stream.close()
        self._open = False
        self._file.finish()
        sizes = self.samples, self.tar_bytes, self._file.size
        return ShardRecord(self.number, self.path, *sizes, self._file.xxh3_128, md5=self._file.md5)

    def abort(self) -> None:
        """Remove the file, unless the shard is finished or given up already."""
        if not self._open:
            return
        self._open = False
        try:
            if self._stream is not None:
                self._stream.close()  # this ends its threads; what they still write is discarded
        finally:
            self._file.abort()

    def abandon(self) -> None:
        """Remove the file as `abort` does, without waiting for the compressor's threads, which may have ended."""
        if not self._open:
            return
        self._open = False
        if self._stream is None:
            self._file.abort()
        else:
            compress.abandon(self._stream)
            self._file.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _reused_memory(self, size: int) -> memoryview:
        """Return memory of `size` bytes, which the next call uses again unless it is large."""
        if size > _REUSED_BYTES:
            return memoryview(bytearray(size))
        if not self._reused:  # only the pages that are written to take memory
            try:
                self._reused = memoryview(mmap.mmap(-1, _REUSED_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            except OSError as error:  # which would say that the shard cannot be written
                raise MemoryError from error
        return self._reused[:size]

    def _append(self, data: memoryview) -> None:
        try:
            if self._stream is None:
                self._file.write(data)
            else:
                self._stream.write(data)
        except BaseException:
            self.abort()
            raise

    def _store(self, data: bytes) -> None:
        if self._open:
            self._file.write(data)

    def _refuse_closed(self) -> None:
        if not self._open:
            raise ValueError(f"{self.path}: the shard has been finished or given up")
