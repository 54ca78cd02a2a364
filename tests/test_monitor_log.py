"""The monitor for pipes and files: a line now and then."""

from __future__ import annotations

import io

import pytest

from parallel_sharder.monitor.log import Log
from tests.test_monitor import plan_of


def test_log_writes_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line each interval, however often it is told, with share, counts, both rates and the time left."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    stream = io.StringIO()
    log = Log(stream, interval_seconds=10)
    log.scanning(1, 1000, 1300)
    clock[0] += 11
    log.scanning(400, 1000, 520_000)
    clock[0] += 11
    log.scanning(1, 3, 8000, "shard")
    log.planned(plan_of(1000), [])
    for second in range(25):
        clock[0] += 1
        log.progress(second * 20, second * 2_000_000)
    assert [
        "scanning: 400 of 1,000 folders, 520,000 images",
        "scanning: 1 of 3 shards, 8,000 images",
        "writing 1,000 samples to 1 shard",
        " 18.0%  180 of 1,000 images, 18.0 MB, 18 images/s, 2 MB/s, 45.6 s left",
        " 38.0%  380 of 1,000 images, 38.0 MB, 19 images/s, 2 MB/s, 32.6 s left",
    ] == stream.getvalue().splitlines()
