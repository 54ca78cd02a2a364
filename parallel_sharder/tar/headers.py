"""Tar headers: the members of a source's tar archive are found by their headers, in a file or in a stream.

Each header leads to the next one. Readers take a damaged header for the end of the archive, so the end is checked here:
an archive that is cut short, or has data behind its end, is an error that names the archive, the member and the offset.
The data of members is not read. What a header means is known by member_header.py.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Any

from parallel_sharder.tar.fields import BLOCK_BYTES
from parallel_sharder.tar.member_header import (
    FOLDER,
    Read,
    TarMember,
    behind_words,
    member_at,
    no_plain_file,
    refusal,
)
from parallel_sharder.text import counted

_ZEROS = bytes(BLOCK_BYTES)
_RECORD_BYTES = 10_240
"""The size of tar's records (-b 20, the default of all programs): zeros fill the last record behind the archive's end.

More zeros than that are bytes that were never written: a download that reserves the whole file leaves them.
"""

_HOLE_READ_BYTES = 1 << 20

_PAGE_BYTES = 4096
"""Less is more system calls, and more is copied in vain: behind most headers comes an image."""

_MOST_PAGE_BYTES = 2 * _PAGE_BYTES
"""With PAX headers, the headers and small files between two images take more than a page, and less than this."""


def tar_members(read: Read, start: int, end: int | None, archive: str) -> Iterator[TarMember]:
    """Yield the plain files of the tar that begins at `start`, in their order, as `tar_entries` does.

    Folders are passed over. Raises SourceError also for a link, a device and a file with holes.
    """
    for member in tar_entries(read, start, end, archive):
        if not member.kind:
            yield member
        elif member.kind != FOLDER:
            raise no_plain_file(archive, member)


def tar_entries(read: Read, start: int, end: int | None, archive: str) -> Iterator[TarMember]:
    """Yield all members of the tar that begins at `start`, in their order. `end` is its end, or None if not known.

    `read` returns its bytes, and a stream is read to its end. Raises SourceError, which names `archive`, the member and
    the offset, for a file that is no tar, and for an archive that is cut short or has data behind its end.
    """
    position, name = start, ""
    while True:
        block = read(position, BLOCK_BYTES)
        if len(block) < BLOCK_BYTES or (end is not None and position + BLOCK_BYTES > end):
            raise refusal(archive, position, f"it is cut short: there is no end of archive{behind_words(name)}")
        if block == _ZEROS:
            _read_end(read, start, position, end, archive, behind_words(name))
            return
        member = member_at(read, position, block, archive, name)
        if end is not None and member.data + member.size > end:
            raise refusal(archive, position, f"it is cut short: {member.name} has {counted(member.size, 'byte')}")
        yield member
        name = member.name
        position = member.data + member.size + -member.size % BLOCK_BYTES  # takes half as long as the property


def members_within(read: Read, start: int, stop: int, archive: str) -> Iterator[TarMember]:
    """Yield all members of a stretch that is `start` to `stop` of a tar and has no end of archive, in their order.

    A header is read when its member is asked for. Raises SourceError, as `tar_entries` does, if the stretch does not
    consist of whole members.
    """
    position, name = start, ""
    while position < stop:
        member = member_at(read, position, read(position, BLOCK_BYTES), archive, name)
        name = member.name
        position = member.data + member.size + -member.size % BLOCK_BYTES
        if position > stop:
            raise refusal(archive, member.offset, f"{name} ends behind its sample")
        yield member


def reader(descriptor: int) -> Read:
    """Return the Read of the open file `descriptor`."""
    return lambda offset, size: os.pread(descriptor, size, offset)


def reader_ahead(descriptor: int) -> Read:
    """Return the Read of the open file `descriptor`, which reads a page at a time: headers of small files are near.

    Where a page ends in the middle of them, the next ones are larger.
    """
    start, page, page_bytes = 0, b"", _PAGE_BYTES

    def read(offset: int, size: int) -> bytes:
        nonlocal start, page, page_bytes
        at = offset - start
        if not 0 <= at <= len(page) - size:
            if size > _PAGE_BYTES:
                return os.pread(descriptor, size, offset)
            if 0 < at <= len(page):
                page_bytes = _MOST_PAGE_BYTES
            start, page, at = offset, os.pread(descriptor, page_bytes, offset), 0
        return page[at : at + size]

    return read


class Stream:
    """The Read of a file that can only be read forward, such as the output of a decompressor."""

    def __init__(self, file: Any, archive: str) -> None:
        self._file = file
        self._archive = archive
        self._start, self._last = 0, b""

    def __call__(self, offset: int, size: int) -> bytes:
        """Return bytes as Read says. Raises SourceError if the stream is damaged."""
        at = self._start + len(self._last)
        if offset < self._start:
            raise refusal(self._archive, offset, "its headers point back, and a stream is only read forward")
        while at < offset and (skipped := len(self._read(min(offset - at, 1 << 20)))):
            at += skipped
            self._start, self._last = at, b""
        kept = self._last[offset - self._start :]
        if len(kept) < size and at >= offset:
            kept += self._read(size - len(kept))
            self._start, self._last = offset, kept
        return kept[:size]

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
