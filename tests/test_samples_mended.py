"""What is mended, counted in all."""

from __future__ import annotations

from parallel_sharder.model import ShardRecord
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.samples.mended import MENDS, mended_in_all


def test_what_is_mended_in_all() -> None:
    """Counts are summed by name, shards of which none were recorded count as none, and other forms mend nothing."""
    names = MENDS["boxes"]
    counts = tuple(range(len(names)))
    records = [ShardRecord(0, "x", 1, 1, 1, "", mended=each) for each in (counts, (), counts)]
    assert {name: 2 * count for count, name in enumerate(names)} == mended_in_all("boxes", records)
    assert dict.fromkeys(names, 0) == mended_in_all("boxes", [])
    assert {} == mended_in_all("original", records)
    assert set(MENDS) <= set(FORMS)
