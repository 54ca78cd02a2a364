"""The listing's file: a Listing becomes bytes that another run, on another host, turns into the same Listing.

    file   = magic length head column ... digest   4 bytes big-endian; msgpack of a map; zstd frames, one a column;
                                                   XXH3-128 of all bytes before it

Paths below the source's root, and below the folder of the shards, are stored relative to them: so the two may be
mounted elsewhere on the other host. The head also holds what the listing was made for, which this module does not look
at. It opens no file.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt
import xxhash
import zstandard

from parallel_sharder.columns import Texts
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Archive, ImageClass, Listing, Part, Place, Problem

MAGIC = b"parallel_sharder listing\n"
FORMAT = 2
_READ = (1, FORMAT)
"""The formats that are read. In format 1 all sources were ImageNet, so that keys were short and named all files."""

_LENGTH = struct.Struct(">I")
_DIGEST_BYTES = 16
_LEVEL = 1
"""The columns shrink to a third at this level, and to little less at higher ones, which take longer than the disk."""

_TEXT: dict[str, str] = {"unicode_errors": "surrogateescape"}
"""How msgpack stores paths, which may hold any bytes."""


class ListingFileError(Exception):
    """Bytes that are no whole listing; its text says why, in the middle of a sentence."""


@dataclass(frozen=True)
class Folders:
    """The absolute paths of the source's root and of the folder of the shards, as this run names them."""

    root: str
    shards: str

    def packed(self, path: str) -> tuple[str, str]:
        """Return the folder that a path is below, "root" or "shards", and the path in it; or "" and the path."""
        for name, folder in (("root", self.root), ("shards", self.shards)):
            if path == folder or path.startswith(os.path.join(folder, "")):
                return name, path[len(folder) :].lstrip("/")
        return "", path

    def unpacked(self, packed: tuple[str, str]) -> str:
        """Return the path on this host that `packed` has packed on another."""
        name, path = packed
        folder = {"root": self.root, "shards": self.shards}.get(name, "")
        return os.path.join(folder, path) if path else folder


def to_bytes(listing: Listing, folders: Folders, made_for: dict[str, Any]) -> Iterator[bytes]:
    """Yield the bytes of the file, in parts; `made_for` is what msgpack can hold."""
    digest = xxhash.xxh3_128()
    for part in _parts(listing, folders, made_for):
        digest.update(part)
        yield part
    yield digest.digest()


def _parts(listing: Listing, folders: Folders, made_for: dict[str, Any]) -> Iterator[bytes]:
    columns: list[npt.NDArray[Any]] = [*listing.keys.arrays, listing.class_index]
    for part in listing.parts:
        columns += [part.place, part.size, *(each for each in (part.extent, part.ending) if each is not None)]
        columns += part.names.arrays if part.names is not None else ()
    columns += [listing.source_order] if listing.source_order is not None else []
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    frames = [compressor.compress(np.ascontiguousarray(column).data) for column in columns]
    head = {
        "format": FORMAT,
        "made_for": made_for,
        "root": folders.root,
        "found": listing.found,
        "notices": listing.notices,
        "places": [(folders.packed(place.path), folders.packed(place.name)) for place in listing.places],
        "archives": [(folders.packed(each.path), each.size, each.mtime_ns) for each in listing.archives],
        "classes": [dataclasses.astuple(row) for row in listing.classes],
        "problems": [
            (each.kind.value, folders.packed(each.path), each.key, each.detail, each.kept) for each in listing.problems
        ],
        "keys": len(listing.keys.arrays),
        "parts": [
            (
                str(part.role),
                part.endings,
                part.extent is not None,
                part.ending is not None,
                0 if part.names is None else len(part.names.arrays),
            )
            for part in listing.parts
        ],
        "has_row_labels": listing.has_row_labels,
        "selection": dict(listing.selection),
        "fields": listing.fields,
        "has_source_order": listing.source_order is not None,
        "columns": [
            (column.dtype.str, column.shape, len(frame)) for column, frame in zip(columns, frames, strict=True)
        ],
    }
    packed = msgpack.packb(head, **_TEXT)
    yield MAGIC + _LENGTH.pack(len(packed)) + packed
    yield from frames


