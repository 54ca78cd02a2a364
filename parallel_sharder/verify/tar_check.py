"""The check of a shard's tar: whether headers, padding and end are, byte for byte, those of plain ustar.

Takes a ShardReader and yields the members in the tar's order, each with its content. It notes what deviates, and ends
where nothing that follows can be trusted. Python's tarfile makes the expected headers: this module imports nothing that
writes shards, so that no mistake of the writer can hide here. It does not know what a sample is.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from parallel_sharder.text import counted
from parallel_sharder.verify.deviations import Deviations, EnoughError
from parallel_sharder.verify.shard_reader import READ_BYTES, Content, ShardReader, TooLongError

_BLOCK_BYTES = tarfile.BLOCKSIZE


class StoredMember(NamedTuple):
    """A member of the tar; `offset` is the offset of its header."""

    name: str
    offset: int
    content: Content


class TarCheck:
    """The check of the tar that `shard` reads, and that has `tar_bytes` by the manifest.

    `with_digests` asks for the digests of the members' contents.
    """

    def __init__(self, shard: ShardReader, tar_bytes: int, deviations: Deviations, *, with_digests: bool) -> None:
        self._shard = shard
        self._tar_bytes = tar_bytes
        self._deviations = deviations
        self._with_digests = with_digests

    def members(self) -> Iterator[StoredMember]:
        """Yield each member once it is checked, up to the tar's end or to where nothing that follows can be trusted."""
        shard = self._shard
        try:
            while (header := self._header()) is not None:
                name, start = header.name, shard.position - _BLOCK_BYTES
                padding_bytes = -header.size % _BLOCK_BYTES
                content = shard.content(header.size, with_digest=self._with_digests)
                padding = shard.read(padding_bytes)
                if shard.position < start + _BLOCK_BYTES + header.size + padding_bytes:
                    self._note(f"ends within {name}, of {counted(header.size, 'byte')}", shard.position)
                    return
                if padding.count(0) < len(padding):
                    self._note(f"has bytes other than zero after {name}", shard.position - len(padding))
                yield StoredMember(name, start, content)
        except (MemoryError, EnoughError):  # a want of memory is no fault of the shard
            raise
        except TooLongError:
            pass  # the caller notes it when it compares the sizes
        except Exception as error:  # tarfile's parsers and two decompressors do not document what they raise
            self._note(f"cannot be read on: {error}", shard.position)

    def _header(self) -> tarfile.TarInfo | None:
        """Return the next header, or None at the tar's end or if the header cannot be trusted, which is noted."""
        start = self._shard.position
        block = self._shard.read(_BLOCK_BYTES)
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            self._check_end(start, block)
            return None
        name, left = header.name, self._tar_bytes - self._shard.position
        if header.type != tarfile.REGTYPE or header.size < 0:
            self._note(f"{name!r} is not a regular file of a ustar archive", start)
            return None
        if header.size > left:
            size = counted(header.size, "byte")
            self._note(
                f"{name} has {size} by its header, but the tar has only {max(0, left):,} left by the manifest", start
            )
            return None
        self._check_header(header, block, start)
        return header

    def _check_end(self, end: int, block: bytes) -> None:
        """Check that the tar ends with two blocks of zeros and that nothing follows.

        `block` is the block that stands where a header is expected.
        """
        zeros = 0
        while block and block.count(0) == len(block):
            zeros += len(block)
            block = self._shard.read(READ_BYTES if zeros > 2 * _BLOCK_BYTES else _BLOCK_BYTES)
        if block and zeros:
            self._note("has an archive's end, and more bytes after it", end)
        elif block:
            self._note("has neither a whole header here nor the archive's end", end)
        elif zeros != 2 * _BLOCK_BYTES:
            self._note(f"ends with {counted(zeros, 'byte')} of zeros; a tar ends with {2 * _BLOCK_BYTES:,}", end)

    def _check_header(self, header: tarfile.TarInfo, block: bytes, offset: int) -> None:
        """Check that the block is the one that tarfile writes for a file of this name and size."""
        model = tarfile.TarInfo(header.name)
        model.size, model.mode, model.uname, model.gname = header.size, 0o444, "bigdata", "bigdata"
        try:
            if block == model.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict"):
                return
        except ValueError:
            pass
        odd = [f"mode {header.mode:04o}"] if header.mode != model.mode else []
        for name in ("uid", "gid", "mtime", "uname", "gname"):
            if getattr(header, name) != getattr(model, name):
                odd.append(f"{name} {getattr(header, name)!r}")
        what = ", ".join(odd) or "bytes that are not plain ustar"
        self._note(f"the header of {header.name} has {what}", offset)

    def _note(self, detail: str, offset: int) -> None:
        self._deviations.note(detail, offset=offset)
