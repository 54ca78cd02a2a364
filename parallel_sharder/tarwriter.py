"""The tar writer: samples in, shards out.

A ShardFile is one shard on its way to its final name; a ShardWriter is a row of them that rotates at a size or a
count. Samples are laid out whole in one reused buffer before anything of them reaches the file, so a sample that fails
half-way leaves no trace. `finish()` is the only success: any other way out leaves no file under a final name.
"""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from parallel_sharder import compress, ustar
from parallel_sharder.destination import ShardPattern
from parallel_sharder.errors import DestinationError
from parallel_sharder.members import Late, Member
from parallel_sharder.model import ShardRecord
from parallel_sharder.output import Output


def content_bytes(member: Member) -> int:
    """The size of a member's data; of late content the most it can be."""
    return len(member.content) if isinstance(member.content, bytes) else member.content.length


def sample_bytes(members: Iterable[Member]) -> int:
    """The bytes a sample takes in the tar: headers, data and padding of its members."""
    return sum(ustar.member_bytes(content_bytes(member)) for member in members)


class ShardFile:
    """One shard, written under a temporary name until `finish` gives it `path`.

    As a context manager it removes the unfinished file on the way out, whatever the way. `number` is only recorded;
    `md5` asks for the file's MD5.
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
    ) -> None:
        self.path = path
        self.number = number
        self.samples = 0
        self.tar_bytes = 0
        self._template = template or ustar.HeaderTemplate()
        self._output = Output(path, md5=md5)
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

        Where the file system refuses to sync at all (SMB for folders, some FUSE), that is passed over.
        """
        self._refuse_closed()
        self._append(memoryview(ustar.END))
        self.tar_bytes += len(ustar.END)
        if self._stream is not None:
            self._stream.close()
        self._open = False
        self._output.publish()
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
            self._output.discard()

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


class ShardWriter:
    """Writes samples to numbered shards: `with ShardWriter("x-%06d.tar") as shards: shards.write(sample)`.

    `pattern` holds one `%0Nd`; its ending (.tar, .tgz, .tar.gz, .tar.zst) chooses the compression. A shard is closed
    before the sample that would take it past `maxsize` bytes (everything in the tar counted, before compression) or
    `maxcount` samples. `mtime`, in seconds since 1970, is every member's.

    Missing folders are made. Leaving the `with` block by an exception removes the shard that is being written; the
    finished ones, in `records`, stay. A shard that exists already is an error (DestinationError), never overwritten.
    """

    def __init__(
        self,
        pattern: str,
        *,
        maxsize: float = 1e9,
        maxcount: int | None = None,
        start_shard: int = 0,
        mtime: int = 0,
        compression_threads: int = 1,
    ) -> None:
        self._pattern = ShardPattern.parse(pattern)
        if maxsize <= 0 or (maxcount is not None and maxcount < 1):
            raise ValueError(f"maxsize {maxsize} and maxcount {maxcount} must be positive")
        self._maxsize = int(maxsize)
        self._maxcount = maxcount
        self._template = ustar.HeaderTemplate(mtime=mtime)
        self._compression_threads = compression_threads
        self._number = start_shard
        self._shard: ShardFile | None = None
        self._previous_key = ""
        self.records: list[ShardRecord] = []

    def write(self, sample: Mapping[str, Any]) -> None:
        """Append one sample: `{"__key__": "n01440764_36", "jpg": b"...", "cls": 0, "json": {...}}`.

        Members are stored in the order of their names; entries that begin with "_" are not stored. Bytes are stored as
        they are, text as UTF-8, an int as ASCII digits, and under a name ending in "json" any value as JSON. Keys must
        be unique in the set; only an immediate repeat is noticed.

        Raises ValueError naming the key, the field and the rule for what readers would not give back as it was.
        """
        members = encode(sample)
        size = sample_bytes(members)
        key = sample["__key__"]
        if key == self._previous_key:
            raise ValueError(f"{key!r}: the sample before has the same key, and readers would merge the two")
        if size + len(ustar.END) > self._maxsize:
            raise ValueError(f"{key!r} needs {size + len(ustar.END):,} bytes, more than maxsize {self._maxsize:,}")
        shard = self._shard
        if shard is not None and (
            shard.tar_bytes + size + len(ustar.END) > self._maxsize or shard.samples == self._maxcount
        ):
            self._finish_shard()
        if self._shard is None:
            self._shard = self._next_shard()
        self._shard.write(members)
        self._previous_key = key

    def close(self) -> None:
        """Finish the last shard. Writing nothing makes no shard."""
        self._finish_shard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._shard is not None:
            self._shard.abort()
            self._shard = None

    def _next_shard(self) -> ShardFile:
        path = self._pattern.path(self._number)
        if os.path.exists(path):
            raise DestinationError(f"{path} is already there, and nothing is overwritten; remove it or rename the set")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return ShardFile(
            path,
            self._number,
            compression=self._pattern.compression,
            compression_threads=self._compression_threads,
            template=self._template,
        )

    def _finish_shard(self) -> None:
        if self._shard is None:
            return
        with self._shard as shard:
            self._shard = None
            self.records.append(shard.finish())
        self._number += 1


def encode(sample: Mapping[str, Any]) -> list[Member]:
    """The members of a WebDataset sample, checked against what the readers can give back; see ShardWriter.write."""
    key = sample.get("__key__")
    if not isinstance(key, str) or not key:
        raise ValueError(f"a sample needs a '__key__' that is text, not {key!r}")
    base = key.rpartition("/")[2]
    if not key.isascii() or any(c.isspace() or c == "\0" for c in key):
        raise ValueError(f"{key!r}: a key is ASCII without white space")
    if not base or "." in base or base.startswith("__") or key.startswith(("/", "__")):
        raise ValueError(f"{key!r}: a key's last part holds no dot, and neither it nor the whole begins with '__'")
    fields = sorted(field for field in sample if not field.startswith("_"))
    if not fields:
        raise ValueError(f"{key!r}: a sample needs at least one field")
    return [Member(_member_name(key, field), _encode(key, field, sample[field])) for field in fields]


def _member_name(key: str, field: str) -> str:
    if not field or not field.isascii() or field != field.lower() or any(c.isspace() or c in "/\0" for c in field):
        raise ValueError(f"{key!r}: field {field!r} is not lower-case ASCII without white space or slash")
    name = f"{key}.{field}"
    if len(name) > ustar.NAME_LIMIT_BYTES:
        raise ValueError(f"{name!r} has {len(name)} bytes; a member's name has at most {ustar.NAME_LIMIT_BYTES}")
    return name


def _encode(key: str, field: str, value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8")
    if field.rpartition(".")[2] == "json":
        try:
            return json.dumps(value).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{key!r}: field {field!r} is not JSON: {error}") from error
    if isinstance(value, numbers.Integral):  # numpy's integers too
        return b"%d" % int(value)
    raise ValueError(f"{key!r}: field {field!r} holds {type(value).__name__}; store bytes, text, an int, or JSON")
