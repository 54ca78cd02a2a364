"""The timeline: what is drawn over time adds up to what was made, whenever the runs were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from parallel_sharder.pages import timeline
from parallel_sharder.pages.history import Load, MadeShard, PastRun
from parallel_sharder.pages.timeline import CONTINUED, PLAIN, RETRIED, SLOW_ONE, Clock, timeline_of


def shard(number: int, began: float, ended: float, host: str = "a", deaths: int = 0, samples: int = 10) -> MadeShard:
    return MadeShard(number, host, began, ended, samples, 0, 1000 * samples, 1000 * samples, deaths)


def run(*made: MadeShard, began: float = 0.0, kept: int = 0, loads: tuple[Load, ...] = (), node: str = "") -> PastRun:
    ended = max(each.ended for each in made)
    past = PastRun(began, "a", 2, 2, "processes", "1", node, {}, ended, how="done", kept=kept, left=len(made))
    past.made += made
    past.loads += loads
    return past


def test_clock_stands_still_between_runs() -> None:
    """Only the time in which a run writes is counted; runs at once are counted once."""
    clock = Clock([run(shard(0, 10, 20)), run(shard(1, 1000, 1010)), run(shard(2, 1005, 1015))])
    assert 25 == clock.seconds
    assert [0, 5, 10, 10, 15, 25, 25] == [*clock.at([0, 15, 20, 500, 1005, 1015, 9999])]
    assert [10] == clock.breaks


def test_curves_add_up() -> None:
    """The area below a rate is what was written, and workers at once are those that had a shard."""
    made = [shard(0, 10, 20), shard(1, 10, 14, samples=40), shard(2, 14, 20, samples=30)]
    found = timeline_of([run(*made)])
    width = found.seconds[1] - found.seconds[0]
    assert pytest.approx(80) == float(found.samples_s.sum() * width)
    assert pytest.approx(80_000) == float(found.bytes_s.sum() * width)
    assert pytest.approx(20) == float(found.at_once.sum() * width)
    assert pytest.approx(2) == float(found.at_once[30])
    assert pytest.approx(1 + 10) == float(found.samples_s[5])
    assert pytest.approx(1 + 5) == float(found.samples_s[-5])


def test_lanes() -> None:
    """A lane has one shard at a time, and each host has its own; a free lane is used again."""
    made = [shard(0, 0, 10), shard(1, 0, 4), shard(2, 4.0005, 9), shard(3, 0, 5, "b"), shard(4, 5, 9, "b")]
    found = timeline_of([run(*made)])
    assert ["a", "a", "b"] == [*found.lanes]
    assert {0: 1, 1: 0, 2: 0, 3: 2, 4: 2} == {bar.shard.number: bar.lane for bar in found.bars}
    for lane in range(3):
        spans = [(bar.began, bar.ended) for bar in found.bars if bar.lane == lane]
        assert all(before[1] <= after[0] + 0.001 for before, after in itertools.pairwise(spans))


def test_marks() -> None:
    """Slow ones, those made again after a death, and those of a continued run; a node continues nobody's."""
    first = run(*(shard(number, 10 * number, 10 * number + 10) for number in range(5)), shard(5, 50, 75))
    second = run(shard(6, 1000, 1010), shard(7, 1010, 1020, deaths=1), kept=6)
    node = run(shard(8, 2000, 2010), kept=7, node="0/2")
    marks = {bar.shard.number: bar.mark for bar in timeline_of([first, second, node]).bars}
    assert {PLAIN} == {marks[number] for number in (0, 1, 2, 3, 4, 8)}
    assert (SLOW_ONE, CONTINUED, RETRIED) == (marks[5], marks[6], marks[7])


def test_too_many_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marked and the longest ones are drawn, and the others counted."""
    monkeypatch.setattr(timeline, "BARS", 3)
    made = [*(shard(number, number, number + 1) for number in range(9)), shard(9, 9, 9.1, deaths=1), shard(10, 10, 12)]
    found = timeline_of([run(*made)])
    assert (3, 8) == (len(found.bars), found.left_out_bars)
    assert {9, 10} < {bar.shard.number for bar in found.bars}


def test_load() -> None:
    """A load is of the time before it; of nodes at once, shares are averaged and bytes added up."""
    one = run(shard(0, 0, 10), loads=(Load(5, {"cpu_percent": 20, "memory_bytes": 1}), Load(10, {"cpu_percent": 40})))
    curve = timeline_of([one]).load["cpu_percent"]
    assert ({20.0}, {40.0}) == ({*curve[:115]}, {*curve[125:]})
    assert np.isnan(timeline_of([one]).load["wait_percent"]).all()
    memory = timeline_of([one]).load["memory_bytes"]
    assert (1, True) == (memory[0], bool(np.isnan(memory[-1])))
    other = run(shard(1, 0, 10, "b"), loads=(Load(10, {"cpu_percent": 60, "memory_bytes": 5}),), node="1/2")
    both = timeline_of([one, other]).load
    assert (40.0, 6.0) == (both["cpu_percent"][5], both["memory_bytes"][5])


def test_clock_that_was_set_back() -> None:
    """Times that go backwards break nothing."""
    found = timeline_of([run(shard(0, 10, 10), shard(1, 9, 10))])
    assert np.isfinite(found.samples_s).all()
    assert 2 == len(found.bars)
