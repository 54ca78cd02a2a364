"""Row keys: the key of each row follows from its image's path by the key rule, or is the cell of a column.

Names of files, or cells, come in batch by batch, and a sorted, unique column of keys goes out. Twins are made of their
whole paths. Rows that share an image get `#` and the row's number behind the path, which the rule writes as `=23`.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from parallel_sharder.columns import Bools, Int32s, Int64s, Texts
from parallel_sharder.errors import SourceError
from parallel_sharder.sources.key_rule import LIMIT_BYTES, key_of
from parallel_sharder.sources.table.table import Cell
from parallel_sharder.text import counted

_FITS = re.compile(rb"(?!_)[A-Za-z0-9_=~-]+(?:/(?!_)[A-Za-z0-9_=~-]+)*")

_PLAIN = re.compile(rb"(?:[A-Za-z0-9-][A-Za-z0-9_-]*(?:/[A-Za-z0-9-][A-Za-z0-9_-]*)*\0)*+")


def stem_of(name: bytes) -> bytes:
    """Return the path without its ending, and without a slash at its beginning."""
    return os.path.splitext(name.lstrip(b"/"))[0]


def keys_of_paths(names: Sequence[bytes]) -> list[bytes]:
    """Return the key that each path has if it has no twin, and no other row."""
    stems = [*map(stem_of, names)]
    if max(map(len, stems), default=0) <= LIMIT_BYTES and _PLAIN.fullmatch(b"\0".join((*stems, b""))):
        return stems
    return [*map(key_of, stems)]


class GivenKeys:
    """Reads the cells of a column of keys of the table at `table`, and counts those that do not fit."""

    def __init__(self, table: str, column: str) -> None:
        self._where = f"{table}, column {column!r}"
        self._bad_count = 0
        self._first = ""

    def keys(self, numbers: Sequence[int], cells: Sequence[Cell]) -> list[bytes]:
        """Return the keys in the cells of the rows with these numbers."""
        keys = []
        for row, cell in zip(numbers, cells, strict=True):
            key = b"" if cell is None else str(cell).encode("utf-8", "replace")
            if not _FITS.fullmatch(key) or len(key) > LIMIT_BYTES:
                self._bad_count += 1
                self._first = self._first or f"row {row:,} has {cell!r}"
            keys.append(key.replace(b"\0", b" "))
        return keys

    def refuse_bad(self) -> None:
        """Raise SourceError if cells were no keys."""
        if self._bad_count:
            raise SourceError(
                f"{self._where}: {counted(self._bad_count, 'cell is no key', 'cells are no keys')}; {self._first}. A "
                f"key has at most {LIMIT_BYTES} ASCII letters, digits, and characters of _-=~/, and no part of it "
                "begins with _. Mend them, or leave --key out: keys are then made of the paths."
            )


def order_of_given(keys: Texts, numbers: Int32s, table: str) -> Int64s:
    """Return the rows in the order of their keys. Raises SourceError if two are equal.

    `numbers` are the rows' numbers in the table.
    """
    order = keys.order()
    repeats = keys.take(order).repeats()
    if len(repeats):
        one, other = numbers[order[repeats[0] - 1]], numbers[order[repeats[0]]]
        raise SourceError(
            f"{table}: {counted(len(repeats), 'row repeats a key', 'rows repeat keys')}, and readers would merge these "
            f"samples; the first: {keys[int(order[repeats[0]])].decode()}, of rows {one:,} and {other:,}. Mend them, "
            "or leave --key out: keys are then made of the paths."
        )
    return order


def unique_keys(keys: Texts, path: Callable[[int], bytes], numbers: Int32s, table: str) -> tuple[Texts, Int64s, Bools]:
    """Return the keys, each of one row, the rows in the order of their keys, and which rows' keys were made anew.

    `keys` are those of the paths, of which `path(row)` returns one, and `numbers` are the rows' numbers in the table.
    Raises SourceError for two rows whose keys stay equal.
    """
    is_whole, is_shared = np.zeros((2, len(keys)), np.bool_)
    while True:
        order = keys.order()
        repeats = keys.take(order).repeats()
        if not len(repeats):
            return keys, order, is_whole | is_shared
        is_changed = np.zeros(len(keys), np.bool_)
        for rows in _runs(order, repeats):
            is_so = is_whole if len({path(row) for row in rows.tolist()}) > 1 else is_shared
            is_changed[rows] |= ~is_so[rows]
            is_so[rows] = True
        if not is_changed.any():
            one, other = order[repeats[0] - 1], order[repeats[0]]
            raise SourceError(
                f"{table}: the rows {numbers[one]:,} and {numbers[other]:,} get the same key, {keys[one].decode()}. "
                "Rename one of the images, or name a column of keys with --key."
            )
        keys = Texts.of(
            _key(path(row), int(numbers[row]), is_whole[row], is_shared[row]) if is_changed[row] else key
            for row, key in enumerate(keys)
        )


def _runs(order: Int64s, repeats: Int64s) -> Iterator[Int64s]:
    """Yield the rows of each key that several rows have; `repeats` are the places in `order` that repeat one."""
    starts = np.flatnonzero(np.diff(repeats, prepend=-1) > 1)
    for first, end in itertools.pairwise([*starts.tolist(), len(repeats)]):
        yield order[repeats[first] - 1 : repeats[end - 1] + 1]


def _key(name: bytes, number: int, is_whole: bool, is_shared: bool) -> bytes:
    path = name.lstrip(b"/") if is_whole else stem_of(name)
    return key_of(path + b"#%d" % number if is_shared else path)
