"""What does safety cost? A conversion with all of it, and without one part or all parts of it.

python -m benchmarks.safety [--images 4000] [--runs 25] [--folder FOLDER]

  all         parallel_sharder with its defaults
  late syncs  the shards are synced when all of them are written; manifest and journal are not
  no syncs    nothing is: what is still to be written to the disk is not counted, the system does it later
  no digest   shards are not hashed
  no journal  nothing is recorded
  no checks   images are not looked at
  nothing     none of these, and late syncs
The last columns are what `all` costs against the variant: 1.02 is 2 % more; medians of the ratios round by round.
"""

from __future__ import annotations

import os
from typing import Any

import xxhash

from benchmarks.variants import Patches, compare
from parallel_sharder import journal, sample


class _NoDigest:
    """What a shard's digest is where there is none."""

    def update(self, data: Any) -> None:
        """Nothing."""

    def hexdigest(self) -> str:
        """No digest."""
        return ""


def _nothing(*_: Any) -> None:
    return None


SYNCS = [(os, "fsync", _nothing), (os, "fdatasync", _nothing)]
PARTS: dict[str, Patches] = {
    "no syncs": SYNCS,
    "no digest": [(xxhash, "xxh3_128", _NoDigest)],
    "no journal": [(journal.Journal, "_append", _nothing)],
    "no checks": [(sample, "examine", _nothing)],
}
VARIANTS = {"all": [], "late syncs": SYNCS, **PARTS, "nothing": [each for some in PARTS.values() for each in some]}

if __name__ == "__main__":
    compare("safety", __doc__, VARIANTS, late_syncs=("late syncs", "nothing"))
