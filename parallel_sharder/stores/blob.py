"""Blobs: the bytes of one file of the source, read straight into a buffer.

A blob is a loose file, a stretch of an archive, or an entry of a zip. Each has a `length`, is read into a view of
exactly that length, and has a `path` for messages. The length is the one that the plan was made with: a file that has
another length now is a problem of its sample, and raises SampleError. Blobs do not know what their bytes mean.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import operator
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Listing, PackedPart, Part, Place
from parallel_sharder.stores.openings import Key, Opening, registered, taken
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.text import counted

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK

_BEYOND = bytearray(1)
"""Receives the byte behind a file's expected end, if there is one. It is never read."""

_STORED, _DEFLATED = 0, 8
_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
"""The header before an entry's name in a zip: APPNOTE.TXT (PKWARE), 4.3.7."""


class Blob(Protocol):
    """The bytes of one file of the source."""

    @property
    def path(self) -> str:
        """The path of the file, for people."""

    @property
    def length(self) -> int:
        """How many bytes there are."""

    def read_into(self, view: memoryview, /) -> None:
        """Fill `view`, of exactly `length` bytes. Raises SampleError if it cannot be read or has another length."""

    @property
    def opens(self) -> Key:
        """What is opened to read it: the path of the file, and the offset of the bytes."""

    def announce(self, opening: Opening | None = None) -> None:
        """Have the system begin to read the bytes, without waiting. Errors are raised only by reading.

        With `opening`, the file is left open for whoever reads it.
        """

    def read(self) -> bytes:
        """Return the bytes as a new object. Raises SampleError as `read_into` does."""


