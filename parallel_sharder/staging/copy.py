"""Copies: a whole archive of the source, decompressed if it is compressed, in one file of the stage.

    record = stretch ...             of each stretch of the copy, in order: where it ends, XXH3-128 of its bytes, and
                                     XXH3-64 of these two

The copy grows from front to back, and the record, which lies beside it, says what of it is safe. After a kill the copy
goes on behind the last stretch that is as recorded. It has its name when it is whole. The name follows from the path,
size and time of the archive, so that a later run finds it.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

import xxhash

from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import StoppedError
from parallel_sharder.model import Archive
from parallel_sharder.setfiles import COPY_SUFFIX
from parallel_sharder.staging.parquet import image_column
from parallel_sharder.stores import store_of
from parallel_sharder.stores.growing import GrowingFile, begun
from parallel_sharder.stores.packing import PARQUET, is_parquet, packing_of

RECORD_SUFFIX = ".record"
SUFFIXES = (COPY_SUFFIX, begun(COPY_SUFFIX), COPY_SUFFIX + RECORD_SUFFIX)
"""The ends of the names of copies, of unfinished copies, and of their records."""

STRETCH_BYTES = 64 << 20
"""How much is written between two syncs, and lost by a kill."""

CHUNK_BYTES = 8 << 20

_STRETCH = struct.Struct(">Q16s8s")


class Copying(NamedTuple):
    """What is copied: the `archive`, decompressed by what `packing` names ("" for a plain file), to `path`.

    Of a Parquet file, the images in `column` are copied. Without a path the archive is only read through. With `only`,
    a split, no more than its files need be there: the rest of the copy is holes.
    """

    archive: Archive
    packing: str
    path: str = ""
    column: str = ""
    only: str = ""


def copying(archive: Archive, folder: str = "", column: str = "", only: str = "") -> Copying:
    """Return how the archive is copied to a stage in `folder`; with `only`, for this split alone.

    `column` names the images of a Parquet file, if it is not the first that holds images.
    Raises OSError if the archive cannot be read, and what parquet.opened raises.
    """
    packed = packing_of(archive.path)
    packing = packed[1] if packed else PARQUET if is_parquet(archive.path) else ""
    if packing == PARQUET:
        column = column or image_column(archive.path)
    if not folder:
        return Copying(archive, packing, "", column)
    only = "" if packing == PARQUET else only
    identity = (*archive, column) if packing == PARQUET else (*archive, *([only] if only else []))
    digest = xxhash.xxh3_64_hexdigest(repr(identity).encode("utf-8", "surrogateescape"))
    name = os.path.basename(archive.path)
    return Copying(archive, packing, os.path.join(folder, f"{name}-{digest}{COPY_SUFFIX}"), column, only)


def reading(path: str) -> Copying:
    """Return how the archive at `path`, as it is now, is read through. Raises as `copying` does."""
    status = os.stat(path)
    return copying(Archive(path, status.st_size, status.st_mtime_ns))


class Copy:
    """The copy that will be at `path`, as a context manager; `kept_bytes` are those of an earlier run.

    Only one process has it open at a time; others wait. A copy that another one has made whole meanwhile `is_whole`,
    and is not written. Raises OSError if it cannot be opened.
    """

    def __init__(self, path: str, progress: Progress) -> None:
        self._log = store_of(path).log(path + RECORD_SUFFIX, lambda _: _refuse_stopped(progress))
        self._exits = contextlib.ExitStack()
        self._exits.callback(self._log.close)
        self.is_whole = store_of(path).is_file(path)
        self.kept_bytes = 0
        if self.is_whole:
            return
        try:
            self._file = GrowingFile(path)
            self._exits.callback(self._file.close)
            stretches = [*_whole(recorded(self._log.read()), self._file, progress)]
            self.kept_bytes = self._end = stretches[-1].end if stretches else 0
            self._record_bytes = len(stretches) * _STRETCH.size
            self._file.cut(self.kept_bytes)
        except BaseException:
            self._exits.close()
            raise
        self._digest = xxhash.xxh3_128()
        self._size = self.kept_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def read(self, offset: int) -> bytes:
        """Return up to CHUNK_BYTES of the kept bytes from `offset` on."""
        return self._file.read(offset, min(CHUNK_BYTES, self.kept_bytes - offset))

    def write(self, data: bytes | memoryview) -> None:
        """Append the data, and record what is safe."""
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)
        if self._size - self._end >= STRETCH_BYTES:
            self._end_stretch()

    def skip(self, size: int) -> None:
        """Leave a hole of `size` bytes, which is read as zeros."""
        self._file.skip(size)
        self._digest.update(bytes(size))
        self._size += size
        if self._size - self._end >= STRETCH_BYTES:
            self._end_stretch()

    def finish(self) -> None:
        """Give the copy its name, because it is whole."""
        if self._size > self._end:
            self._end_stretch()
        self._file.finish()

    def _end_stretch(self) -> None:
        self._file.sync()
        fields = struct.pack(">Q16s", self._size, self._digest.digest())
        self._log.append(fields + xxhash.xxh3_64_digest(fields), self._record_bytes)
        self._record_bytes += _STRETCH.size
        self._end = self._size
        self._digest = xxhash.xxh3_128()


class Recorded(NamedTuple):
    """A stretch of a copy: where it begins and ends, and the digest of its bytes."""

    start: int
    end: int
    digest: bytes


def recorded(record: bytes) -> Iterator[Recorded]:
    """Yield the stretches in the bytes of a record, up to the first that is damaged."""
    start = 0
    for position in range(0, len(record) - _STRETCH.size + 1, _STRETCH.size):
        end, digest, check = _STRETCH.unpack_from(record, position)
        if end <= start or xxhash.xxh3_64_digest(record[position : position + _STRETCH.size - len(check)]) != check:
            return
        yield Recorded(start, end, digest)
        start = end


class Check(NamedTuple):
    """A stretch of the whole copy at `path`, which is compared with its record."""

    path: str
    stretch: Recorded

    @property
    def bytes(self) -> int:
        """How many bytes are read."""
        return self.stretch.end - self.stretch.start


def checks_of(copying: Copying) -> list[Check]:
    """Return the comparisons of a whole copy; one that fails, if the record does not tell the copy's whole size."""
    path = copying.path
    stretches = [*recorded(_record(path))]
    size = store_of(path).size(path)
    if (stretches[-1].end if stretches else 0) != size:
        return [Check(path, Recorded(0, size, b""))]
    return [Check(path, stretch) for stretch in stretches]


