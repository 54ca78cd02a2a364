"""Columns: the types of the numpy arrays that a Listing and a Plan consist of, one array a field, one row a sample.

`Texts` is the column of byte strings, such as keys and names of files. Short ones are kept in an array of fixed width,
which numpy sorts and searches; long ones are kept end to end, because a few long ones would make all rows as wide.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Extents = npt.NDArray[np.int64]
"""The places of files in an archive, one row a file. In a tar: the offset of the file's data in bytes (one column). Of
samples in a shard: the offset of their first header and, where that differs from their size in one sample, the bytes
they take when their headers are written anew (one or two). In a zip: the offset of the file's local header, its size in
the zip in bytes, and its CRC-32 (three)."""
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.bytes_]
"""Keys in ASCII, each padded with NULs to the length of the longest."""

FIXED_BYTES = 32
"""The longest text of a column of fixed width. A lower limit takes numpy's speed from common keys; a higher one makes
14 million rows with one long key take a gigabyte."""

_ROWS_AT_A_TIME = 1 << 16
"""How many rows are made into Python objects at a time: more cost memory, fewer cost time."""


class Texts:
    """A column of byte strings without NUL. Bytewise order is that of `bytes`.

    It has either a `fixed` array, or all bytes end to end in `data`, where row i ends at `ends[i]`.
    """

    __slots__ = ("data", "ends", "fixed")

    def __init__(self, fixed: Keys | None, data: Bytes | None = None, ends: Int64s | None = None) -> None:
        self.fixed = fixed
        self.data = np.empty(0, np.uint8) if data is None else data
        self.ends = np.empty(0, np.int64) if ends is None else ends

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> Texts:
        """Return the column of these texts."""
        rest = iter(texts)
        parts = [cls._small(some) for some in iter(lambda: list(itertools.islice(rest, _ROWS_AT_A_TIME)), [])]
        return cls.concatenate(parts)

    @classmethod
    def of_lists(cls, lists: Iterable[list[bytes]], count: int, longest: int) -> Texts:
        """Return the column of the `count` texts in all lists, of which the longest has at most so many bytes.

        A list can be given up when the next is asked for.
        """
        if longest > FIXED_BYTES:
            return cls.of(itertools.chain.from_iterable(lists))
        array = np.empty(count, f"S{max(1, longest)}")
        start = 0
        for some in lists:
            array[start : start + len(some)] = some
            start += len(some)
        return cls(array)

    @classmethod
    def of_array(cls, array: Keys) -> Texts:
        """Return the column of the texts in an array of fixed width; the array is used, where it can be."""
        width = int(np.char.str_len(array).max(initial=1)) if array.itemsize > FIXED_BYTES else array.itemsize
        if width <= FIXED_BYTES:
            return cls(array if width == array.itemsize else array.astype(f"S{width}"))
        return cls.of(text for start in range(0, len(array), _ROWS_AT_A_TIME) for text in _listed(array, start))

    @classmethod
    def lines(cls, text: bytes) -> Texts:
        """Return the column of the lines of a text, which are separated by newlines; no rows for an empty text."""
        return cls.of(text.split(b"\n") if text else ())

    @classmethod
    def concatenate(cls, parts: Sequence[Texts]) -> Texts:
        """Return the rows of all parts, in order."""
        arrays = [part.fixed for part in parts if part.fixed is not None]
        if len(arrays) == len(parts):
            return cls(np.concatenate(arrays) if arrays else np.empty(0, "S1"))
        long = [part._as_long() for part in parts]
        before = np.cumsum([0, *(len(part.data) for part in long)])
        ends = np.concatenate([part.ends + start for part, start in zip(long, before.tolist(), strict=False)])
        return cls(None, np.concatenate([part.data for part in long]), ends)

    @classmethod
    def _small(cls, texts: list[bytes]) -> Texts:
        if max(map(len, texts), default=1) <= FIXED_BYTES:
            return cls(np.array(texts, np.bytes_))
        ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
        return cls(None, np.frombuffer(b"".join(texts), np.uint8), ends)

    def _as_long(self) -> Texts:
        if self.fixed is None:
            return self
        lengths = np.char.str_len(self.fixed)
        flat = self.fixed.view(np.uint8).reshape(len(self.fixed), self.fixed.itemsize)
        kept = np.arange(self.fixed.itemsize) < lengths[:, None]
        return Texts(None, flat[kept], np.cumsum(lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends) if self.fixed is None else len(self.fixed)

    def __getitem__(self, row: int) -> bytes:
        if self.fixed is not None:
            return bytes(self.fixed[row])
        row = row + len(self) if row < 0 else int(row)
        return self.data[self.ends[row - 1] if row else 0 : self.ends[row]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        for _, some in self.blocks():
            yield from some

    def blocks(self) -> Iterator[tuple[slice, list[bytes]]]:
        """Yield all texts, some rows at a time, each time with these rows."""
        for start in range(0, len(self), _ROWS_AT_A_TIME):
            some = self.some(start, start + _ROWS_AT_A_TIME)
            yield slice(start, start + len(some)), some

    def some(self, start: int, stop: int) -> list[bytes]:
        """Return the texts of the rows from `start` to before `stop`, as in a slice."""
        if self.fixed is not None:
            return self.fixed[start:stop].tolist()  # type: ignore[no-any-return]
        ends = self.ends[start:stop].tolist()
        first = int(self.ends[start - 1]) if start else 0
        data = self.data[first : ends[-1] if ends else first].tobytes()
        return [data[begin - first : end - first] for begin, end in itertools.pairwise([first, *ends])]

    def take(self, rows: Any) -> Texts:
        """Return the texts of these rows: an array of numbers or of truth values."""
        if self.fixed is not None:
            return Texts(self.fixed.take(rows) if rows.dtype != np.bool_ else self.fixed[rows])
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        sizes = np.diff(self.ends, prepend=0)[chosen]
        if sizes.max(initial=0) <= FIXED_BYTES:
            return Texts.of(self[row] for row in chosen.tolist())
        ends = np.cumsum(sizes)
        data = np.empty(ends[-1], np.uint8)
        for start in range(0, len(chosen), _ROWS_AT_A_TIME):
            some = slice(start, start + _ROWS_AT_A_TIME)
            first, end = ends[start] - sizes[start], ends[some][-1]
            back = np.repeat(ends[some] - self.ends[chosen[some]], sizes[some])
            data[first:end] = self.data[np.arange(first, end) - back]
        return Texts(None, data, ends)

    @property
    def longest(self) -> int:
        """The length of the longest text in bytes; at least 1. For short ones it may be that of the column's width."""
        if self.fixed is not None:
            return self.fixed.itemsize
        return int(np.diff(self.ends, prepend=0).max(initial=1))

    def padded(self, rows: Int32s) -> tuple[int, bytes]:
        """Return a width, and the texts of these rows end to end, each padded with NULs to this width."""
        if self.fixed is not None:
            return self.fixed.itemsize, self.fixed.take(rows).tobytes()  # take is half as long as [rows]
        texts = [self[row] for row in rows.tolist()]
        width = max(map(len, texts), default=1)
        return width, b"".join(text.ljust(width, b"\0") for text in texts)

    def joined(self, rows: Int32s) -> bytes:
        """Return the texts of these rows, joined by NULs."""
        return b"\0".join([self[row] for row in rows.tolist()])

    def is_sorted(self) -> bool:
        """Return whether no text is less than the one before it."""
        if self.fixed is not None:
            return not np.any(self.fixed[:-1] > self.fixed[1:])
        return all(one <= other for one, other in itertools.pairwise(self))

    def order(self) -> Int64s:
        """Return the rows in bytewise order of their texts; equal ones keep their order."""
        if self.fixed is not None:
            return np.argsort(self.fixed, kind="stable")
        shared = _shared_bytes(min(self), max(self)) if len(self) else 0
        begins = np.empty(len(self), f"S{FIXED_BYTES}")
        for rows, some in self.blocks():
            begins[rows] = [text[shared : shared + FIXED_BYTES] for text in some]
        order = np.argsort(begins, kind="stable")
        alike = begins[order[1:]] == begins[order[:-1]]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], alike, [False]]).astype(np.int8)))
        for start, end in edges.reshape(-1, 2).tolist():  # rows that differ behind these bytes, if at all
            order[start : end + 1] = sorted(order[start : end + 1].tolist(), key=self.__getitem__)
        return order

    def repeats(self) -> Int64s:
        """Return the rows whose text is that of the row before; in a sorted column these are all that repeat one."""
        if self.fixed is not None:
            return np.flatnonzero(self.fixed[:-1] == self.fixed[1:]) + 1
        same = (row for row, (one, other) in enumerate(itertools.pairwise(self), 1) if one == other)
        return np.fromiter(same, np.int64)

    def rows_of(self, texts: Sequence[bytes]) -> Int64s:
        """Return the row of each text in this column, which is sorted; -1 for a text that it does not have."""
        if not len(self):
            return np.full(len(texts), -1)
        if self.fixed is not None:
            cut = self.fixed.itemsize + 1  # one long text would make the array as wide for all
            wanted = np.array([text[:cut] for text in texts], np.bytes_)
            rows = np.minimum(np.searchsorted(self.fixed, wanted), len(self) - 1)
            return np.where(self.fixed[rows] == wanted, rows, -1)
        found = (bisect.bisect_left(self, text) for text in texts)
        return np.array(
            [row if row < len(self) and self[row] == text else -1 for row, text in zip(found, texts, strict=True)],
            np.int64,
        )

    def update(self, digest: Any) -> None:
        """Add the column to a digest."""
        for array in self.arrays:
            digest.update(array.tobytes())

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """The arrays that the column consists of, which `of_arrays` takes."""
        return (self.data, self.ends) if self.fixed is None else (self.fixed,)

    @classmethod
    def of_arrays(cls, arrays: Sequence[npt.NDArray[Any]]) -> Texts:
        """Return the column that consists of these arrays."""
        return cls(arrays[0]) if len(arrays) == 1 else cls(None, *arrays)


def _shared_bytes(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts have in common at their beginning."""
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in alike)


def _listed(array: Keys, start: int) -> list[bytes]:
    return array[start : start + _ROWS_AT_A_TIME].tolist()  # type: ignore[no-any-return]