class LooseFile(NamedTuple):
    """All `length` bytes of the file at `path`."""

    path: str
    length: int

    def read_into(self, view: memoryview) -> None:
        """As Blob says."""
        try:
            try:
                descriptor = _open(self.path) if registered else os.open(self.path, _FLAGS)
            except BlockingIOError:
                descriptor = open_regular(self.path)
            try:
                # The further byte shows in the same system call whether the file has grown, which would otherwise take
                # an fstat. A read at an offset fails for what is no regular file: a pipe has no offsets.
                size = os.preadv(descriptor, (view, _BEYOND), 0)
                if size < len(view):
                    size = _fill_up(descriptor, view, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if size != len(view):
            raise self._changed(size)

    @property
    def opens(self) -> Key:
        """As Blob says."""
        return self.path, 0

    def announce(self, opening: Opening | None = None) -> None:
        """As Blob says."""
        _announce(self.path, 0, self.length, opening)

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
"""Makes a LooseFile from its fields without a NamedTuple's Python-level constructor: each sample has two of them."""


class Stretch(NamedTuple):
    """`length` bytes of the file `archive` from `offset` on; `path` names the archive and its member."""

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

    @property
    def opens(self) -> Key:
        """As Blob says."""
        return self.archive, self.offset

    def announce(self, opening: Opening | None = None) -> None:
        """As Blob says."""
        _announce(self.archive, self.offset, self.length, opening)

    def read(self) -> bytes:
        """As Blob says."""
        return _read(self)


class ZipEntry(NamedTuple):
    """The entry of a zip whose local header is at `offset`: `length` bytes, which take `packed` bytes in the archive.

    `crc` is the CRC-32 in the central directory; the bytes are checked against it.
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

    @property
    def opens(self) -> Key:
        """As Blob says."""
        return self.archive, self.offset

    def announce(self, opening: Opening | None = None) -> None:
        """As Blob says."""
        _announce(self.archive, self.offset, self.packed, opening)

    def read(self) -> bytes:
        """As Blob says."""
        try:
            header, packed = bytearray(_LOCAL_HEADER.size), bytearray(self.packed)
            descriptor = _open(self.archive, self.offset)
            try:
                _fill(descriptor, memoryview(header), self.offset)
                magic, _, _, method, _, _, _, _, _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
                if magic != b"PK\3\4" or method not in (_STORED, _DEFLATED):
                    raise SampleError(Kind.CHANGED, self.path, "the zip has no such entry where its directory says")
                size = _fill(descriptor, memoryview(packed), self.offset + len(header) + name_bytes + extra_bytes)
            finally:
                os.close(descriptor)
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
            # At most one byte more than expected is inflated, so that no bomb takes more memory than the plan allows.
            # (isal is a tenth faster, but leaves the processor in a state in which xxhash takes seven times as long.)
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.length + 1)
        except zlib.error as error:
            raise SampleError(Kind.UNREADABLE, self.path, f"damaged: it cannot be inflated: {error}") from error


def make_blob(place: Place, name: str, length: int, extent: Sequence[int] = ()) -> Blob:
    """Return the blob `name` of `length` bytes at `place`; `extent` is its row of Part.extent, () for loose files."""
    if not extent or extent[0] < 0:
        return LooseFile(f"{place.path}/{name}", length)
    path = f"{place.name}{name}" if place.name.endswith("/") else f"{place.name}:{name}"  # a staged file was loose
    if len(extent) < 3 or extent[2] < 0:
        return Stretch(place.path, extent[0], length, path)
    offset, packed, crc = extent
    return ZipEntry(place.path, offset, packed, crc, length, path)


def listed_blob(listing: Listing, part: Part, row: int) -> Blob | None:
    """Return the file that sample `row` of the Listing has in this part of it; None if the sample has none."""
    if part.place[row] < 0:
        return None
    extent = () if part.extent is None else part.extent[row].tolist()
    return make_blob(listing.places[part.place[row]], listing.name_of(part, row), int(part.size[row]), extent)


def packed_blobs(part: PackedPart, keys: Iterable[str], count: int, places: Sequence[Place]) -> Iterator[Blob | None]:
    """Yield the files of a part of the Chunk that has these `count` keys; None for a sample without a file."""
    place_column, sizes = array("i", part.place), array("q", part.size)
    names = names_of(part, keys, count)
    if not part.extent:
        folders = [place.path for place in places]
        for name, place, size in zip(names, place_column, sizes, strict=True):
            yield _loose_file((f"{folders[place]}/{name}", size)) if place >= 0 else None
        return
    numbers = iter(array("q", part.extent))
    extents = zip(*[numbers] * (len(part.extent) // 8 // count), strict=True)
    for name, place, size, extent in zip(names, place_column, sizes, extents, strict=True):
        yield make_blob(places[place], name, size, extent) if place >= 0 else None


def names_of(part: PackedPart, keys: Iterable[str], count: int) -> Iterator[str]:
    """Yield the names of a part's `count` files in their places; `keys` are those of the Chunk."""
    from_keys = map(operator.add, keys, endings_of(part, count))
    if not part.names:
        return from_keys
    names = os.fsdecode(part.names).split("\0")
    return (name or from_key for name, from_key in zip(names, from_keys, strict=True))


def endings_of(part: PackedPart, count: int) -> Iterable[str]:
    """Return the endings that follow the keys in the names of a part's `count` files."""
    return map(part.endings.__getitem__, part.ending) if part.ending else itertools.repeat(part.endings[0], count)


def _unreadable(path: str, error: OSError) -> SampleError:
    """Return the error of a sample whose file cannot be read; raise `error` itself if the fault is not the file's."""
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        raise error
    if error.errno in (errno.ESPIPE, errno.ENXIO):
        return SampleError(Kind.UNREADABLE, path, "it is no regular file any more")
    return SampleError(Kind.UNREADABLE, path, error.strerror or str(error))


def _read(blob: Blob) -> bytes:
    data = bytearray(blob.length)
    blob.read_into(memoryview(data))
    return bytes(data)


def _open(path: str, offset: int = 0) -> int:
    """Return the descriptor of a file that was opened ahead, to read it from `offset` on; else open it without waiting.

    If it has become a pipe, reading it will fail.
    """
    if registered and (descriptor := taken(path, offset)) >= 0:
        return descriptor
    try:
        return os.open(path, _FLAGS)
    except BlockingIOError:
        return open_regular(path)


def _announce(path: str, offset: int, length: int, opening: Opening | None) -> None:
    descriptor = -1
    with contextlib.suppress(OSError):
        descriptor = os.open(path, _FLAGS)
        if hasattr(os, "posix_fadvise"):  # macOS has none
            os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_WILLNEED)
    if opening is not None:
        opening.end(descriptor)
    elif descriptor >= 0:
        os.close(descriptor)


def _fill_up(descriptor: int, view: memoryview, size: int) -> int:
    """Read until `view`, which holds the first `size` bytes, is full or the file ends; return the bytes read in all.

    Network file systems may return fewer bytes at a time than were asked for.
    """
    while size < len(view):
        read = os.preadv(descriptor, (view[size:], _BEYOND), size)
        if not read:
            break
        size += read
    return size


def _fill_from(path: str, view: memoryview, offset: int) -> int:
    """Read into `view` from `offset` of the file on, as `_fill` does."""
    # The file is opened each time: that takes a microsecond, and no descriptor has to be kept and closed.
    descriptor = _open(path, offset)
    try:
        return _fill(descriptor, view, offset)
    finally:
        os.close(descriptor)


def _fill(descriptor: int, view: memoryview, offset: int) -> int:
    """Read into `view` from `offset` on, until it is full or the file ends, and return the bytes read."""
    size = 0
    while size < len(view):
        read = os.preadv(descriptor, [view[size:]], offset + size)
        if not read:
            break
        size += read
    return size