def check(task: Check, progress: Progress) -> tuple[Check, bool]:
    """Return the task, and whether the stretch is as recorded."""
    with store_of(task.path).open(task.path) as file:
        is_whole = _is_whole(task.stretch, lambda offset, size: os.pread(file.fileno(), size, offset), progress)
    return task, is_whole


def copied_bytes(path: str) -> int:
    """Return how many bytes of a copy an earlier run has recorded."""
    return max((stretch.end for stretch in recorded(_record(path))), default=0)


def _record(path: str) -> bytes:
    try:
        return store_of(path).read(path + RECORD_SUFFIX)
    except FileNotFoundError:
        return b""


def paths_of(path: str) -> tuple[str, str, str]:
    """Return the paths of a copy, of the file that it is until it is whole, and of its record."""
    return path, begun(path), path + RECORD_SUFFIX


def _whole(stretches: Iterator[Recorded], file: GrowingFile, progress: Progress) -> Iterator[Recorded]:
    """Yield the stretches whose bytes are as recorded, up to the first that is not."""
    for stretch in stretches:
        if not _is_whole(stretch, file.read, progress):
            return
        yield stretch


def _is_whole(stretch: Recorded, read: Callable[[int, int], bytes], progress: Progress) -> bool:
    digest = xxhash.xxh3_128()
    for offset in range(stretch.start, stretch.end, CHUNK_BYTES):
        _refuse_stopped(progress)
        digest.update(read(offset, min(CHUNK_BYTES, stretch.end - offset)))
        progress.tell(0, offset - stretch.start)
    return digest.digest() == stretch.digest


def _refuse_stopped(progress: Progress) -> None:
    if progress.stopped:
        raise StoppedError
