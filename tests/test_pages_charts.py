"""Charts: what is drawn adds up, is bounded, and is drawn only where it says something."""

from __future__ import annotations

import json
import random

import pytest

from parallel_sharder.pages import charts
from parallel_sharder.pages.timeline import timeline_of
from tests.test_pages_timeline import run, shard


def test_histogram() -> None:
    """Each value falls into a bar, also on a log scale; edges enclose all."""
    draw = random.Random(0)
    values = [draw.lognormvariate(10, 1) for _ in range(1000)]
    for log in (True, False):
        chart = charts.histogram("x", "X", "x", values, "X", "bytes", log=log)
        assert 1000 == sum(value or 0 for value in chart.curves[0].values)
        assert charts.BINS + 1 == len(chart.xs)
        assert chart.xs[0] <= min(values) * 1.001
        assert chart.xs[-1] >= max(values) * 0.999
        assert log == chart.is_log
    assert not charts.histogram("x", "X", "x", [3, 3], "X", "bytes", log=True).is_drawn
    with_zero = charts.histogram("x", "X", "x", [0, 5], "X", "bytes", log=True)
    assert (False, 2) == (with_zero.is_log, sum(value or 0 for value in with_zero.curves[0].values))


def test_whole_numbers() -> None:
    """The rarest large ones stand together, so that the others can be seen."""
    chart = charts.of_whole_numbers("x", "X", "x", [0] * 500 + [1] * 400 + [2] * 99 + [700], "X")
    assert [500, 400, 100] == [*chart.curves[0].values]
    assert ["0", "1", "2 or more"] == [*chart.names]
    assert [-0.5, 0.5, 1.5, 2.5] == [*chart.xs]
    assert not charts.of_whole_numbers("x", "X", "x", [1, 1], "X").is_drawn
    assert ["1", "2"] == [*charts.of_whole_numbers("x", "X", "x", [1, 2], "X").names]


def test_ranked() -> None:
    """The largest comes first, with its name."""
    chart = charts.ranked("x", "X", "x", [("a", 3), ("b", 9), ("c", 3)])
    assert (["b", "a", "c"], [9, 3, 3]) == ([*chart.names], [*chart.curves[0].values])
    assert 4 == len(chart.xs)
    assert not charts.ranked("x", "X", "x", [("a", 3), ("b", 3)]).is_drawn


def test_shards() -> None:
    """The limit is drawn where it is near enough to be on the chart."""
    assert 2 == len(charts.of_shards("x", "X", "x", "bytes", [90, 80], 100).curves)
    assert 1 == len(charts.of_shards("x", "X", "x", "bytes", [9, 8], 100).curves)
    assert not charts.of_shards("x", "X", "x", "bytes", [9], 10).is_drawn


def test_over_time() -> None:
    """Each chart has a caption with figures, a unit on each axis, and values for JSON; what is unknown is no chart."""
    timeline = timeline_of([run(shard(0, 0, 10), shard(1, 0, 4, deaths=2))])
    found = charts.over_time(timeline, 2)
    assert ["images-rate", "bytes-rate", "lanes", "at-once"] == [chart.id for chart in found]
    for chart in found:
        assert chart.x
        assert chart.y
        assert chart.caption.endswith(".")
        assert any(letter.isdigit() for letter in chart.caption)
        json.dumps(chart.json(), allow_nan=False)
    assert "1 bar is made again after a worker died." in found[2].caption
    assert "On average 1.4 of 2 workers had a shard." == found[3].caption


def test_one_shard() -> None:
    """A level line says no more than its caption, so it is not drawn; nor is a single bar."""
    found = charts.over_time(timeline_of([run(shard(0, 0, 10))]), 1)
    assert 4 == len(found)
    assert not any(chart.is_drawn for chart in found)
    assert found[0].caption == "1 images/s on average while shards were written, 1 at the highest."


def test_speeds() -> None:
    """The shorter of two runs ends where it ended."""
    long, short = (timeline_of([run(shard(0, 0, end))]) for end in (10, 5))
    chart = charts.speeds([("a", long), ("b", short)])
    first, second = (curve.values for curve in chart.curves)
    assert None not in first
    assert pytest.approx(len(second) / 2, abs=3) == sum(value is None for value in second)


def test_bars_of_whole_units() -> None:
    """Bars are not narrower than what is counted: bytes and pixels are whole numbers."""
    few = charts.histogram("x", "X", "x", [674, 675, 678, 678], "X", "bytes", log=True)
    assert ([674, 675, 676, 677, 678, 679], [1, 1, 0, 0, 2]) == ([*few.xs], [*few.curves[0].values])
    some = charts.histogram("x", "X", "x", [30, *range(30, 90), 89], "X", "number", log=True)
    assert all(edge.is_integer() for edge in some.xs)
    assert 62 == sum(value or 0 for value in some.curves[0].values)
