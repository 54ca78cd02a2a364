"""Waits: of which periods it is said that staging would have helped."""

from __future__ import annotations

import pytest

from parallel_sharder.stores.waits import SHORTEST_SECONDS, Waits


def test_a_disk_that_seeks() -> None:
    """Two workers that read 150 images a second from a hard disk waited nearly all the time, and could have had it."""
    waits = Waits(wall_seconds=100.0, cpu_seconds=1.5, workers=2, read_bytes=150 * 110_000 * 100)
    assert waits.staging_would_help
    assert 0.9925 == pytest.approx(waits.share)
    assert 16.5 + 0.75 == pytest.approx(waits.staged_seconds)


@pytest.mark.parametrize(
    ("waits", "why"),
    [
        (Waits(100.0, 150.0, 2, 2_000_000_000), "they computed"),
        (Waits(100.0, 5.0, 2, 4_000_000_000), "it read 40 MB/s, and staging would not be three times as fast"),
        (Waits(SHORTEST_SECONDS - 1, 0.3, 2, 300_000_000), "it was short"),
        (Waits(0.0, 0.0, 1, 0), "nothing was done"),
    ],
)
def test_periods_without_need(waits: Waits, why: str) -> None:
    """Of these it is not said."""
    assert not waits.staging_would_help, why


def test_the_share_is_one() -> None:
    """Between 0 and 1, though clocks differ and compressors are further threads."""
    assert 0.0 == Waits(10.0, 25.0, 2, 0).share
    assert 1.0 == Waits(0.0, 0.0, 1, 0).share
