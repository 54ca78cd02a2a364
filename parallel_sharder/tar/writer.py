"""The tar writer: samples in, a shard out.

A ShardFile is one shard on its way to its final name. A sample is given whole, by `write`, or is laid out by the caller
in the `room` for it, which is the file's own buffer, and is in the shard only from `take` on: one that fails half-way
leaves no trace. `finish()` is the only success: any other way out leaves no file under a final name.
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
"""What a sample is laid out in that has no room in the file's buffer is used again up to this size, and else freed."""


class Member(NamedTuple):
    """One file of a shard: its full name and its content."""

    name: str
    content: bytes


def sample_bytes(members: Iterable[Member]) -> int:
    """The bytes a sample takes in the tar: headers, data and padding of its members."""
    return sum(ustar.member_bytes(len(member.content)) for member in members)


class ShardFile:
    """One shard, written to `file`, which is handed over to it and gets its final name, `path`, by `finish`.

    As a context manager it removes the unfinished file on the way out, whatever the way. `path` and `number` are only
    recorded.
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
        self._scratch = memoryview(b"")
        self._stream: compress.Stream | None = None
        if compression != "none":
            self._stream = compress.open_stream(compression, compress.Sink(self._store), compression_threads)

    def write(self, members: Iterable[Member]) -> int:
        """Append one sample and return its bytes in the tar.

        Raises ValueError for a name or size that tar cannot hold; the shard is then as it was before. Raises OSError if
        the file cannot be written; the shard is then given up.
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
        """Room for the next sample, of `size` bytes, in which it is laid out until `take` makes it one of the shard.

        Nothing of it is in the shard before, and whoever asks for room again begins anew. Raises OSError as `write`
        does.
        """
        if not self._open:
            self._refuse_closed()
        self._elsewhere = None
        if self._stream is None:
            try:
                room = self._file.reserve(size)
            except BaseException:
                self.abort()  # part of it may be in the file: nothing can follow
                raise
            if room is not None:
                return room
        self._elsewhere = self._scratch_of(size)
        return self._elsewhere

    def take(self, size: int) -> None:
        """Append the first `size` bytes of the room as one sample. Raises OSError as `write` does."""
        if self._elsewhere is None:
            self._file.advance(size)
        else:
            self._append(self._elsewhere[:size])
        self.samples += 1
        self.tar_bytes += size

    def finish(self) -> ShardRecord:
        """End the archive, sync it, and give it its final name. Raises OSError as `write` does.

        If the name is taken meanwhile, that is FileExistsError; a file of the same bytes is kept, and is the shard.
        Where the file system refuses to sync at all (SMB for folders, some FUSE), that is passed over.
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
        """Remove what has been written, unless `finish` has made it a shard."""
        if not self._open:
            return
        self._open = False
        try:
            if self._stream is not None:
                self._stream.close()  # ends the threads; what they still store is thrown away
        finally:
            self._file.abort()

    def abandon(self) -> None:
        """Remove what has been written where nobody can wait for the compressor's threads: they may have ended."""
        if not self._open:
            return
        self._open = False
        if self._stream is None:
            self._file.abort()
        else:
            compress.leave(self._stream)
            self._file.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _scratch_of(self, size: int) -> memoryview:
        """Memory of `size` bytes, which is used again unless it is large."""
        if size > _REUSED_BYTES:
            return memoryview(bytearray(size))
        if not self._scratch:  # of this only the pages that are written to take memory
            self._scratch = memoryview(mmap.mmap(-1, _REUSED_BYTES))
        return self._scratch[:size]

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
