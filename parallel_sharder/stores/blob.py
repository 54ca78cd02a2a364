"""A blob: bytes that lie in a file of the source, read straight into a buffer.

A loose file, a stretch of an archive, or an entry of a zip: each has a `length`, is read into a view of just that
length, and is named by `path` in what people are told. The length is the one the plan was made with: what has another
by now is a problem of its sample.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Listing, PackedPart, Place, Role
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.text import counted

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK

_BEYOND = bytearray(1)
"""Where the byte behind a file's expected end goes, if there is one. Nobody reads it."""

_STORED, _DEFLATED = 0, 8
_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
"""What precedes an entry's name in a zip: APPNOTE.TXT (PKWARE), 4.3.7."""


class Blob(Protocol):
    """Bytes of the source."""

    @property
    def path(self) -> str:
        """Where they are, for people."""

    @property
    def length(self) -> int:
        """How many."""

    def read_into(self, view: memoryview, /) -> None:
        """Fill `view`, of exactly `length` bytes. Raises SampleError if they cannot be read or are not so many."""

    def announce(self) -> None:
        """Have the system begin to read them, without waiting. What is wrong with them will be seen when read."""

    def read(self) -> bytes:
        """The bytes, in an object of their own; errors as for `read_into`."""


class LooseFile(NamedTuple):
    """All `length` bytes of the file at `path`."""

    path: str
    length: int

    def read_into(self, view: memoryview) -> None:
        """As Blob says."""
        try:
            try:
                descriptor = os.open(self.path, _FLAGS)
            except BlockingIOError:
                descriptor = open_regular(self.path)
            try:
                # The further byte tells in the same system call whether the file has grown, which would otherwise take
                # an fstat. And that it says where to read from tells what is no file: a pipe has no places.
                size = os.preadv(descriptor, (view, _BEYOND), 0)
                if size < len(view):
                    size = _fill_up(descriptor, view, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if size != len(view):
            raise self._changed(size)

    def announce(self) -> None:
        """As Blob says."""
        _announce(self.path, 0, self.length)

    def read(self) -> bytes:
        """As Blob says."""
        path, length = self.path, self.length
        try:
            descriptor = _open(path)
            try:
                data = os.pread(descriptor, length + 1, 0)
                while len(data) < length and (more := os.pread(descriptor, length + 1 - len(data), len(data))):
                    data += more
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unreadable(path, error) from error
        if len(data) != length:
            raise self._changed(len(data))
        return data

    def _changed(self, size: int) -> SampleError:
        now = f"{size:,}" if size < self.length else "more"
        return SampleError(Kind.CHANGED, self.path, f"{counted(self.length, 'byte')} when scanned, {now} when read")


_loose_file: Callable[[tuple[str, int]], LooseFile] = functools.partial(tuple.__new__, LooseFile)
"""A LooseFile of its fields, without the function of Python that makes a NamedTuple: there are two for each sample."""


class Stretch(NamedTuple):
    """`length` bytes from `offset` on of the file `archive`, in which they are called `name`."""

    archive: str
    offset: int
    length: int
    path: str

    def read_into(self, view: memoryview) -> None:
        """As Blob says."""
        try:
            size = _fill_from(self.archive, view, self.offset)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if size != self.length:
            raise SampleError(
                Kind.CHANGED, self.path, f"{counted(self.length, 'byte')} when indexed, {size:,} when read"
            )

    def announce(self) -> None:
        """As Blob says."""
        _announce(self.archive, self.offset, self.length)

    def read(self) -> bytes:
        """As Blob says."""
        return _read(self)


class ZipEntry(NamedTuple):
    """The entry of a zip whose local header is at `offset`: `length` bytes, in the archive `packed` bytes.

    `crc` is that of the central directory, and checked.
    """

    archive: str
    offset: int
    packed: int
    crc: int
    length: int
    path: str

    def read_into(self, view: memoryview) -> None:
        """As Blob says."""
        view[:] = self.read()

    def announce(self) -> None:
        """As Blob says."""
        _announce(self.archive, self.offset, self.packed)

    def read(self) -> bytes:
        """As Blob says."""
        try:
            header = bytearray(_LOCAL_HEADER.size)
            _fill_from(self.archive, memoryview(header), self.offset)
            magic, _, _, method, _, _, _, _, _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
            if magic != b"PK\3\4" or method not in (_STORED, _DEFLATED):
                raise SampleError(Kind.CHANGED, self.path, "the zip has no such entry where its directory says")
            packed = bytearray(self.packed)
            size = _fill_from(self.archive, memoryview(packed), self.offset + len(header) + name_bytes + extra_bytes)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if size != self.packed:
            raise SampleError(
                Kind.CHANGED, self.path, f"{counted(self.packed, 'byte')} when indexed, {size:,} when read"
            )
        data = bytes(packed) if method == _STORED else self._inflated(packed)
        if len(data) != self.length or zlib.crc32(data) != self.crc:
            raise SampleError(Kind.UNREADABLE, self.path, "damaged: its size or CRC-32 is not the zip directory's")
        return data

    def _inflated(self, packed: bytearray) -> bytes:
        try:
            # One byte more than there should be, so that no bomb takes more memory than the plan knows of. (isal is a
            # tenth faster, but leaves the processor in a state in which xxhash takes seven times as long.)
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.length + 1)
        except zlib.error as error:
            raise SampleError(Kind.UNREADABLE, self.path, f"damaged: it cannot be inflated: {error}") from error