class ListingFile:
    """The file with these bytes, whose digest is compared once. Raises ListingFileError if it is no whole listing."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._head, self._start = _head(data)

    @property
    def made_for(self) -> dict[str, Any]:
        """What the listing was made for. Raises ListingFileError if the file does not say it."""
        value = self._head.get("made_for")
        if not isinstance(value, dict):
            raise ListingFileError("it does not say what it was made for")
        return value

    def listing(self, folders: Folders) -> Listing:
        """Return the listing, with the paths of this host. Raises ListingFileError if the content is none."""
        try:
            return _listing(self._head, _columns(self._head, self._data, self._start), folders)
        except (KeyError, TypeError, ValueError, StopIteration, zstandard.ZstdError) as error:
            raise ListingFileError(f"its content is not that of a listing ({error})") from error


def _head(data: bytes) -> tuple[dict[str, Any], int]:
    """Return the head of the file, and where the columns begin."""
    start = len(MAGIC) + _LENGTH.size
    if not data.startswith(MAGIC) or len(data) < start + _DIGEST_BYTES:
        raise ListingFileError("it does not begin as a listing does, or is cut")
    if xxhash.xxh3_128_digest(memoryview(data)[:-_DIGEST_BYTES]) != data[-_DIGEST_BYTES:]:
        raise ListingFileError("its digest is not that of its content, so it is cut or damaged")
    end = start + _LENGTH.unpack_from(data, len(MAGIC))[0]
    try:
        head = msgpack.unpackb(data[start:end], **_TEXT)
    except ValueError as error:
        raise ListingFileError(f"its head cannot be read ({error})") from error
    if not isinstance(head, dict):
        raise ListingFileError("its head is no map")
    if head.get("format") not in _READ:
        raise ListingFileError(f"it has format {head.get('format')}, and this version reads {FORMAT}")
    return head, end


def _columns(head: dict[str, Any], data: bytes, start: int) -> Iterator[Any]:
    decompressor = zstandard.ZstdDecompressor()
    view = memoryview(data)
    for kind, shape, frame_bytes in head["columns"]:
        column = np.frombuffer(decompressor.decompress(view[start : start + frame_bytes]), np.dtype(kind))
        start += frame_bytes
        yield column.reshape(shape)


def _listing(head: dict[str, Any], columns: Iterator[Any], folders: Folders) -> Listing:
    moved = _mover(head["root"], folders.root)
    keys = _texts(columns, head.get("keys", 1))
    assert keys is not None  # noqa: S101 - a listing has keys
    class_index = next(columns)
    parts = tuple(
        Part(
            role,
            tuple(endings),
            next(columns),
            next(columns),
            next(columns) if has_extent else None,
            next(columns) if has_ending else None,
            _texts(columns, sum(names)),
        )
        for role, endings, has_extent, has_ending, *names in head["parts"]
    )
    return Listing(
        tuple((name, moved(text)) for name, text in head["found"]),
        tuple(Place(folders.unpacked(path), folders.unpacked(name)) for path, name in head["places"]),
        tuple(ImageClass(*row) for row in head["classes"]),
        keys,
        class_index,
        parts,
        tuple(
            Problem(Kind(kind), folders.unpacked(path), key, detail, kept)
            for kind, path, key, detail, kept in head["problems"]
        ),
        tuple(Archive(folders.unpacked(path), size, mtime_ns) for path, size, mtime_ns in head["archives"]),
        tuple(map(moved, head["notices"])),
        head.get("has_row_labels", False),
        head.get("selection", {}),
        next(columns) if head.get("has_source_order") else None,
        tuple((name, count) for name, count in head.get("fields", ())),
    )


def _texts(columns: Iterator[Any], arrays: int) -> Texts | None:
    return Texts.of_arrays([next(columns) for _ in range(arrays)]) if arrays else None


def _mover(before: str, now: str) -> Callable[[str], str]:
    """Return the function that replaces, in text for people, paths below one root by paths below another."""
    if before == now or before == os.sep:  # in text, a mere / is no path
        return str
    return lambda text: text.replace(os.path.join(before, ""), os.path.join(now, ""))
