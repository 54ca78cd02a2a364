"""The index of an archive: its Contents, kept so that a resumed run can use them (see kept_index).

It is used only if the archive can hold every file in it. Otherwise the archive is listed again.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from parallel_sharder.kinds import Kind
from parallel_sharder.model import Archive, Place, Problem
from parallel_sharder.sources.contents import Contents, FileColumns
from parallel_sharder.sources.kept_index import KeptIndex
from parallel_sharder.stores.packing import packing_of

FORMAT = 3
_KEY = re.compile("[A-Za-z0-9_-]+")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}")

T = TypeVar("T")


class ArchiveIndex(KeptIndex[Contents]):
    """The index of `archives` for `split`, kept in the file at `path`; it is not kept if that is None."""

    def __init__(self, path: str | None, archives: Sequence[Archive], split: str) -> None:
        self.archives = {archive.path: archive for archive in archives}
        key = [*map(list, archives)]
        of = [FORMAT, key[0] if len(key) == 1 else key, split]
        super().__init__(path, of, dataclasses.astuple, partial(_contents, self.archives))


@functools.cache
def _limit(archive: Archive) -> int:
    """Return an offset behind all that the archive can hold; of a compressed one, this is not known."""
    return archive.size if packing_of(archive.path) is None else sys.maxsize


def _contents(archives: Mapping[str, Archive], value: list[Any]) -> Contents:
    """Return the Contents of `value`. Raises ValueError, among others, if its archive cannot have these contents."""
    place, name, images, xmls, folders, problems, junk = value
    archive = archives.get(place[0])
    if archive is None:
        raise ValueError("it is of another file")
    limit = _limit(archive)
    columns = _columns(limit, *images), _columns(limit, *xmls)
    listed = tuple(
        Problem(Kind(kind), _text(path), _text(key), _text(detail), _a(bool, kept))
        for kind, path, key, detail, kept in problems
    )
    counts = tuple((_text(word), _a(int, count)) for word, count in junk)
    return Contents(Place(*map(_text, place)), _text(name), *columns, tuple(map(_text, folders)), listed, counts)


def _columns(limit: int, keys: str, sizes: bytes, extents: bytes, endings: str, classes: bytes = b"") -> FileColumns:
    all_sizes, all_extents = array("q", sizes), array("q", extents)
    count, names, suffixes = len(all_sizes), keys.split("\n") if keys else [], endings.split("\n") if endings else []
    width = len(all_extents) // count if count else 0
    is_sound = (
        len(names) == count
        and all(map(_KEY.fullmatch, names))
        and min(all_sizes, default=0) >= 0
        and len(all_extents) == count * width
        and width in ((1, 3) if count else (0,))  # see columns.Extents
        and all(0 <= offset <= limit for offset in all_extents[:: width or 1])
        and len(suffixes) in (0, count)
        and all(map(_ENDING.fullmatch, suffixes))
        and len(classes) in (0, 2 * count)
    )
    if not is_sound:
        raise ValueError("its columns are not those of files in the archive")
    return FileColumns(keys, sizes, extents, endings, classes)


def _text(value: object) -> str:
    return _a(str, value)


def _a(kind: type[T], value: object) -> T:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
