"""Assembled: what the workers have listed becomes the columns of a Listing, one row an image, sorted by key.

Columns of bytes go in, in any order; keys, Parts and the folder of each row come out. This runs in the coordinator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from parallel_sharder.columns import Bytes, Int32s, Int64s, Texts
from parallel_sharder.errors import SourceError
from parallel_sharder.memory import give_back_freed
from parallel_sharder.model import Part, Role
from parallel_sharder.sources.class_folders.rows import Columns

T = TypeVar("T", bound=np.generic)


class Assembled(NamedTuple):
    """The rows of all that was listed: keys, the parts (the images first), and where each row is from.

    `tops` are the names of the folders that were listed, and `top` has each row's position in them.
    """

    keys: Texts
    parts: tuple[Part, ...]
    tops: tuple[str, ...]
    top: Int32s


def assemble(tops: Sequence[tuple[str, int]], columns: list[Columns], fields: Sequence[str]) -> Assembled:
    """Return the rows of all `columns`, sorted by key; `tops` are the folders that were listed, with counts of rows.

    `fields` are those of the joined files. `columns` is emptied on the way: with the keys of millions of rows, memory
    would hold all of them three times. Raises SourceError for two images with one key.
    """
    unsorted = _keys(columns)
    give_back_freed()
    order = None if unsorted.fixed is not None and unsorted.is_sorted() else unsorted.order()
    keys = _texts_in(order, unsorted)
    del unsorted
    counts = [count for _, count in tops]
    top = _in(order, np.repeat(np.arange(len(counts), dtype=np.int32), counts))
    sizes = _in(order, _sizes([each.sizes for each in columns], columns))
    endings, ending = _endings(columns)
    image_ending = None if ending is None else _in(order, ending)
    names = _names([each.names for each in columns], columns, order)
    image = Part(Role.IMAGE, endings, np.zeros(len(keys), np.int32), sizes, None, image_ending, names)
    sides = [_side(field, number, columns, order) for number, field in enumerate(fields)]
    columns.clear()
    found = Assembled(keys, (image, *sides), tuple(name for name, _ in tops), top)
    _refuse_repeats(found)
    return found


def _keys(columns: list[Columns]) -> Texts:
    """Return the keys of all columns, which they forget."""
    width = max((len(key) for each in columns for key in each.keys.split(b"\n")), default=0)
    lists = (keys.split(b"\n") for keys in _taken_keys(columns) if keys)
    return Texts.of_lists(lists, sum(map(len, columns)), width)


def _taken_keys(columns: list[Columns]) -> Iterator[bytes]:
    """Yield the keys of each, and forget them."""
    for number, each in enumerate(columns):
        columns[number] = dataclasses.replace(each, keys=b"")
        yield each.keys


def _in(order: Int64s | None, array: npt.NDArray[T]) -> npt.NDArray[T]:
    """Return the rows of the array in this order, or as they are."""
    return array if order is None else array[order]


def _texts_in(order: Int64s | None, texts: Texts) -> Texts:
    return texts if order is None else texts.take(order)


def _side(field: str, number: int, columns: Sequence[Columns], order: Int64s | None) -> Part:
    """Return the part of the joined files of `field`, which is the one with this number."""
    its = [each.sides[number] for each in columns]
    sizes = _in(order, _sizes([side.sizes for side in its], columns))
    place = np.where(sizes >= 0, np.int32(0), np.int32(-1))
    return Part(field, (f".{field}",), place, sizes, None, None, _names([side.names for side in its], columns, order))


def _sizes(packed: Sequence[bytes], columns: Sequence[Columns]) -> Int64s:
    """Return a column of sizes; all rows of a Columns without sizes have -1."""
    parts = [
        np.frombuffer(sizes, np.int64) if sizes else np.full(len(each), -1, np.int64)
        for sizes, each in zip(packed, columns, strict=True)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _names(packed: Sequence[bytes], columns: Sequence[Columns], order: Int64s | None) -> Texts | None:
    """Return a column of names; None if all follow from the keys."""
    if not any(packed):
        return None
    parts = [
        Texts.of(names.split(b"\0")) if names else Texts(np.zeros(len(each), "S1"))
        for names, each in zip(packed, columns, strict=True)
    ]
    return _texts_in(order, Texts.concatenate(parts))


def _endings(columns: Sequence[Columns]) -> tuple[tuple[str, ...], Bytes | None]:
    """Return the different endings of images, and the column of their numbers; None if there is one ending."""
    endings = sorted({ending for each in columns for ending in each.endings})
    if len(endings) < 2:
        return tuple(endings) or ("",), None
    numbers = {ending: number for number, ending in enumerate(endings)}
    parts = [
        np.array([numbers[ending] for ending in each.endings], np.uint8)[np.frombuffer(each.ending, np.uint8)]
        for each in columns
        if each.endings
    ]
    return tuple(endings), np.concatenate(parts)


def _refuse_repeats(found: Assembled) -> None:
    repeats = found.keys.repeats()
    if len(repeats):
        row = int(repeats[0])
        folders = {found.tops[found.top[each]] for each in (row - 1, row)}
        raise SourceError(
            f"two images in {' and '.join(sorted(folders))} have the key {found.keys[row].decode()}, which is made of "
            "a digest of their paths. Rename one of the two."
        )
