"""Stretches: a worker copies files of the source, in the source's own order, end to end into one file of the stage.

    file   = data notes length digest    the files end to end; msgpack of a map; 4 bytes big-endian, the length of the
                                         notes; XXH3-128 of notes and length

The notes have the digest of the data, the size of each file in it, -1 for one that could not be read, and when each
loose file was last modified. A stretch has its name when it is whole, and the name follows from what it was made of. So
a later run finds it, and takes it if the files of the source are as they were. Workers run this module, which does
without numpy.
"""

from __future__ import annotations

import contextlib
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgpack
import xxhash

from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import SampleError, StoppedError, unwritable
from parallel_sharder.model import PackedPart, Place
from parallel_sharder.stores import store_of
from parallel_sharder.stores.blob import Blob, LooseFile, packed_blobs

_FORMAT = 1
_MARK = "parallel_sharder stretch"
_TAIL = struct.Struct(">I16s")
_READ_BYTES = 4 << 20
_MOST_NOTES_BYTES = 1 << 30
_TOLD_EVERY = 64
"""How many files there are between two looks at whether the run is stopped."""


class SourceStretch(NamedTuple):
    """What becomes one file of the stage, at `path`: files of `parts`, in the order in which they lie in the source.

    `order` has the part of each file, one byte a file; the files of a part follow each other as its columns have them.
    `keys` has the keys of each part's files, joined by NULs. The columns of places are numbers in `places`. Where
    `is_checked` is False, the data that an earlier run has left is taken without a look at its digest.
    """

    path: str
    places: tuple[Place, ...]
    keys: tuple[bytes, ...]
    parts: tuple[PackedPart, ...]
    order: bytes
    total_bytes: int
    is_checked: bool = True

    def blobs(self) -> Iterator[Blob]:
        """Yield the files, in order."""
        columns = []
        for keys, part in zip(self.keys, self.parts, strict=True):
            names = keys.decode("ascii").split("\0")
            columns.append(packed_blobs(part, names, len(part.size) // 8, self.places))
        for number in self.order:
            blob = next(columns[number])
            assert blob is not None  # noqa: S101 - rows without a file are in no stretch
            yield blob


class Staged(NamedTuple):
    """A stretch in the stage: `sizes` has, as native int64, the size of each file; -1 for one that could not be read.

    `was_there` says that an earlier run has made it.
    """

    path: str
    sizes: bytes
    was_there: bool


def stage(stretch: SourceStretch, progress: Progress) -> Staged:
    """Return the stretch once it is in the stage, where it is made unless an earlier run has left it.

    A file that cannot be read, or has another size than scanned, is left to whoever reads the sample. Raises
    DestinationError if the stage cannot be written, and StoppedError if `progress` says that the run is stopped.
    """
    try:
        there = _sizes_there(stretch, progress)
        if there is not None:
            progress.tell(len(stretch.order), stretch.total_bytes)
            return Staged(stretch.path, there, True)
        return Staged(stretch.path, _made(stretch, progress), False)
    except OSError as error:  # reading the source never raises it
        raise unwritable(stretch.path, error, "Make room there, or name another folder with --stage.") from error


def _made(stretch: SourceStretch, progress: Progress) -> bytes:
    """Write the stretch, and return the sizes of its files."""
    sizes, times = array("q"), array("q")
    store_of(stretch.path).remove(stretch.path)  # a damaged one, or one of files that have changed
    file = store_of(stretch.path).create(stretch.path)
    try:
        for number, blob in enumerate(stretch.blobs()):
            if number % _TOLD_EVERY == 0:
                if progress.stopped:
                    raise StoppedError
                progress.tell(number, file.size)
            modified = _modified(blob)
            try:
                room = file.reserve(blob.length)
                if room is None:
                    file.write(blob.read())
                else:
                    blob.read_into(room)
                    file.advance(blob.length)
            except SampleError:
                sizes.append(-1)
            else:
                sizes.append(blob.length)
            times.append(modified)
        notes = msgpack.packb([_MARK, _FORMAT, file.xxh3_128, sizes.tobytes(), times.tobytes()])
        length = struct.pack(">I", len(notes))
        file.write(notes + length + xxhash.xxh3_128_digest(notes + length))
    except BaseException:
        file.abort()
        raise
    file.finish()
    progress.tell(len(stretch.order), stretch.total_bytes)
    return sizes.tobytes()


def _sizes_there(stretch: SourceStretch, progress: Progress) -> bytes | None:
    """Return the sizes in the stretch that an earlier run has left; None if there is none, or it is to be made anew."""
    notes = read_notes(stretch.path)
    if notes is None:
        return None
    digest, sizes, times = notes
    if len(array("q", sizes)) != len(stretch.order) or -1 in array("q", sizes):
        return None  # what could not be read then may be readable now
    if any(_modified(blob) != time for blob, time in zip(stretch.blobs(), array("q", times), strict=True)):
        return None
    if stretch.is_checked and _digest(stretch.path, sum(array("q", sizes)), progress) != digest:
        return None
    return sizes


def read_notes(path: str) -> tuple[str, bytes, bytes] | None:
    """Return the digest of the data of a stretch, the sizes, and the times; None if there is no whole stretch."""
    try:
        with store_of(path).open(path) as file:
            size = os.fstat(file.fileno()).st_size
            tail = os.pread(file.fileno(), _TAIL.size, max(0, size - _TAIL.size))
            if len(tail) < _TAIL.size:
                return None
            length, digest = _TAIL.unpack(tail)
            if length > min(size - _TAIL.size, _MOST_NOTES_BYTES):
                return None
            notes = os.pread(file.fileno(), length, size - _TAIL.size - length)
    except FileNotFoundError:
        return None
    if xxhash.xxh3_128_digest(notes + tail[:4]) != digest:
        return None
    return _parsed(notes, size - _TAIL.size - length)


def _parsed(notes: bytes, data_bytes: int) -> tuple[str, bytes, bytes] | None:
    with contextlib.suppress(ValueError, TypeError):  # a file of the same name that is none of ours
        value: Any = msgpack.unpackb(notes)
        mark, version, digest, sizes, times = value
        if [mark, version] == [_MARK, _FORMAT] and sum(each for each in array("q", sizes) if each > 0) == data_bytes:
            return digest, sizes, times
    return None


def _digest(path: str, data_bytes: int, progress: Progress) -> str:
    digest = xxhash.xxh3_128()
    done = 0
    with store_of(path).open(path) as file:
        while done < data_bytes:
            if progress.stopped:
                raise StoppedError
            data = os.pread(file.fileno(), min(_READ_BYTES, data_bytes - done), done)
            if not data:
                break
            digest.update(data)
            done += len(data)
            progress.tell(0, done)
    return digest.hexdigest()


def _modified(blob: Blob) -> int:
    """Return when a loose file was last modified, in nanoseconds since 1970; -1 if that is not known.

    Files in an archive have 0, because the time of the archive is a part of the stretch's name.
    """
    if not isinstance(blob, LooseFile):
        return 0
    try:
        return os.stat(blob.path).st_mtime_ns
    except OSError:
        return -1


def offsets_of(sizes: Sequence[int]) -> list[int]:
    """Return the offset of each file in a stretch of files with these sizes; -1 for a file that is not in it."""
    offsets, end = [], 0
    for size in sizes:
        offsets.append(end if size >= 0 else -1)
        end += max(0, size)
    return offsets
