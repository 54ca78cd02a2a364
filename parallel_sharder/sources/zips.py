"""Zips: the entries of a source's zip are found by its central directory, also in zip64 form.

Python's zipfile keeps an object of half a kilobyte for each entry, which takes gigabytes for a zip of a million
entries. So the directory is read here, one entry at a time. The entries themselves are not read. Source: APPNOTE.TXT
(PKWARE), 4.3.12 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from parallel_sharder.errors import SourceError
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.tar.member_header import refusal
from parallel_sharder.text import counted

_END = struct.Struct("<4sHHHHIIH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_ENTRY = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LONGEST_COMMENT_BYTES = 0xFFFF
_FULL32, _FULL16 = 0xFFFFFFFF, 0xFFFF
_METHODS = {0: "stored", 8: "deflated"}
_ENCRYPTED = 1
_MADE_BY_UNIX = 3
_SIZE_LIMIT_BYTES = 1 << 40
_READ_BYTES = 1 << 20
UNZIP = "Unzip it and convert the folder, or make the zip anew without that."
"""The remedy for a zip with an entry that it may not hold."""


class ZipMember(NamedTuple):
    """A file in a zip: its name, its size, and its extent (its local header's offset, its packed size, its CRC-32)."""

    name: str
    size: int
    extent: tuple[int, int, int]


def zip_members(path: str, *, with_folders: bool = False) -> Iterator[ZipMember]:
    """Yield the files of the zip at `path`, in the order of its directory, and its folders if `with_folders` is True.

    A folder's name ends in a slash. Raises SourceError for a file that is no zip or is cut short, and for an entry that
    is a link, is encrypted, or is compressed by another method than deflate.
    """
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        descriptor, size = file.fileno(), os.fstat(file.fileno()).st_size
        start, length, count = _directory(descriptor, size, path)
        at, buffer, buffered = start, b"", start
        entries = 0
        while at < start + length:
            if at + _ENTRY.size + 3 * _FULL16 > buffered + len(buffer) and buffered + len(buffer) < start + length:
                buffer, buffered = os.pread(descriptor, min(_READ_BYTES, start + length - at), at), at
            member, entry_bytes = _entry(buffer, at - buffered, at, path)
            if with_folders or not member.name.endswith("/"):
                if member.extent[0] + member.extent[1] > start:
                    raise refusal(path, at, f"{member.name} would reach into the zip's directory")
                yield member
            at += entry_bytes
            entries += 1
        if entries != count:
            raise refusal(
                path, at, f"its directory has {counted(entries, 'entry', 'entries')}, and should have {count:,}"
            )


def member_named(path: str, name: str) -> ZipMember | None:
    """Return the file `name` of the zip at `path`, or None. Other entries are not checked.

    Raises SourceError as zip_members does.
    """
    wanted = os.fsencode(name)
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        descriptor, size = file.fileno(), os.fstat(file.fileno()).st_size
        start, length, _ = _directory(descriptor, size, path)
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as content:
            at = start
            while (at := content.find(wanted, at, start + length)) >= 0:
                entry = at - _ENTRY.size
                if content[entry : entry + 4] == b"PK\1\2":
                    member, _ = _entry(content[entry : entry + _ENTRY.size + 3 * _FULL16], 0, entry, path)
                    if member.name == name:
                        return member
                at += 1
    return None


def _directory(descriptor: int, size: int, path: str) -> tuple[int, int, int]:
    """Return the offset of the central directory, its length in bytes, and the count of its entries."""
    tail_start = max(0, size - _END.size - _LONGEST_COMMENT_BYTES)
    tail = os.pread(descriptor, size - tail_start, tail_start)
    found = len(tail)
    while (found := tail.rfind(b"PK\5\6", 0, found)) >= 0:  # in an end record, the comment ends with the file
        if len(tail) - found >= _END.size and found + _END.size + _END.unpack_from(tail, found)[-1] == len(tail):
            break
    if found < 0:
        raise SourceError(f"{path} is no zip, or is cut short: it has no end of a directory. Download it again.")
    _, disk, _, _, count, length, start, _ = _END.unpack_from(tail, found)
    end = tail_start + found
    if _FULL32 in (length, start) or count == _FULL16:
        locator = os.pread(descriptor, _END64_LOCATOR.size, end - _END64_LOCATOR.size) if end >= 20 else b""
        if locator.startswith(b"PK\6\7"):
            end = _END64_LOCATOR.unpack(locator)[2]
            record = os.pread(descriptor, _END64.size, end) if end < size else b""
            if len(record) < _END64.size or not record.startswith(b"PK\6\6"):
                raise refusal(path, end, "its zip64 end of the directory is not where its locator says")
            *_, count, length, start = _END64.unpack(record)
    if disk not in (0, _FULL16) or start + length > end:
        raise refusal(path, end, f"its directory of {counted(length, 'byte')} should start at {start:,}: it is damaged")
    return start, length, count


def _entry(buffer: bytes, at: int, offset: int, path: str) -> tuple[ZipMember, int]:
    """Return the directory's entry at `at` in `buffer`, and the length of the entry in bytes."""
    if len(buffer) - at < _ENTRY.size or buffer[at : at + 4] != b"PK\1\2":
        raise refusal(path, offset, "its directory is damaged: it has no entry here")
    (
        _, made_by, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes, comment_bytes, _, _, mode,
        header,
    ) = _ENTRY.unpack_from(buffer, at)  # fmt: skip
    name_at = at + _ENTRY.size
    raw = buffer[name_at : name_at + name_bytes]
    entry_bytes = _ENTRY.size + name_bytes + extra_bytes + comment_bytes
    name = raw.decode("utf-8", "surrogateescape")
    if raw.endswith(b"/"):
        return ZipMember(name, 0, (0, 0, 0)), entry_bytes
    if _FULL32 in (size, packed, header):
        extra = buffer[name_at + name_bytes : name_at + name_bytes + extra_bytes]
        size, packed, header = _from_zip64(extra, (size, packed, header), name, offset, path)
    if method not in _METHODS or flags & _ENCRYPTED:
        how = "is encrypted" if flags & _ENCRYPTED else f"is compressed by method {method}"
        detail = f"{name} {how}; only stored and deflated files can be read"
        raise refusal(path, offset, detail, UNZIP)
    if made_by >> 8 == _MADE_BY_UNIX and stat.S_IFMT(mode >> 16) not in (0, stat.S_IFREG):
        raise refusal(path, offset, f"{name} is no plain file, but a link or a device", UNZIP)
    if size >= _SIZE_LIMIT_BYTES:
        raise refusal(path, offset, f"{name} should have {size:,} bytes")
    return ZipMember(name, size, (header, packed, crc)), entry_bytes


def _from_zip64(extra: bytes, numbers: tuple[int, int, int], name: str, offset: int, path: str) -> tuple[int, int, int]:
    """Return the size, packed size and offset. Numbers that do not fit in 32 bits are read from the extra field 1."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            try:
                wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
                size, packed, header = (next(wide) if number == _FULL32 else number for number in numbers)
            except (RuntimeError, ValueError, struct.error):
                break
            return size, packed, header
        at += 4 + length
    raise refusal(path, offset, f"{name} has no zip64 sizes, and needs them")
