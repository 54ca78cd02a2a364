"""What forms mend in annotations, and how often they did: counts in a shard's record, and in a whole set by name.

It knows no encoder, so that whoever reads a manifest or shows a report has none either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from parallel_sharder.model import ShardRecord


class Mended(NamedTuple):
    """How often something was mended, or of a set, how often in all.

    Boxes had minimum and maximum `swapped`, went past the image and were `clamped` to it, or were `dropped` because
    they have no area, lie outside, or are no numbers (and then count as nothing else). Objects had `names` that are no
    WordNet ID, dogs' mostly, and got that of the image's class. Annotations had `%s` instead of `filenames`, `folders`
    without the leading n, and no usable `sizes`.
    """

    swapped: int = 0
    clamped: int = 0
    dropped: int = 0
    names: int = 0
    filenames: int = 0
    folders: int = 0
    sizes: int = 0

    def plus(self, other: Mended) -> Mended:
        """Both together."""
        return Mended(*map(sum, zip(self, other, strict=True)))


MENDS: dict[str, tuple[str, ...]] = {"boxes": Mended._fields}
"""What is counted, by the form that mends it. Others mend nothing."""


def mended_in_all(form: str, records: Iterable[ShardRecord]) -> dict[str, int]:
    """How often each thing was mended for the shards of these records, by name."""
    totals = dict.fromkeys(MENDS.get(form, ()), 0)
    for record in records:
        for name, count in zip(totals, record.mended, strict=False):  # none is recorded where nothing was counted
            totals[name] += count
    return totals
