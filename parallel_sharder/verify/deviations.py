"""The deviations of one shard, in the order in which they were found, and no more of them than anybody reads.

The checks of the tar, of the samples and of the whole file note here what is wrong. A shard that somebody has made for
it can have a deviation in each block, and a detail can quote what is in the shard: so both have limits. After the last
deviation that there is room for, `note` ends the check by an EnoughError.
"""

from __future__ import annotations

from parallel_sharder.model import Deviation

LIMIT = 1_000
"""Deviations of one shard. Each takes half a kilobyte."""

DETAIL_LIMIT = 500
"""Characters of a deviation's detail."""


class EnoughError(Exception):
    """So much is wrong with a shard that nobody wants to know the rest."""


class Deviations:
    """The deviations of the shard at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: list[Deviation] = []

    def note(self, detail: str, key: str = "", offset: int | None = None) -> None:
        """Add a deviation: of the sample `key`, or "", and at `offset` in the tar, or None.

        Raises EnoughError instead if there are too many already.
        """
        if len(self._found) == LIMIT:
            raise EnoughError
        if len(detail) > DETAIL_LIMIT:
            detail = f"{detail[:DETAIL_LIMIT]}..."
        self._found.append(Deviation(self._path, detail, key, offset))

    def note_end(self) -> None:
        """Say, before all others, that the check ended because there are too many; people are shown the first."""
        detail = f"has more than {LIMIT:,} deviations, and was read no further"
        self._found.insert(0, Deviation(self._path, detail))

    def found(self) -> tuple[Deviation, ...]:
        """All that were noted."""
        return tuple(self._found)
