"""Progress: what the function of a task tells, and what it asks."""

from __future__ import annotations

from parallel_sharder.engines.progress import Counts


def test_each_call_replaces_what_was_told() -> None:
    """The counts are those of the last call, and not their sum."""
    counts = Counts()
    assert (0, 0, False) == (counts.samples, counts.written_bytes, counts.stopped)
    counts.tell(3, 300)
    counts.tell(5, 500)
    assert (5, 500) == (counts.samples, counts.written_bytes)
