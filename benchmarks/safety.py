"""What does safety cost? A conversion with all of it is compared with conversions without a part, or without all of it.

python -m benchmarks.safety [--images 4000] [--runs 25] [--folder FOLDER]

  all         parallel_sharder with its defaults
  late syncs  the shards are synced when all of them are written; manifest and journal are not synced
  no syncs    nothing is synced: the system writes the rest to the disk later, which is not counted
  no digest   shards are not hashed
  no journal  nothing is recorded
  no checks   images are not checked
  no events   nothing of the run is recorded for reports
  nothing     none of these, and late syncs

The last columns are the time of `all` divided by that of the variant: at 1.02 it takes 2 % more. They are medians of
the ratios round by round.
"""

from __future__ import annotations

import os
from typing import Any

import xxhash

from benchmarks.tools.variants import Patches, compare
from parallel_sharder.events import Events
from parallel_sharder.journal import file
from parallel_sharder.samples import sample


class _NoDigest:
    """Stands for a shard's digest, and hashes nothing."""

    def update(self, data: Any) -> None:
        """Do nothing."""

    def hexdigest(self) -> str:
        """Return no digest."""
        return ""


def _nothing(*_: Any) -> None:
    return None


SYNCS = [(os, "fsync", _nothing), (os, "fdatasync", _nothing)]
PARTS: dict[str, Patches] = {
    "no syncs": SYNCS,
    "no digest": [(xxhash, "xxh3_128", _NoDigest)],
    "no journal": [(file.JournalFile, "append", _nothing)],
    "no checks": [(sample, "examine", _nothing)],
    "no events": [(Events, "begins", _nothing)],
}
VARIANTS = {"all": [], "late syncs": SYNCS, **PARTS, "nothing": [each for some in PARTS.values() for each in some]}

if __name__ == "__main__":
    compare("safety", __doc__, VARIANTS, late_syncs=("late syncs", "nothing"))
