"""The lines that monitors for people print alike."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import TextIO

import numpy as np
import pytest

from parallel_sharder.model import Plan, ShardRecord
from parallel_sharder.monitor.log import Log
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.monitor.terminal import Terminal


@pytest.mark.parametrize("make", [Log, Terminal])
@pytest.mark.parametrize(
    ("shards", "kept", "line"),
    [
        (1, 0, "writing 4 samples to 1 shard"),
        (2, 0, "writing 4 samples to 2 shards"),
        (2, 1, "writing 4 samples to 2 shards; 1 shard kept from an earlier run"),
        (1, 1, "1 shard kept from an earlier run, none to be written"),
        (2, 2, "2 shards kept from an earlier run, none to be written"),
    ],
)
def test_shards_are_counted_before_they_are_written(
    make: Callable[[TextIO], Monitor], shards: int, kept: int, line: str
) -> None:
    """A log and a terminal say alike how many shards there will be, and how many an earlier run has left."""
    plan = Plan(np.arange(4, dtype=np.int32), np.linspace(0, 4, shards + 1, dtype=np.int64), np.full(shards, 9999))
    stream = io.StringIO()
    monitor = make(stream)
    monitor.planned(plan, [ShardRecord(number, f"{number}.tar", 1, 1, 1, "") for number in range(kept)])
    monitor.close()
    assert line == stream.getvalue().splitlines()[0]


@pytest.mark.parametrize("kind", [Terminal, Log])
def test_waiting_in_words(kind: type[Terminal] | type[Log], capsys: pytest.CaptureFixture[str]) -> None:
    """A line at once and one every ten seconds, in a terminal and in a log; of the next wait anew."""
    monitor = kind(sys.stderr)
    for seconds in (0.0, 0.1, 9.9, 10.0, 10.1, 0.0):
        monitor.waiting("process 7 on here (it)", seconds)
    line = "waiting for a lock in the folder, which process 7 on here (it) holds: {} s so far"
    assert [line.format(seconds) for seconds in ("0.0", "10.0", "0.0")] == capsys.readouterr().err.splitlines()
