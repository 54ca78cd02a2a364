"""Where the members of a tar lie: their headers are read and nothing else, in a file or in a stream.

Any dialect: headers as v7, ustar and GNU tar write them for plain files are read here, because a set has a million of
them; what else a header can be (long names, PAX, numbers in base 256) is left to Python's tarfile. tarfile by itself
takes a damaged header for the end, so the end is looked for here: an archive that is cut short is an error, with its
name, the member and the offset.
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
"""What programs write at a time, and fill up with zeros behind an archive's end (tar's -b 20, the default of all).

Zeros that go on behind that are bytes that nobody has written: a download that reserves the whole file leaves them.
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
"""What a compressed file begins with: the ending that it should have, and the program that decompresses it with -d."""

_REGULAR = frozenset((b"0", b"\0"))

Read = Callable[[int, int], bytes]
"""Bytes of the archive: offset and size in, at most so many bytes out; fewer only at its end. A stream can only be read
forward, but for what was read last."""


class TarMember(NamedTuple):
    """A plain file in a tar: its name, the offsets of its header and of its data, and the data's size, in bytes."""

    name: str
    offset: int
    data: int
    size: int


def tar_members(read: Read, start: int, end: int | None, archive: str) -> Iterator[TarMember]:
    """The plain files of the tar that `read` reads, from `start` on, in order; `end` is the archive's, if it is known.

    Raises SourceError, naming `archive`, the member and the offset, for anything that is no tar, is cut short, goes on
    behind its end, or holds a link or a device. Folders are passed over. A stream is read to its end.
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
    """Where something is wrong, by the member before it, if there is one."""
    return f" behind {name}" if name else ""


def refusal(archive: str, offset: int, detail: str, remedy: str = "Download or copy it again.") -> SourceError:
    """The error that `archive` cannot be used, because of what is at `offset`."""
    return SourceError(f"{archive}, at offset {offset:,}: {detail}. {remedy}")


def is_gzip(path: str) -> bool:
    """Whether the file is compressed by gzip, whatever it is called; not if it cannot be read."""
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    except OSError:
        return False


def refuse_packed(path: str, but: Container[str] = ()) -> None:
    """Raise SourceError if the file is compressed, by another program than those in `but`."""
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        begin = file.read(8)
    for magic, (ending, program) in COMPRESSIONS.items():
        if begin.startswith(magic) and program not in but:
            here = shlex.quote(path)
            raise SourceError(
                f"{path} is compressed by {program}, and is read as it lies, as a plain tar. Decompress it once: "
                f"mv {here} {here}{ending} && {program} -d {here}{ending}"
            )


def reader(descriptor: int) -> Read:
    """Reads an open file."""
    return lambda offset, size: os.pread(descriptor, size, offset)


class Stream:
    """Reads what can only be read forward, such as what a decompressor gives."""

    def __init__(self, file: Any, archive: str) -> None:
        self._file = file
        self._archive = archive
        self._start, self._last = 0, b""

    def __call__(self, offset: int, size: int) -> bytes:
        """As Read says. Raises SourceError if the stream is damaged."""
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
    """Read the archive's end, which begins at `position`: zeros to the end of a record, and nothing behind these.

    Bytes that are missing in the middle of an archive, as an unfinished download leaves them, are zeros too.
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
                f"it has an end of archive, and goes on behind it, at offset {there:,}: the "
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
    """Name and size of a header that needs no further thought; None for others, and for what is no header."""
    if len(block) < BLOCK_BYTES or block[TYPEFLAG] not in _REGULAR:
        return None
    try:
        # As in ustar.py: a plain sum, which adler32 gives for up to 65,520; the checksum itself counts as blanks.
        checksum = int(block[CHECKSUM].rstrip(b"\0 "), 8)
        if (zlib.adler32(block, 0) & 0xFFFF) - sum(block[CHECKSUM]) + 8 * 32 != checksum:
            return None
        size = int(block[SIZE].rstrip(b"\0 "), 8)
        name = block[NAME].rstrip(b"\0").decode("ascii")
    except ValueError:
        return None
    if "\0" in name or not name or name.endswith("/") or size < 0:
        return None
    if block[MAGIC] == b"ustar\0" and block[PREFIX.start]:  # a prefix; GNU tar keeps other things there
        return None
    return name, size


class _View(io.RawIOBase):
    """What tarfile is given: the archive from a header on, which has been read already."""

    def __init__(self, read: Read, start: int) -> None:
        self._source = read
        self._start = start
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        if not 0 <= size <= _LONGEST_HEADER_BYTES:  # tarfile would take that much memory
            raise tarfile.ReadError(f"an extended header of {size:,} bytes")
        data = self._source(self._start + self._at, size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """From the start only."""
        assert whence == 0  # noqa: S101 - as tarfile does
        self._at = offset
        return offset

    def tell(self) -> int:
        """Where the next bytes are from."""
        return self._at


def _by_tarfile(read: Read, position: int, archive: str, behind: str) -> tuple[tarfile.TarInfo, int]:
    """What tarfile makes of the header at `position`, and the offset of its data."""
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
