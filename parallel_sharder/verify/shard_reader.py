"""ShardReader: it reads a shard's file once for verify, from front to back, and hashes and unpacks it.

A compressed file must be one gzip member or one zstd frame, from its first byte to its last, because many readers stop
at the end of the first member of gzip, and because ours have one frame. Frames of others may be several, which all
readers read. Whatever the file's headers say, no more is unpacked than the manifest says, and of a member no
more than WHOLE_BYTES are kept. It shares no code with the modules that write tars and compress them.
"""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple, Protocol

import xxhash

READ_BYTES = 1 << 20

WHOLE_BYTES = 32 << 20
"""The most bytes that are kept of a member's content. The largest images have 15 MB; a higher limit costs memory."""

_PIECE_BYTES = 1 << 17
"""How many bytes are unpacked at a time: the most that a block of zstd holds."""

_WINDOW_BYTES = 8 << 20
"""The largest window that is accepted: a header can ask for terabytes.

RFC 8878, 3.1.1.1.2, wants every decompressor to support a window of this size.
"""

_FOREIGN_WINDOW_BYTES = 128 << 20
"""The largest window in shards of other tools: the program zstd itself accepts no larger one unless it is told to."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_DICTIONARY_ID_BYTES = 0, 1, 2, 4
_CONTENT_SIZE_BYTES = 0, 2, 4, 8
_RLE = 1
_SKIPPABLE_MAGIC = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""How a frame without content begins, which pzstd writes before each of its frames. Source: RFC 8878, 3.1.2."""

_JPEG_END = b"\xff\xd9"


class TooLongError(Exception):
    """The tar has more bytes than the manifest says."""


class Content(NamedTuple):
    """The content of a member.

    `data` is the whole content if it has at most WHOLE_BYTES. Of larger content it is the beginning, followed by a
    JPEG's end marker if one comes later. `digest` is the XXH3-128 of the whole content, or b"" if the content is not
    larger and no digest was asked for.
    """

    data: bytes
    digest: bytes


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...


