"""Tar headers: the members of a source's tar archive are found by their headers, in a file or in a stream.

Every dialect can be read. Headers that v7, ustar and GNU tar write for plain files are read here, because a set has a
million of them. All other headers (long names, PAX, numbers in base 256) are read by Python's tarfile. tarfile treats
a damaged header as the end of the archive, so the end is checked here: an archive that is cut short is an error that
names the archive, the member and the offset. The data of members is not read.
"""

from __future__ import annotations

import io
import os
import shlex
import tarfile
import zlib
from collections.abc import Callable, Container, Iterator
from typing import Any, NamedTuple

from parallel_sharder.errors import SourceError
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.tar.fields import BLOCK_BYTES, CHECKSUM, MAGIC, NAME, PREFIX, SIZE, TYPEFLAG
from parallel_sharder.text import counted

_ZEROS = bytes(BLOCK_BYTES)
_LONGEST_HEADER_BYTES = 1 << 20
_RECORD_BYTES = 10_240
"""The size of tar's records (-b 20, the default of all programs): zeros fill the last record behind the archive's end.

More zeros than that are bytes that were never written: a download that reserves the whole file leaves them.
"""

_HOLE_READ_BYTES = 1 << 20

_PLAIN_FILES = "Make the archive anew from plain files (tar -h stores what links point to)."

GZIP_MAGIC = b"\x1f\x8b"
COMPRESSIONS = {
    GZIP_MAGIC: (".gz", "gzip"),
    b"BZh": (".bz2", "bzip2"),
    b"\xfd7zXZ\0": (".xz", "xz"),
    b"\x28\xb5\x2f\xfd": (".zst", "zstd"),
    b"\x04\x22\x4d\x18": (".lz4", "lz4"),
}
"""The first bytes of a compressed file, its usual ending, and the program that decompresses it with -d."""

_REGULAR = frozenset((b"0", b"\0"))

Read = Callable[[int, int], bytes]
"""A function that takes an offset and a size, and returns bytes of the archive: fewer than `size` only at its end.

A stream can only be read forward, except that the last read may be repeated.
"""


class TarMember(NamedTuple):
    """A plain file in a tar: its name, the offsets of its header and of its data, and the data's size, in bytes."""

    name: str
    offset: int
    data: int
    size: int


def tar_members(read: Read, start: int, end: int | None, archive: str) -> Iterator[TarMember]:
    """Yield the plain files of the tar that begins at `start`, in their order. `end` is its end, or None if not known.

    `read` returns its bytes, and a stream is read to its end. Folders are passed over. Raises SourceError, which names
    `archive`, the member and the offset, for a file that is no tar, an archive that is cut short or has data behind its
    end, and for a link or a device.
    """
    position, name = start, ""
    while True:
        block = read(position, BLOCK_BYTES)
        if len(block) < BLOCK_BYTES or (end is not None and position + BLOCK_BYTES > end):
            raise refusal(archive, position, f"it is cut short: there is no end of archive{_behind(name)}")
        header = _plain_file(block)
        if header is not None:
            (name, size), data = header, position + BLOCK_BYTES
        elif block == _ZEROS:
            _read_end(read, start, position, end, archive, _behind(name))
            return
        else:
            member, data = _by_tarfile(read, position, archive, _behind(name))
            if member.isdir():
                position = data
                continue
            name, size = member.name, member.size
            if not member.isreg() or member.issparse():
                detail = f"{name} is no plain file, but a {_kind(member)}"
                raise refusal(archive, position, detail, _PLAIN_FILES)
        if size < 0:
            raise refusal(archive, position, f"{name} has a size of {size:,} bytes")
        if end is not None and data + size > end:
            raise refusal(archive, position, f"it is cut short: {name} has {counted(size, 'byte')}")
        yield TarMember(name, position, data, size)
        position = data + size + -size % BLOCK_BYTES


def _behind(name: str) -> str:
    """Return the words that say behind which member something is wrong; "" if `name` is ""."""
    return f" behind {name}" if name else ""


def refusal(archive: str, offset: int, detail: str, remedy: str = "Download or copy it again.") -> SourceError:
    """Return the error that `archive` cannot be used, because of `detail` at `offset`."""
    return SourceError(f"{archive}, at offset {offset:,}: {detail}. {remedy}")


def is_gzip(path: str) -> bool:
    """Return whether the file is compressed by gzip, whatever its name is. False if it cannot be read."""
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    except OSError:
        return False


def refuse_packed(path: str, but: Container[str] = ()) -> None:
    """Raise SourceError if the file is compressed by a program that is not in `but`."""
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        begin = file.read(8)
    for magic, (ending, program) in COMPRESSIONS.items():
        if begin.startswith(magic) and program not in but:
            here = shlex.quote(path)
            raise SourceError(
                f"{path} is compressed by {program}, and only plain tars can be read in place. Decompress it once: "
                f"mv {here} {here}{ending} && {program} -d {here}{ending}"
            )


def reader(descriptor: int) -> Read:
    """Return the Read of the open file `descriptor`."""
    return lambda offset, size: os.pread(descriptor, size, offset)


