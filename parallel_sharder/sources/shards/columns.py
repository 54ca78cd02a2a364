"""Columns of a Listing: the rows that are alive, sorted by their keys, with the stretches of each sample.

Rows and twins come in. A sample has a part `members`, and one more for each further stretch of the sample that has most
(see samples/stretches.py).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from parallel_sharder.columns import Int32s, Texts
from parallel_sharder.model import Part
from parallel_sharder.samples.stretches import members_role
from parallel_sharder.sources.shards.rows import Rows, Shape, taken
from parallel_sharder.sources.shards.twins import Twins


class Columns(NamedTuple):
    """The columns of the samples, sorted by key, as a Listing has them; `shapes` counts the samples of each shape."""

    keys: Texts
    parts: tuple[Part, ...]
    source_order: Int32s | None
    shapes: tuple[tuple[Shape, int], ...]


def columns_of(rows: Rows, twins: Twins) -> Columns:
    """Return the columns of the samples that begin with the rows that are alive."""
    is_alive = rows.alive[rows.order]
    is_all = bool(np.all(is_alive))
    chosen, keys = (rows.order, rows.keys) if is_all else (rows.order[is_alive], rows.keys.take(is_alive))
    old_keys = dict(rows.old_keys)
    if twins.new_keys:
        pairs = zip(chosen.tolist(), keys, strict=True)
        named = [(row, twins.new_keys.get(row, key), key) for row, key in pairs]
        old_keys.update((row, rows.old_keys.get(row, key)) for row, _, key in named if row in twins.new_keys)
        keys = Texts.of(key for _, key, _ in named)
        order = keys.order()
        chosen, keys = chosen[order], keys.take(order)
    names = Texts.of(old_keys.get(row, b"") for row in chosen.tolist()) if old_keys else None
    parts = [_part(rows, chosen, 0, names)]
    further = max((len(others) for row, others in twins.joined.items() if rows.alive[row]), default=0)
    for number in range(further):
        of_samples = {row: others[number] for row, others in twins.joined.items() if number < len(others)}
        others = np.array([of_samples.get(row, -1) for row in chosen.tolist()], np.int32)
        parts.append(_part(rows, others, number + 1, names))
    return Columns(keys, tuple(parts), _source_order(rows, chosen), _shapes(rows, twins, chosen))


def _part(rows: Rows, chosen: Int32s, number: int, names: Texts | None) -> Part:
    """Return the part with the stretches in the `chosen` rows, -1 for none."""
    place, size = taken(rows.place, chosen, np.int32), taken(rows.size, chosen, np.int64)
    numbers = [rows.offset] if rows.written is rows.size else [rows.offset, rows.written]
    extent = np.empty((len(chosen), len(numbers)), np.int64)
    for column, values in enumerate(numbers):
        extent[:, column] = taken(values, chosen, values.dtype)
    if number:
        for each in (place, size, extent):
            each[chosen < 0] = -1
    return Part(members_role(number), ("",), place, size, extent, None, names)


def _source_order(rows: Rows, chosen: Int32s) -> Int32s | None:
    """Return the rows of the Listing in the order of the source; None if they are in it already."""
    number_of = np.full(len(rows), -1, np.int32)
    number_of[chosen] = np.arange(len(chosen), dtype=np.int32)
    order = number_of[number_of >= 0] if len(chosen) < len(rows) else number_of
    return None if bool(np.all(order[:-1] < order[1:])) else order


def _shapes(rows: Rows, twins: Twins, chosen: Int32s) -> tuple[tuple[Shape, int], ...]:
    """Return each combination of fields with its count of samples, the most frequent first; order does not matter."""
    counts: Counter[Shape] = Counter()
    for number, shape in enumerate(rows.shapes):
        counts[tuple(sorted(shape))] += int(np.count_nonzero(taken(rows.shape == number, chosen, np.bool_)))
    for first, others in twins.joined.items():
        if rows.alive[first]:
            counts[tuple(sorted(rows.fields(first)))] -= 1
            counts[tuple(sorted(name for row in (first, *others) for name in rows.fields(row)))] += 1
    return tuple(sorted((pair for pair in counts.items() if pair[1]), key=lambda pair: (-pair[1], pair)))
