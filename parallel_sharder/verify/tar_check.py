"""The check of a shard's tar: headers, padding and end, one member after the other, to the byte as plain ustar has it.

Takes a ShardReader and yields the members in the tar's order, with what each holds. It notes what deviates, and ends
where nothing that follows can be trusted. Python's tarfile lays the expected headers out: this module imports nothing
that writes shards, so that no mistake of the writer can hide here. It does not know what a sample is.
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
    """A member as the tar has it; `offset` is that of its header."""

    name: str
    offset: int
    content: Content


class TarCheck:
    """The check of the tar that `shard` reads, of which the manifest says that it has `tar_bytes`.

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
                    self._note(f"has other bytes than zero behind {name}", shard.position - len(padding))
                yield StoredMember(name, start, content)
        except (MemoryError, EnoughError):  # the first is no fault of the shard
            raise
        except TooLongError:
            pass  # whoever compares the sizes says it
        except Exception as error:  # of tarfile's parsers and of two decompressors; none says what it can raise
            self._note(f"cannot be read on: {error}", shard.position)

    def _header(self) -> tarfile.TarInfo | None:
        """Return the next header, or None at the tar's end, and where the header cannot be trusted; notes which."""
        start = self._shard.position
        block = self._shard.read(_BLOCK_BYTES)
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            self._check_end(start, block)
            return None
        name, left = header.name, self._tar_bytes - self._shard.position
        if header.type != tarfile.REGTYPE or header.size < 0:
            self._note(f"{name!r} is no plain file of a ustar archive", start)
            return None
        if header.size > left:
            size = counted(header.size, "byte")
            self._note(f"{name} has {size} by its header, and the manifest has room for {max(0, left):,}", start)
            return None
        self._check_header(header, block, start)
        return header

    def _check_end(self, end: int, block: bytes) -> None:
        """The tar ends with two blocks of zeros, and nothing follows; `block` is what stands in a header's place."""
        zeros = 0
        while block and block.count(0) == len(block):
            zeros += len(block)
            block = self._shard.read(READ_BYTES if zeros > 2 * _BLOCK_BYTES else _BLOCK_BYTES)
        if block and zeros:
            self._note("has an archive's end, and goes on behind it", end)
        elif block:
            self._note("has neither a whole header nor the archive's end", end)
        elif zeros != 2 * _BLOCK_BYTES:
            self._note(f"ends with {counted(zeros, 'byte')} of zeros; a tar ends with {2 * _BLOCK_BYTES:,}", end)

    def _check_header(self, header: tarfile.TarInfo, block: bytes, offset: int) -> None:
        """The block holds the very bytes that tarfile would write for a file of this name and size."""
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