def blob_at(place: Place, name: str, length: int, extent: Sequence[int] = ()) -> Blob:
    """The blob `name` of `length` bytes at `place`; `extent` is its row of the Part's, empty for loose files."""
    if not extent:
        return LooseFile(f"{place.path}/{name}", length)
    if len(extent) == 1:
        return Stretch(place.path, extent[0], length, f"{place.name}:{name}")
    offset, packed, crc = extent
    return ZipEntry(place.path, offset, packed, crc, length, f"{place.name}:{name}")


def blob_of(listing: Listing, role: Role, row: int) -> Blob | None:
    """The file that sample `row` of the Listing has for this role; None if it has none."""
    part = listing.part(role)
    if part.place[row] < 0:
        return None
    name = str(listing.keys[row], "ascii") + part.endings[0 if part.ending is None else part.ending[row]]
    extent = () if part.extent is None else part.extent[row].tolist()
    return blob_at(listing.places[part.place[row]], name, int(part.size[row]), extent)


def blobs_of(part: PackedPart, keys: Iterable[str], count: int, places: Sequence[Place]) -> Iterator[Blob | None]:
    """The files of a part of a Chunk, whose `count` keys these are; None for each sample that has none."""
    endings, place_column, sizes = endings_of(part, count), array("i", part.place), array("q", part.size)
    if not part.extent:
        folders = [place.path for place in places]
        for key, ending, place, size in zip(keys, endings, place_column, sizes, strict=True):
            yield _loose_file((f"{folders[place]}/{key}{ending}", size)) if place >= 0 else None
        return
    numbers = iter(array("q", part.extent))
    extents = zip(*[numbers] * (len(part.extent) // 8 // count), strict=True)
    for key, ending, place, size, extent in zip(keys, endings, place_column, sizes, extents, strict=True):
        yield blob_at(places[place], key + ending, size, extent) if place >= 0 else None


def endings_of(part: PackedPart, count: int) -> Iterable[str]:
    """What follows the key in the names of a part's `count` files."""
    return map(part.endings.__getitem__, part.ending) if part.ending else itertools.repeat(part.endings[0], count)


def _unreadable(path: str, error: OSError) -> SampleError:
    """The problem of a sample that cannot be read; `error` itself is raised if the fault is not the file's."""
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        raise error
    if error.errno in (errno.ESPIPE, errno.ENXIO):
        return SampleError(Kind.UNREADABLE, path, "it is no regular file any more")
    return SampleError(Kind.UNREADABLE, path, error.strerror or str(error))


def _read(blob: Blob) -> bytes:
    data = bytearray(blob.length)
    blob.read_into(memoryview(data))
    return bytes(data)


def _open(path: str) -> int:
    """The file's descriptor. It may be a pipe's by now, which is not waited for; reading it will fail."""
    try:
        return os.open(path, _FLAGS)
    except BlockingIOError:
        return open_regular(path)


def _announce(path: str, offset: int, length: int) -> None:
    with contextlib.suppress(OSError):
        descriptor = _open(path)
        try:
            os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)


def _fill_up(descriptor: int, view: memoryview, size: int) -> int:
    """Read until `view`, which holds the first `size` bytes, is full or the file ends; the bytes that were read in all.

    Network file systems may give less at a time than was asked for.
    """
    while size < len(view):
        read = os.preadv(descriptor, (view[size:], _BEYOND), size)
        if not read:
            break
        size += read
    return size


def _fill_from(path: str, view: memoryview, offset: int) -> int:
    """Read into `view` from `offset` on, until it is full or the file ends; the bytes read."""
    size = 0
    # Opened each time: that costs a microsecond, and no descriptor has to be looked after.
    descriptor = _open(path)
    try:
        while size < len(view):
            read = os.preadv(descriptor, [view[size:]], offset + size)
            if not read:
                break
            size += read
    finally:
        os.close(descriptor)
    return size
