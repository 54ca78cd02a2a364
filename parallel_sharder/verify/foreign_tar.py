"""The check of another tool's tar: what readers lose or stumble over in it is a fault, an unusual form is a remark.

Takes a ShardReader and yields the regular files in the tar's order. Every dialect that readers read is accepted: v7,
ustar, GNU and PAX. It notes faults (damaged headers, cuts, links, a missing end, bytes behind the end) and remarks
(dialects, owners, modes, padding). It ends where nothing that follows can be trusted. At most one member's content is
held. Python's tarfile parses the headers. This module does not know what a sample is.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from parallel_sharder.stores.packing import COMPRESSIONS
from parallel_sharder.tar.fields import BLOCK_BYTES, MAGIC, PREFIX, SIZE, VERSION
from parallel_sharder.text import counted, size
from parallel_sharder.verify.deviations import Deviations, EnoughError
from parallel_sharder.verify.remarks import Remarks
from parallel_sharder.verify.shard_reader import READ_BYTES, WHOLE_BYTES, ShardReader

_ZEROS = bytes(BLOCK_BYTES)
_END_BYTES = 2 * BLOCK_BYTES
_PAX = frozenset((tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE))
_LONG = frozenset((tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK))

_EXTENDED_LIMIT_BYTES = 1 << 20
"""The most bytes of extended headers before one member. A name has at most some KB."""

_HOLE_BYTES = 1 << 20
"""The most zeros at a tar's end. Programs fill up the last record, and no record is longer; a download that stopped
leaves more."""

_OPEN_MODE = 0o444
_NO_OWNERS = frozenset(("", "root", "bigdata"))


class ForeignMember(NamedTuple):
    """A regular file of the tar; `offset` is that of its first header, `size` that of its content, in bytes.

    `data` is the content if it was wanted, else None; of more than WHOLE_BYTES it is what ShardReader keeps.
    """

    name: str
    offset: int
    size: int
    data: bytes | None

    @property
    def is_whole(self) -> bool:
        """Whether `data` is the whole content."""
        return self.data is not None and self.size <= WHOLE_BYTES


class ForeignTar:
    """The check of the tar that `shard` reads. `wants` says of a member's name whether its content is needed."""

    def __init__(self, shard: ShardReader, faults: Deviations, remarks: Remarks, wants: Callable[[str], bool]) -> None:
        self._shard = shard
        self._faults = faults
        self._remarks = remarks
        self._wants = wants

    def members(self) -> Iterator[ForeignMember]:
        """Yield each regular file once its headers are checked, up to where nothing that follows can be trusted."""
        shard = self._shard
        try:
            while True:
                start = shard.position
                header = self._header(start)
                if header is None:
                    return
                if not self._has_content(header, start):
                    continue
                data = None
                first, is_regular = shard.position, header.isreg()
                if is_regular and self._wants(header.name):
                    data = shard.content(header.size, with_digest=False).data
                else:
                    shard.skip(header.size)
                if shard.position < first + header.size or not self._read_padding(header):
                    held = shard.position - first
                    detail = f"ends within {header.name}: it has {held:,} of {counted(header.size, 'byte')}"
                    self._fault(detail, shard.position)
                    return
                if is_regular:
                    yield ForeignMember(header.name, start, header.size, data)
        except (MemoryError, EnoughError):  # a want of memory is no fault of the shard
            raise
        except Exception as error:  # tarfile's parsers and two decompressors do not document what they raise
            self._fault(f"cannot be read on: {error}", shard.position)

    def _header(self, start: int) -> tarfile.TarInfo | None:
        """Return the next member's header; None at the tar's end, or if it cannot be trusted, which is noted."""
        extended = b""
        while True:
            block = self._shard.read(BLOCK_BYTES)
            if len(block) < BLOCK_BYTES or block == _ZEROS:
                self._check_end(start, block, has_extended=bool(extended))
                return None
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                self._fault(self._no_header(block, start, error), self._shard.position - BLOCK_BYTES)
                return None
            if header.type not in _PAX | _LONG:
                break
            what = "PAX headers, with which DALI's index tool computes wrong offsets"
            self._remarks.note(what if header.type in _PAX else "long names in headers of GNU tar", offset=start)
            padded = header.size + -header.size % BLOCK_BYTES
            if not 0 <= padded <= _EXTENDED_LIMIT_BYTES - len(extended):
                limit = size(_EXTENDED_LIMIT_BYTES)
                self._fault(
                    f"has an extended header of {counted(header.size, 'byte')}; at most {limit} are read", start
                )
                return None
            content = self._shard.read(padded)
            if len(content) < padded:
                self._fault("ends within an extended header", self._shard.position)
                return None
            extended += block + content
        resolved = self._resolved(extended + block, start) if extended else header
        return resolved if resolved is not None and self._check_header(resolved, block, start) else None

    def _resolved(self, blocks: bytes, start: int) -> tarfile.TarInfo | None:
        """Return the header that extended headers and a last one give together; None if there is none, noted."""
        if b"GNU.sparse" in blocks:
            self._fault("has a sparse file, of which readers get the pieces without the holes", start)
            return None
        try:
            archive: Any = tarfile.TarFile(fileobj=io.BytesIO(blocks), encoding="utf-8", errors="surrogateescape")
            header: tarfile.TarInfo | None = archive.firstmember
        except (tarfile.TarError, ValueError, OverflowError, OSError) as error:
            self._fault(f"has an extended header that cannot be read: {error}", start)
            return None
        if header is None:
            self._fault("has an extended header, and no member behind it", start)
        return header

    def _check_header(self, header: tarfile.TarInfo, block: bytes, start: int) -> bool:
        """Note what is unusual in a header; return whether what follows can be trusted."""
        if header.size < 0:
            self._fault(f"{header.name} has a size of {header.size:,} bytes", start)
            return False
        if header.type == tarfile.GNUTYPE_SPARSE:
            self._fault(f"{header.name} is a sparse file, of which readers get the pieces without the holes", start)
            return False
        note = self._remarks.note
        magic = block[MAGIC.start : VERSION.stop]
        if magic == b"ustar  \0":
            note("headers of GNU tar", offset=start)
        elif magic != b"ustar\x0000":
            note("headers that are older than ustar", offset=start)
        elif block[PREFIX.start]:
            note("names that are divided between two fields of the header, of which wids reads one", offset=start)
        if block[SIZE.start] & 0x80:
            note("sizes in base 256, which wids cannot read", offset=start)
        if header.isreg() and header.type != tarfile.REGTYPE:
            note("regular files of another type than 0", offset=start)
        if header.mode & _OPEN_MODE != _OPEN_MODE:
            note("modes by which not everybody may read the files once they are unpacked", offset=start)
        if header.uname not in _NO_OWNERS or header.gname not in _NO_OWNERS:
            note("names of owners or groups", offset=start)
        return True

    def _has_content(self, header: tarfile.TarInfo, start: int) -> bool:
        """Return whether content follows the header; note a member that is no regular file."""
        if header.isreg():
            return True
        if header.isdir():
            self._remarks.note("entries for folders", offset=start)
        elif header.issym() or header.islnk():
            detail = f"{header.name} is a link to {header.linkname}, and readers pass over it (tar -h stores the file)"
            self._fault(detail, start)
        elif header.isdev():
            self._fault(f"{header.name} is a device or a pipe, and readers pass over it", start)
        else:
            self._fault(f"{header.name} is of the type {header.type!r}, and readers pass over it", start)
            return True
        return False

    def _read_padding(self, header: tarfile.TarInfo) -> bool:
        """Read what fills up the last block of a member; return whether it is all there."""
        padding = self._shard.read(-header.size % BLOCK_BYTES)
        if padding.count(0) < len(padding):
            self._remarks.note("bytes other than zero behind contents", offset=self._shard.position - len(padding))
        return len(padding) == -header.size % BLOCK_BYTES

    def _no_header(self, block: bytes, start: int, error: tarfile.HeaderError) -> str:
        for magic, (_, program) in COMPRESSIONS.items():
            if not start and block.startswith(magic):
                return f"is compressed by {program}, which its name does not say: rename it, or decompress it"
        return f"has neither a whole header here nor the archive's end ({error}); what follows was not checked"

    def _check_end(self, end: int, block: bytes, *, has_extended: bool) -> None:
        """Check that the tar ends with two blocks of zeros or more, and that nothing follows them.

        `block` is the block that stands where a header is expected: zeros, or fewer bytes than a block has.
        """
        if has_extended:
            self._fault("has an extended header, and no member behind it", end)
        zeros = 0
        while block:
            if block.count(0) < len(block):
                self._note_behind_end(end, zeros, block)
                return
            zeros += len(block)
            block = self._shard.read(READ_BYTES if zeros >= _END_BYTES else BLOCK_BYTES)
        if zeros < _END_BYTES:
            detail = f"ends with {counted(zeros, 'byte')} of zeros; a tar ends with {_END_BYTES:,}: it may be cut off"
            self._fault(detail if end or zeros else "is empty", end)
        elif zeros > _HOLE_BYTES:
            detail = f"ends with {zeros:,} bytes of zeros, as an unfinished download does; members may be missing"
            self._fault(detail, end)
        elif zeros > _END_BYTES:
            self._remarks.note("zeros that fill up the last record of the tar", offset=end)

    def _note_behind_end(self, end: int, zeros: int, block: bytes) -> None:
        """Note what follows the tar's end: `block` begins `zeros` bytes behind it, and is not all zeros."""
        start = (len(block) - len(block.lstrip(b"\0"))) // BLOCK_BYTES * BLOCK_BYTES
        there = end + zeros + start
        if not zeros and not start:
            self._fault(f"ends with {counted(len(block), 'byte')} that are no header and no archive's end", end)
            return
        try:
            tarfile.TarInfo.frombuf(block[start : start + BLOCK_BYTES], "utf-8", "surrogateescape")
            what = "a second archive, which nearly all readers pass over"
        except tarfile.HeaderError:
            what = "bytes that belong to no archive"
        self._fault(f"has behind its end, at offset {there:,}, {what}", end)

    def _fault(self, detail: str, offset: int) -> None:
        self._faults.note(detail, offset=offset)
