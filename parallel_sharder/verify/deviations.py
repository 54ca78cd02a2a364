"""The deviations of one shard, in the order in which they were found, up to a limit.

The checks of the tar, of the samples and of the whole file note here what is wrong. A shard that was made to do harm
can have a deviation in each block, and a deviation's detail can quote the shard. So the count of deviations and the
length of a detail have limits. When the limit of the count is reached, `note` ends the check by an EnoughError.
"""

from __future__ import annotations

from parallel_sharder.model import Deviation

LIMIT = 1_000
"""The most deviations of one shard. Each takes half a kilobyte of memory."""

DETAIL_LIMIT = 500
"""The most characters of a deviation's detail."""


class EnoughError(Exception):
    """A shard has more deviations than are kept."""


class Deviations:
    """The deviations of the shard at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: list[Deviation] = []

    def note(self, detail: str, key: str = "", offset: int | None = None) -> None:
        """Add a deviation; `key` is "" if it concerns no sample, `offset` in the tar is None if it has no place there.

        Raises EnoughError instead if the limit is reached.
        """
        if len(self._found) == LIMIT:
            raise EnoughError
        if len(detail) > DETAIL_LIMIT:
            detail = f"{detail[:DETAIL_LIMIT]}..."
        self._found.append(Deviation(self._path, detail, key, offset))

    def note_end(self) -> None:
        """Put a deviation before all others that says why the check ended; people are shown the first ones only."""
        detail = f"has more than {LIMIT:,} deviations, and was read no further"
        self._found.insert(0, Deviation(self._path, detail))

    def found(self) -> tuple[Deviation, ...]:
        """Return all deviations that were noted."""
        return tuple(self._found)
