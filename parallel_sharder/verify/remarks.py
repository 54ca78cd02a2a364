"""Remarks: what is worth knowing of another tool's shard, and is no fault, because readers read the shard as it is.

The checks of a shard note each remark with the member that it concerns. A shard can have the same remark on each of its
members, so remarks are counted, one for each kind, and the first member's key and offset are kept. A remark's text is a
constant, so the number of kinds has a limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from parallel_sharder.text import printable


@dataclass(frozen=True, slots=True)
class Remark:
    """A kind of remark on the shard, or the set, at `path`; it was made `count` times.

    `key` is that of the first member's sample, or "" if the remark is of no sample; `offset` is the offset of the first
    member's header in the tar, or None. The text is made printable here.
    """

    path: str
    detail: str
    count: int = 1
    key: str = ""
    offset: int | None = None

    def __post_init__(self) -> None:
        for field in ("path", "detail", "key"):
            object.__setattr__(self, field, printable(getattr(self, field)))


class Remarks:
    """The remarks on the shard at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._first: dict[str, tuple[str, int | None]] = {}
        self._counts: dict[str, int] = {}

    def note(self, detail: str, key: str = "", offset: int | None = None) -> None:
        """Count a remark; the first of its kind is kept with `key` and `offset`."""
        self._first.setdefault(detail, (key, offset))
        self._counts[detail] = self._counts.get(detail, 0) + 1

    def found(self) -> tuple[Remark, ...]:
        """Return one Remark for each kind, in the order in which they were first noted."""
        return tuple(Remark(self._path, detail, self._counts[detail], *self._first[detail]) for detail in self._first)