class ShardReader:
    """The reader of the tar in `file`, of which it reads at most `limit` bytes.

    The ending of `path` says how the file is compressed. `position` is the offset in the tar, before compression. If
    the file `is_foreign`, it may have several zstd frames.
    """

    def __init__(
        self,
        file: io.RawIOBase | io.BytesIO,
        path: str,
        limit: int,
        *,
        with_md5: bool,
        is_foreign: bool = False,
    ) -> None:
        self._xxh3_128 = xxhash.xxh3_128()
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None
        self._hashed = _Hashed(file, [digest for digest in (self._xxh3_128, self._md5) if digest is not None])
        self._file: IO[bytes] = io.BufferedReader(self._hashed, READ_BYTES)
        self._stream: IO[bytes] = self._file
        if not path.endswith(".tar"):
            frames = _frames if is_foreign else _frame
            pieces = frames(self._file) if path.endswith(".zst") else _member(self._file)
            self._stream = io.BufferedReader(_Joined(pieces), _PIECE_BYTES)
        self._limit = limit
        self.position = 0
        self.is_too_long = False

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes of the tar, or fewer at its end.

        Raises TooLongError past the limit, OSError, and whatever the decompressors raise for damaged streams.
        """
        data = self._stream.read(size)
        self.position += len(data)
        if self.position > self._limit:
            self.is_too_long = True
            raise TooLongError
        return data

    def content(self, size: int, *, with_digest: bool) -> Content:
        """Return the next `size` bytes as a member's content, or fewer at the tar's end. Raises what `read` raises."""
        data = self.read(min(size, WHOLE_BYTES))
        if size <= WHOLE_BYTES:
            return Content(data, xxhash.xxh3_128_digest(data) if with_digest else b"")
        digest, last, has_end = xxhash.xxh3_128(data), data[-1:], False
        left = size - len(data)
        while left and (part := self.read(min(left, READ_BYTES))):
            digest.update(part)
            has_end = has_end or _JPEG_END in last + part
            last = part[-1:]
            left -= len(part)
        return Content(data + _JPEG_END * has_end, digest.digest())

    def skip(self, size: int) -> None:
        """Read the next `size` bytes, or fewer at the tar's end, and keep none. Raises what `read` raises."""
        while size and (part := self.read(min(size, READ_BYTES))):
            size -= len(part)

    def read_on(self) -> None:
        """Read the rest of the file for its digests, without unpacking it."""
        while self._file.read(READ_BYTES):
            pass

    @property
    def file_bytes(self) -> int:
        """The number of bytes of the file that were read."""
        return self._hashed.size

    @property
    def digests(self) -> tuple[str, str]:
        """XXH3-128 and MD5 of the bytes of the file that were read, in hex; the MD5 is "" if it was not asked for."""
        return self._xxh3_128.hexdigest(), self._md5.hexdigest() if self._md5 else ""


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed and counted as they are read."""

    def __init__(self, file: io.RawIOBase | io.BytesIO, digests: Sequence[_Digest]) -> None:
        self._file = file
        self._digests = digests
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer) or 0
        for digest in self._digests:
            digest.update(memoryview(buffer)[:size])
        self.size += size
        return size


class _Joined(io.RawIOBase):
    """A file that is made of pieces of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _member(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the unpacked content of the file's one gzip member. Raises ValueError, or zlib.error, for other files."""
    member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    while not member.eof:
        packed = member.unconsumed_tail or file.read(_PIECE_BYTES)
        piece = member.decompress(packed, _PIECE_BYTES)
        if piece:
            yield piece
        elif not packed and not member.eof:
            raise ValueError("the file ends within its gzip member")
    if member.unused_data or file.read(1):
        raise ValueError("the file has more bytes after its gzip member")


def _frame(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the unpacked content of the file's one zstd frame. Raises ValueError, or ZstdError, for other files."""
    if _exactly(file, len(_ZSTD_MAGIC)) != _ZSTD_MAGIC:
        raise ValueError("the file does not begin with a zstd frame")
    yield from _frame_behind_magic(file, _WINDOW_BYTES)
    if file.read(1):
        raise ValueError("the file has more bytes after its zstd frame")


def _frames(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the unpacked content of all zstd frames of the file. Raises ValueError, or ZstdError, for other files."""
    is_first = True
    while is_first or file.peek(1):  # type: ignore[attr-defined]
        magic = _exactly(file, len(_ZSTD_MAGIC))
        if _SKIPPABLE_MAGIC.fullmatch(magic):
            size = int.from_bytes(_exactly(file, 4), "little")
            while size:
                size -= len(_exactly(file, min(size, READ_BYTES)))
        elif magic == _ZSTD_MAGIC:
            yield from _frame_behind_magic(file, _FOREIGN_WINDOW_BYTES)
        else:
            raise ValueError(f"the file {'does not begin with' if is_first else 'has more bytes after'} a zstd frame")
        is_first = False


def _frame_behind_magic(file: IO[bytes], window_bytes: int) -> Iterator[bytes]:
    """Yield the unpacked content of the zstd frame whose magic number has been read.

    The frame is divided into blocks here, and each block is unpacked by itself: a block unpacks to at most 128 KB, but
    several at once could unpack to any size. Source: RFC 8878, 3.1.1.
    """
    import zstandard

    frame = zstandard.ZstdDecompressor(max_window_size=window_bytes).decompressobj()
    start = _exactly(file, 1)
    descriptor = start[-1]
    is_single_segment, has_checksum = descriptor & 0x20, descriptor & 0x04
    content_size_bytes = _CONTENT_SIZE_BYTES[descriptor >> 6] or (1 if is_single_segment else 0)
    header_bytes = (0 if is_single_segment else 1) + _DICTIONARY_ID_BYTES[descriptor & 3] + content_size_bytes
    yield frame.decompress(_ZSTD_MAGIC + start + _exactly(file, header_bytes))
    is_last = False
    while not is_last:
        block = _exactly(file, 3)
        word = int.from_bytes(block, "little")
        is_last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
        yield frame.decompress(block + _exactly(file, 1 if kind == _RLE else size))
    if has_checksum:
        yield frame.decompress(_exactly(file, 4))


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError("the file ends within its zstd frame")
    return data
