"""The tar writer: samples in, a shard out.

A ShardFile is one shard on its way to its final name. Samples are laid out whole in one reused buffer before anything
of them reaches the file, so a sample that fails half-way leaves no trace. `finish()` is the only success: any other way
out leaves no file under a final name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from parallel_sharder import compress, ustar
from parallel_sharder.members import Late, Member
from parallel_sharder.model import ShardRecord
from parallel_sharder.stores import store_of


def content_bytes(member: Member) -> int:
    """The size of a member's data; of late content the most it can be."""
    return len(member.content) if isinstance(member.content, bytes) else member.content.length


def sample_bytes(members: Iterable[Member]) -> int:
    """The bytes a sample takes in the tar: headers, data and padding of its members."""
    return sum(ustar.member_bytes(content_bytes(member)) for member in members)


class ShardFile:
    """One shard, written under a temporary name until `finish` gives it `path`.

    As a context manager it removes the unfinished file on the way out, whatever the way. `number` is only recorded;
    `md5` asks for the file's MD5; with `mends` a damaged copy of the shard, which has its name, is replaced.
    """

    def __init__(
        self,
        path: str,
        number: int = 0,
        *,
        compression: str = "none",
        compression_threads: int = 1,
        template: ustar.HeaderTemplate | None = None,
        md5: bool = False,
        mends: bool = False,
    ) -> None:
        self.path = path
        self.number = number
        self.samples = 0
        self.tar_bytes = 0
        self._template = template or ustar.HeaderTemplate()
        self._output = store_of(path).create(path, md5=md5, mends=mends)
        self._open = True
        self._stream: compress.Stream | None = None
        if compression != "none":
            self._stream = compress.open_stream(compression, compress.Sink(self._store), compression_threads)

    def write(self, members: Sequence[Member]) -> int:
        """Append one sample and return its bytes in the tar.

        Raises SampleError for content that cannot be read and ValueError for a name or size that tar cannot hold; the
        shard is then as it was before. Raises OSError if the file cannot be written; the shard is then given up.
        """
        self._refuse_closed()
        size = sample_bytes(members)
        room = self._reserve(size)
        if room is not None:
            size = self._lay_out(members, room)
            self._output.advance(size)
        else:
            whole = memoryview(bytearray(size))
            size = self._lay_out(members, whole)
            self._append(whole[:size])
        self.samples += 1
        self.tar_bytes += size
        return size

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
        self._output.finish()
        output = self._output
        sizes = self.samples, self.tar_bytes, output.size
        return ShardRecord(self.number, self.path, *sizes, output.xxh3_128, md5=output.md5)

    def abort(self) -> None:
        """Remove what has been written, unless `finish` has made it a shard."""
        if not self._open:
            return
        self._open = False
        try:
            if self._stream is not None:
                self._stream.close()  # ends the threads; what they still store is thrown away
        finally:
            self._output.abort()

    def abandon(self) -> None:
        """Remove what has been written where nobody can wait for the compressor's threads: they may have ended."""
        if not self._open:
            return
        self._open = False
        if self._stream is None:
            self._output.abort()
        else:
            compress.leave(self._stream)
            self._output.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _lay_out(self, members: Sequence[Member], view: memoryview) -> int:
        """Lay the sample out at the beginning of `view`; where it ends."""
        position = 0
        before: list[bytes] = []  # what stands before the next content that is read into its place: copied in one go
        for name, content in members:
            if isinstance(content, Late):
                content = content.make()
            if isinstance(content, bytes):
                size = len(content)
                before += (self._template.header(name, size), content, ustar.PADDING[size % ustar.BLOCK_BYTES])
            else:
                size = content.length
                before.append(self._template.header(name, size))
                position = _put(before, view, position) + size
                content.read_into(view[position - size : position])
                before = [ustar.PADDING[size % ustar.BLOCK_BYTES]]
        return _put(before, view, position)

    def _reserve(self, size: int) -> memoryview | None:
        """Room in the file's buffer; None if the sample has to be laid out elsewhere, and appended then."""
        if self._stream is not None:
            return None
        try:
            return self._output.reserve(size)
        except BaseException:
            self.abort()  # part of it may be in the file: nothing can follow
            raise

    def _append(self, data: memoryview) -> None:
        try:
            if self._stream is None:
                self._output.write(data)
            else:
                self._stream.write(data)
        except BaseException:
            self.abort()
            raise

    def _store(self, data: bytes) -> None:
        if self._open:
            self._output.write(data)

    def _refuse_closed(self) -> None:
        if not self._open:
            raise ValueError(f"{self.path}: the shard has been finished or given up")


def _put(parts: Iterable[bytes], view: memoryview, start: int) -> int:
    """Copy the parts into the view, one behind the other; where they end."""
    whole = b"".join(parts)
    end = start + len(whole)
    view[start:end] = whole
    return end
