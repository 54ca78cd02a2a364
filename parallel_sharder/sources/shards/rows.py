"""Rows: the stretches of all shards as columns, in the order of the source, with their keys sorted.

The listings of single shards come in. A row is a stretch, which is a sample unless its members lie apart; `alive` says
which rows begin a sample that will be stored. Columns are made one at a time and of small numbers, so that 14 million
rows take a gigabyte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from parallel_sharder.columns import Bools, Int32s, Texts
from parallel_sharder.memory import give_back_freed
from parallel_sharder.sources.shards.listed import ListedShard

Shape = tuple[str, ...]
T = TypeVar("T")

Numbers = npt.NDArray[Any]
"""A column of whole numbers, of as few bytes as hold them."""

_ROWS_AT_A_TIME = 1 << 20


@dataclass(frozen=True, eq=False)
class Rows:
    """One row a stretch.

    `keys[i]`, which are sorted, is the key of row `order[i]`; rows of one key keep their order. Row i lies in the shard
    `paths[place[i]]`, and `shapes[shape[i]]` are the names of its fields. `old_keys` has the keys in the shard of the
    rows whose key is another, and `unfit` says of rows what no reader takes in their names. `alive` is changed in
    place, by whoever finds that a row begins no sample to be stored.
    """

    paths: tuple[str, ...]
    keys: Texts
    order: Int32s
    place: Numbers
    offset: Numbers
    size: Numbers
    written: Numbers
    shape: Numbers
    shapes: tuple[Shape, ...]
    old_keys: Mapping[int, bytes]
    unfit: Mapping[int, str]
    alive: Bools

    def __len__(self) -> int:
        return len(self.place)

    def fields(self, row: int) -> Shape:
        """Return the names of the fields in a row."""
        return self.shapes[self.shape[row]]

    def where(self, row: int) -> str:
        """Return the shard and the offset of a row, for people."""
        return f"{self.paths[self.place[row]]}, at offset {int(self.offset[row]):,}"

    def key_of(self, row: int) -> bytes:
        """Return the key of a row; it is looked for."""
        return self.keys[int(np.flatnonzero(self.order == row)[0])]


def rows_of(shards: list[ListedShard]) -> Rows:
    """Return the rows of these shards, in their order, all of them alive. `shards` is empty then."""
    counts = [shard.samples for shard in shards]
    firsts = np.cumsum([0, *counts]).tolist()
    numbers: dict[Shape, int] = {}
    shapes = [np.empty(0, np.uint8)]
    for shard in shards:
        of_shard = [numbers.setdefault(shape, len(numbers)) for shape in shard.shapes]
        small = np.array(of_shard, np.min_scalar_type(len(numbers)))
        shapes.append(small[np.frombuffer(shard.shape, np.int32)] if shard.shape else np.repeat(small, shard.samples))
    keys, order = _sorted_keys(shards)
    sizes = np.concatenate([np.empty(0, np.uint32), *(_sizes(shard, shard.size) for shard in shards)])
    is_same = not any(shard.written for shard in shards)
    written = sizes if is_same else np.concatenate([_sizes(shard, shard.written or shard.size) for shard in shards])
    offsets = np.concatenate([np.empty(0, np.uint32), *map(_offsets, shards)])
    paths = tuple(shard.path for shard in shards)
    renamed, unfit = [shard.renamed for shard in shards], [shard.unfit for shard in shards]
    shards.clear()
    return Rows(
        paths,
        keys,
        order,
        np.repeat(np.arange(len(paths), dtype=np.min_scalar_type(len(paths))), counts),
        offsets,
        sizes,
        written,
        np.concatenate(shapes),
        tuple(numbers),
        _by_row(firsts, renamed),
        _by_row(firsts, unfit),
        np.ones(sum(counts), np.bool_),
    )


def taken(column: npt.NDArray[Any], rows: Numbers, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return these rows of a column, as an array of another type; some at a time, because numpy copies `rows`."""
    made = np.empty(len(rows), kind)
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        some = slice(start, start + _ROWS_AT_A_TIME)
        made[some] = column[rows[some]]
    return made


def _sizes(shard: ListedShard, column: bytes) -> npt.NDArray[Any]:
    return np.frombuffer(column, np.uint32 if len(column) == 4 * shard.samples else np.int64)


def _offsets(shard: ListedShard) -> Numbers:
    sizes = _sizes(shard, shard.size).astype(np.int64)
    offsets = np.frombuffer(shard.offset, np.int64) if shard.offset else np.cumsum(sizes) - sizes
    return offsets.astype(np.uint32) if offsets.max(initial=0) < 1 << 32 else offsets


def _by_row(firsts: Sequence[int], of_shards: Sequence[Mapping[int, T]]) -> dict[int, T]:
    """Return what is said of rows of shards, whose first rows are `firsts`, by row."""
    pairs = zip(firsts, of_shards, strict=False)
    return {first + row: value for first, of_shard in pairs for row, value in of_shard.items()}


def _sorted_keys(shards: list[ListedShard]) -> tuple[Texts, Int32s]:
    """Return the keys of all shards, sorted, and the row of each; the shards lose their keys one after another."""
    longest = max((len(key) for shard in shards for key in shard.keys.split(b"\0")), default=0)
    keys = Texts.of_lists(_keys(shards), sum(shard.samples for shard in shards), longest)
    give_back_freed()
    order = keys.order()
    return keys.take(order), order.astype(np.int32)


def _keys(shards: list[ListedShard]) -> Iterator[list[bytes]]:
    """Yield the keys of each shard, which loses them."""
    for number, shard in enumerate(shards):
        shards[number] = shard._replace(keys=b"")
        yield shard.keys.split(b"\0")[:-1]