class Stream:
    """The Read of a file that can only be read forward, such as the output of a decompressor."""

    def __init__(self, file: Any, archive: str) -> None:
        self._file = file
        self._archive = archive
        self._start, self._last = 0, b""

    def __call__(self, offset: int, size: int) -> bytes:
        """Return bytes as Read says. Raises SourceError if the stream is damaged."""
        if offset == self._start and size <= len(self._last):
            return self._last[:size]
        at = self._start + len(self._last)
        if offset < at:
            raise refusal(self._archive, offset, "its headers point back, and a stream is only read forward")
        while at < offset and (skipped := len(self._read(min(offset - at, 1 << 20)))):
            at += skipped
        self._start, self._last = at, self._read(size) if at == offset else b""
        return self._last

    def _read(self, size: int) -> bytes:
        parts = []
        try:
            while size and (part := self._file.read(size)):
                parts.append(part)
                size -= len(part)
        except (EOFError, OSError, zlib.error) as error:
            at = self._start + len(self._last)
            raise refusal(self._archive, at, f"it cannot be decompressed any further: {error}") from error
        return b"".join(parts)


def _read_end(read: Read, start: int, position: int, end: int | None, archive: str, behind: str) -> None:
    """Read the archive's end, which begins at `position`, and raise SourceError unless it is an end.

    It consists of zeros up to the end of a record, and nothing may follow them. Bytes that an unfinished download has
    not written are zeros too, so zeros in the middle of an archive are a hole.
    """
    written = position - start + 2 * BLOCK_BYTES
    record_end = start + written + -written % _RECORD_BYTES
    zeros_end = position + BLOCK_BYTES
    while end is None or zeros_end < end:
        size = _RECORD_BYTES if zeros_end < record_end else _HOLE_READ_BYTES
        data = read(zeros_end, size if end is None else min(size, end - zeros_end))
        if data.count(0) < len(data):
            there = zeros_end + len(data) - len(data.lstrip(b"\0"))
            raise refusal(
                archive,
                position,
                f"data follows the end of the archive, at offset {there:,}: the "
                f"{there - position:,} zeros{behind} are a hole, or the end of a first archive",
            )
        zeros_end += len(data)
        if len(data) < size:
            break
    if zeros_end > record_end:
        raise refusal(
            archive,
            position,
            f"{zeros_end - position:,} zeros follow{behind}, where an archive ends with at most "
            f"{record_end - position:,}: the rest is a hole, as an unfinished download leaves it",
            "Download or copy it again. If it is whole, and was written with larger records (tar -b), unpack it and "
            "write it with the usual ones (tar -b 20).",
        )


def _plain_file(block: bytes) -> tuple[str, int] | None:
    """Return the name and size in a plain file's header; None for any other header, and for a block that is none."""
    if len(block) < BLOCK_BYTES or block[TYPEFLAG] not in _REGULAR:
        return None
    try:
        # The low half of adler32 is the sum of the bytes while it is under 65,521. The checksum field counts as blanks.
        checksum = int(block[CHECKSUM].rstrip(b"\0 "), 8)
        if (zlib.adler32(block, 0) & 0xFFFF) - sum(block[CHECKSUM]) + 8 * 32 != checksum:
            return None
        size = int(block[SIZE].rstrip(b"\0 "), 8)
        name = block[NAME].rstrip(b"\0").decode("ascii")
    except ValueError:
        return None
    if "\0" in name or not name or name.endswith("/") or size < 0:
        return None
    if block[MAGIC] == b"ustar\0" and block[PREFIX.start]:  # a prefix; GNU tar has other fields there
        return None
    return name, size


class _View(io.RawIOBase):
    """The file that tarfile reads: the archive from a header on, which has been read already."""

    def __init__(self, read: Read, start: int) -> None:
        self._source = read
        self._start = start
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer at the end of the archive."""
        if not 0 <= size <= _LONGEST_HEADER_BYTES:  # tarfile would allocate as much memory
            raise tarfile.ReadError(f"an extended header of {size:,} bytes")
        data = self._source(self._start + self._at, size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the offset, which counts from the start, and return it."""
        assert whence == 0  # noqa: S101 - as tarfile does
        self._at = offset
        return offset

    def tell(self) -> int:
        """Return the offset of the next bytes."""
        return self._at


def _by_tarfile(read: Read, position: int, archive: str, behind: str) -> tuple[tarfile.TarInfo, int]:
    """Return the member whose header is at `position`, as tarfile reads it, and the offset of its data."""
    view: Any = _View(read, position)
    try:
        archive_here: Any = tarfile.TarFile(fileobj=view, errors="surrogateescape", encoding="utf-8")
        member: tarfile.TarInfo | None = archive_here.firstmember
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, OSError) as error:
        is_cut = str(error) in ("empty header", "truncated header", "unexpected end of data")
        detail = "it is cut short" if is_cut else f"there is no tar header{behind}: {error}"
        raise refusal(archive, position, detail) from error
    if member is None:
        raise refusal(archive, position, f"there is no tar header{behind}")
    return member, position + member.offset_data


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"link to {member.linkname}"
    if member.isdev():
        return "device or pipe"
    return "sparse file" if member.issparse() else f"member of type {member.type!r}"
