"""Embedded rows: the images in a column of a Parquet table, with a name, a size and a place for each row.

The files of the table are read through by the workers, and the images are copied to the stage on the way. A row's name
is the path in its cell, or the table's name and the row's number; a name without an image's ending gets that of the
format that the image begins as. Names are what the key rule and the fields of images go by.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from parallel_sharder.columns import Bytes, Int32s, Int64s, Texts
from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Archive, Part, Place, Role
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.samples.image import examine
from parallel_sharder.samples.image_fields import FIELDS, FORMATS
from parallel_sharder.sources.kept_index import KeptIndex, archive_at
from parallel_sharder.sources.passage import Passage, passed
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.staging.embedded import Images
from parallel_sharder.staging.look import Looked

NO_BYTES = -4
"""The size of an image that a row has not."""

_FORMAT = "images of a table, 2"
"""The format of the kept index."""

_ENDINGS = {FORMATS[field]: f".{field}" for field in FORMATS}
_BEGIN_BYTES = 4096
"""How much of an image is looked at for its format."""


class ListedImages(NamedTuple):
    """The images of one file: sizes and places in the copy, as native int64, and names, joined by NULs."""

    sizes: bytes
    offsets: bytes
    names: bytes


def list_images(stem: str, images: Iterator[Images], kept: Callable[[int, bytes], None] | None = None) -> ListedImages:
    """Return the images of a file as a Passage asks for them; `stem` begins the names of rows without a path."""
    sizes, offsets, names = array("q"), array("q"), list[bytes]()
    for some in images:
        rows = zip(some.offsets, some.sizes, some.paths, strict=True)
        for number, (offset, size, path) in enumerate(rows, some.first):
            data = some.data[offset - some.offset : offset - some.offset + max(0, size)]
            sizes.append(size if size >= 0 else NO_BYTES)
            offsets.append(offset)
            names.append(_name(path, f"{stem}_{number}", data))
            if kept is not None and size >= 0:
                kept(offset, bytes(data))
    return ListedImages(sizes.tobytes(), offsets.tobytes(), b"\0".join(names))


def _name(path: str | None, own: str, data: memoryview) -> bytes:
    parts = [part for part in (path or "").replace("\0", "_").split("/") if part not in ("", ".", "..")]
    name = "/".join(parts) or own
    if os.path.splitext(name)[1].lower() not in FIELDS:
        name += _ending(data)
    return name.encode("utf-8", "surrogateescape")


def _ending(data: memoryview) -> str:
    """Return the ending of the format that an image begins as; "" for one that is not known."""
    if bytes(data[:3]) == b"\xff\xd8\xff":
        return ".jpg"
    found = examine(data)
    return _ENDINGS.get(found[1], "") if found is not None else ".jpg"


def images_index(path: str | None, archives: Sequence[Archive], column: str) -> KeptIndex[ListedImages]:
    """Return the index of the images in the `column` of a table with these files."""
    of = [_FORMAT, [*map(list, archives)], column]
    return KeptIndex(path, of, list, lambda found: ListedImages(*found))


@dataclass(frozen=True, eq=False)
class EmbeddedRows:
    """The images of all rows of a table, in its order, which lie in the files of `archives`.

    Row i is in file `file[i]`, at `offset[i]` of its copy. A size is NO_BYTES where the row has no image.
    """

    archives: tuple[Archive, ...]
    file: Int32s
    offset: Int64s
    size: Int64s
    names: Sequence[bytes]
    looked: tuple[Looked, ...]

    @classmethod
    def read(
        cls, paths: Sequence[str], column: str, scratch: Scratch, engine: Engine, monitor: Monitor
    ) -> tuple[EmbeddedRows, KeptIndex[ListedImages]]:
        """Return the images in the column of the table with the files at `paths`, and the index of what was found.

        They are read, and copied to the stage, unless the index has them.
        """
        archives = tuple(map(archive_at, paths))
        index = images_index(scratch.index_path, archives, column)
        looked: tuple[Looked, ...] = ()
        if index.found is None:
            stems = (os.path.basename(path).partition(".")[0] for path in paths)
            passages = [
                Passage(copying, partial(list_images, stem), scratch.look)
                for copying, stem in zip(scratch.stage.copyings(archives, column), stems, strict=True)
            ]
            results = passed(passages, engine, monitor)
            index.found, looked = [result.found for result in results], tuple(result.looked for result in results)
        found = index.found
        counts = [len(each.sizes) // 8 for each in found]
        rows = cls(
            archives,
            np.repeat(np.arange(len(found), dtype=np.int32), counts),
            np.frombuffer(b"".join(each.offsets for each in found), np.int64),
            np.frombuffer(b"".join(each.sizes for each in found), np.int64),
            [name for each in found if each.sizes for name in each.names.split(b"\0")],
            looked,
        )
        return rows, index

    def places(self) -> tuple[Place, ...]:
        """The places of the images, which `part` counts from the place `first` on."""
        return tuple(Place(archive.path, archive.path) for archive in self.archives)

    def part(self, rows: Int64s, first: int, endings: tuple[str, ...], ending: Bytes, names: Texts | None) -> Part:
        """Return the part of the images of these rows, counted from 0."""
        place, extent = self.file[rows] + np.int32(first), self.offset[rows].reshape(-1, 1)
        return Part(Role.IMAGE, endings, place.astype(np.int32), self.size[rows], extent, ending, names)
