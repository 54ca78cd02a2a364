"""Mended annotations: the kinds of faults that forms mend, and how often each was mended.

A shard's record has the counts as a tuple; a manifest and a report have the sums over all shards, by name. This module
imports no encoder, so that modules that read a manifest or show a report load none either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from parallel_sharder.model import ShardRecord


class Mended(NamedTuple):
    """How often each kind of fault was mended, in one sample or in several.

    A box counts as `swapped` if its minimum and maximum were exchanged, as `clamped` if it went past the image and was
    cut to it, and as `dropped` if it has no area, lies outside the image, or its sides are no numbers; a box that is
    dropped counts as nothing else. `names` counts objects whose name is no WordNet ID (mostly dogs); each got the ID of
    the image's class. `filenames` counts annotations with `%s` for the file name, `folders` those whose folder lacks
    the leading n, and `sizes` those without a usable width and height.
    """

    swapped: int = 0
    clamped: int = 0
    dropped: int = 0
    names: int = 0
    filenames: int = 0
    folders: int = 0
    sizes: int = 0

    def plus(self, other: Mended) -> Mended:
        """Return the sums of both."""
        return Mended(*map(sum, zip(self, other, strict=True)))


MENDS: dict[str, tuple[str, ...]] = {"boxes": Mended._fields}
"""The names of the counts of each form that mends something. Other forms mend nothing."""


def mended_in_all(form: str, records: Iterable[ShardRecord]) -> dict[str, int]:
    """Return the counts of all these records together, by name."""
    totals = dict.fromkeys(MENDS.get(form, ()), 0)
    for record in records:
        for name, count in zip(totals, record.mended, strict=False):  # a record where nothing was counted has none
            totals[name] += count
    return totals
