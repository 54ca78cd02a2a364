"""A tar header: the member whose header lies at an offset of an archive, in every dialect.

Headers that v7, ustar and GNU tar write for plain files are read here, because a set has a million of them; so are PAX
headers with times alone, which webdataset writes. All other headers (long names, PAX, numbers in base 256) are read by
Python's tarfile. What is no header is a SourceError that names the archive and the offset. How headers follow one
another is known by headers.py.
"""

from __future__ import annotations

import functools
import io
import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import adler32

from parallel_sharder.errors import SourceError
from parallel_sharder.tar.fields import BLOCK_BYTES, CHECKSUM, SIZE, TYPEFLAG

if TYPE_CHECKING:
    import tarfile

_LONGEST_HEADER_BYTES = 1 << 20
_PLAIN_FILES = "Make the archive anew from plain files (tar -h stores what links point to)."

_TIME = re.compile(rb"([0-9]{1,3}) [acm]time=-?[0-9.]+\n")
"""A record of a PAX header that holds a time."""

_REGULAR = frozenset(b"0\0")

_FIELDS = struct.Struct("100s 24x 12s 12x 8s B 100x 6s 82x B 166x").unpack
"""Name, size, checksum, typeflag, magic, and the first byte of the prefix (see fields.py). One call takes half the time
of six slices."""

Read = Callable[[int, int], bytes]
"""A function that takes an offset and a size, and returns bytes of the archive: fewer than `size` only at its end.

A stream can only be read forward, except that what was read last may be read again.
"""


FOLDER = "folder"
"""TarMember.kind of a folder."""

SPARSE = "sparse file"
"""TarMember.kind of a file with holes, whose data are not stored as one piece."""


class TarMember(NamedTuple):
    """A member of a tar: its name, the offsets of its first header and of its data, and the data's size, in bytes.

    A PAX header, or that of a long name, is the first header of the member behind it. `kind` is "" for a plain file.
    Other members are of a kind that is put into words, such as FOLDER or "link to x"; their size is 0 if they have no
    data.
    """

    name: str
    offset: int
    data: int
    size: int
    kind: str = ""

    @property
    def end(self) -> int:
        """The offset behind the data and their padding, where the next header or the end of the archive is."""
        return self.data + self.size + -self.size % BLOCK_BYTES


_member: Callable[[tuple[str, int, int, int, str]], TarMember] = functools.partial(tuple.__new__, TarMember)
"""Makes a TarMember from its fields without a NamedTuple's Python-level constructor."""


def member_at(read: Read, position: int, block: bytes, archive: str, before: str = "") -> TarMember:
    """Return the member whose first header is `block`, at `position`; `before` names the member before it.

    Raises SourceError, as `tar_entries` does, if there is no header of a member.
    """
    if block[TYPEFLAG] == b"x":
        size, data = _records_bytes(block), position + 3 * BLOCK_BYTES
        header = _behind_times(read(position, 3 * BLOCK_BYTES), size) if size else None
    else:
        header, data = _plain_file(block), position + BLOCK_BYTES
    if header is not None:
        return _member((header[0], position, data, header[1], ""))
    return _by_tarfile(read, position, archive, behind_words(before))


def no_plain_file(archive: str, member: TarMember) -> SourceError:
    """Return the error for a member that is no plain file, where each member must be one."""
    detail = f"{member.name} is no plain file, but a {member.kind}"
    return refusal(archive, member.offset, detail, _PLAIN_FILES)


def refusal(archive: str, offset: int, detail: str, remedy: str = "Download or copy it again.") -> SourceError:
    """Return the error that `archive` cannot be used, because of `detail` at `offset`."""
    return SourceError(f"{archive}, at offset {offset:,}: {detail}. {remedy}")


def behind_words(name: str) -> str:
    """Return the words that say behind which member something is wrong; "" if `name` is ""."""
    return f" behind {name}" if name else ""


@functools.lru_cache(maxsize=64)
def _records_bytes(block: bytes) -> int:
    """Return the size of the records behind a PAX header; 0 if they take more than a block, or it is no header.

    A writer's headers differ by their size alone, if at all, so that most are looked up.
    """
    try:
        size = int(block[SIZE].rstrip(b"\0 "), 8)
        return size if 0 < size <= BLOCK_BYTES and _is_sound(block, block[CHECKSUM]) else 0
    except ValueError:
        return 0


def _behind_times(blocks: bytes, size: int) -> tuple[str, int] | None:
    """Return the name and size of a plain file behind a PAX header that has only times; None for anything else.

    The three blocks are the PAX header, its records, of `size` bytes, and the file's header. Python's tarfile writes
    such a header where a modification time is no whole number, and so does webdataset.
    """
    at, end = BLOCK_BYTES, BLOCK_BYTES + size
    while at < end:
        match = _TIME.match(blocks, at, end)
        if match is None or int(match[1]) != match.end() - at:
            return None
        at = match.end()
    return _plain_file(blocks[2 * BLOCK_BYTES :])


def _is_sound(block: bytes, field: bytes) -> bool:
    """Return whether the block has the checksum in its `field`. Raises ValueError if that is no number."""
    # The low half of adler32 is the sum of the bytes while it is under 65,521. The checksum field counts as blanks.
    return ((adler32(block, 0) - adler32(field, 0)) & 0xFFFF) + 8 * 32 == int(field.rstrip(b"\0 "), 8)


def _plain_file(block: bytes) -> tuple[str, int] | None:
    """Return the name and size in a plain file's header; None for any other header, and for a block that is none."""
    if len(block) < BLOCK_BYTES:
        return None
    raw_name, raw_size, checksum, typeflag, magic, prefix = _FIELDS(block)
    if typeflag not in _REGULAR:
        return None
    try:
        if not _is_sound(block, checksum):
            return None
        size = int(raw_size.rstrip(b"\0 "), 8)
        name = raw_name.rstrip(b"\0").decode("ascii")
    except ValueError:
        return None
    if "\0" in name or not name or name[-1] == "/" or size < 0:
        return None
    if prefix and magic == b"ustar\0":  # GNU tar has other fields there
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
            raise ValueError(f"an extended header of {size:,} bytes")
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


def _by_tarfile(read: Read, position: int, archive: str, behind: str) -> TarMember:
    """Return the member whose first header is at `position`, as tarfile reads it."""
    import tarfile  # workers seldom need it

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
    kind, data = _kind(member), position + member.offset_data
    has_data = member.isreg() or member.type not in tarfile.SUPPORTED_TYPES
    if has_data and member.size < 0:
        raise refusal(archive, position, f"{member.name} has a size of {member.size:,} bytes")
    return TarMember(member.name, position, data, member.size if has_data else 0, kind)


def _kind(member: tarfile.TarInfo) -> str:
    """Return the kind of a member, as TarMember says."""
    if member.isdir():
        return FOLDER
    if member.issym() or member.islnk():
        return f"link to {member.linkname}"
    if member.isdev():
        return "device or pipe"
    if member.issparse():
        return SPARSE
    return "" if member.isreg() else f"member of type {member.type!r}"
