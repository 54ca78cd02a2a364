"""The timeline: what the workers of all runs of a set did at each second of writing.

Runs come in as a History has them. Before the first worker begins, and between two runs, nothing is written, so their
clock stands still: only the seconds in which a run writes are counted. A shard's samples are spread evenly over the
time in which a worker had it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parallel_sharder.pages.history import LOAD, MadeShard, PastRun

Floats = npt.NDArray[np.float64]

POINTS = 240
"""The points of a curve over time: as many as a screen can show apart, and few enough for any page."""

SLOW = 2.0
"""A shard is slow that took more than so many times as long as the median of its run, and a second more."""

BARS = 4000
"""The most bars that are drawn; of more, those that are marked and the longest."""

PLAIN, CONTINUED, SLOW_ONE, RETRIED = range(4)
"""How a bar is marked: not at all; made by a later run than the first; slow; made again after a worker's death."""


def joined(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the spans of time sorted, with those made one that overlap."""
    found: list[tuple[float, float]] = []
    for began, ended in sorted(spans):
        if found and began <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], ended)
        else:
            found.append((began, ended))
    return found


class Clock:
    """Seconds of writing: 0 when the first worker begins. `breaks` are the seconds at which it stood still."""

    def __init__(self, runs: Sequence[PastRun]) -> None:
        spans = joined((run.write_began, run.write_ended) for run in runs)
        self._begins = np.array([span[0] for span in spans])
        lengths = np.array([span[1] - span[0] for span in spans])
        self._before = np.concatenate([[0.0], np.cumsum(lengths)])
        self._lengths = lengths
        self.breaks = [float(second) for second in self._before[1:-1]]

    @property
    def seconds(self) -> float:
        """The seconds of writing of all runs."""
        return float(self._before[-1])

    def at(self, times: Sequence[float] | Floats) -> Floats:
        """Return the seconds of writing at these times."""
        at = np.asarray(times, dtype=float)
        span = np.clip(np.searchsorted(self._begins, at, side="right") - 1, 0, len(self._begins) - 1)
        inside = np.clip(at - self._begins[span], 0.0, self._lengths[span])
        return np.asarray(self._before[span] + inside)


def workers_at_once(runs: Sequence[PastRun]) -> int:
    """Return how many workers the runs had at once, at most: nodes of an array add up while they are at work."""
    changes = sorted(
        change
        for run in runs
        for change in ((run.write_began, 1, max(1, run.workers)), (run.write_ended, 0, -max(1, run.workers)))
    )
    most = now = 0
    for _, _, change in changes:
        now += change
        most = max(most, now)
    return most


class Bar(NamedTuple):
    """A shard on the lane of a worker, from one second of writing to another; `mark` is one of the four above."""

    lane: int
    began: float
    ended: float
    mark: int
    shard: MadeShard


@dataclass(frozen=True)
class Timeline:
    """What happened at each second of writing: curves have a value for each of the `seconds`, or NaN.

    `lanes` has the host of each lane; `left_out_bars` counts the bars that are not there, because there were too many.
    """

    seconds: Floats
    samples_s: Floats
    bytes_s: Floats
    at_once: Floats
    load: dict[str, Floats]
    lanes: Sequence[str]
    bars: Sequence[Bar]
    left_out_bars: int
    breaks: Sequence[float]


def timeline_of(runs: Sequence[PastRun]) -> Timeline:
    """Return the timeline of runs, of which at least one has made a shard."""
    clock = Clock(runs)
    edges = np.linspace(0.0, max(clock.seconds, 1e-3), POINTS + 1)
    width = edges[1] - edges[0]
    made = [shard for run in runs for shard in run.made]
    begins = clock.at([shard.began for shard in made])
    ends = np.maximum(clock.at([shard.ended for shard in made]), begins + 1e-4)
    lanes, bars = _lanes(runs, begins, ends)
    shown = sorted(bars, key=lambda bar: (bar.mark, bar.ended - bar.began))[-BARS:]
    return Timeline(
        edges[1:] - width / 2,
        _spread(begins, ends, edges, [shard.samples for shard in made]) / width,
        _spread(begins, ends, edges, [shard.tar_bytes for shard in made]) / width,
        _spread(begins, ends, edges, list(ends - begins)) / width,
        {name: _curve(name, runs, clock, edges) for name in LOAD},
        lanes,
        sorted(shown, key=lambda bar: bar.began),
        len(bars) - len(shown),
        clock.breaks,
    )


def _spread(begins: Floats, ends: Floats, edges: Floats, amounts: Sequence[float]) -> Floats:
    """Return how much of the amounts falls between each two edges, each spread evenly from its beginning to its end."""
    total = np.zeros(len(edges))
    for begin, end, amount in zip(begins, ends, amounts, strict=True):
        first, last = np.searchsorted(edges, [begin, end], side="left")
        total[first:last] += (edges[first:last] - begin) / (end - begin) * amount
        total[last:] += amount
    return np.asarray(np.diff(total))


def _lanes(runs: Sequence[PastRun], begins: Floats, ends: Floats) -> tuple[list[str], list[Bar]]:
    """Return the host of each lane, and the bars: each on the first lane of its host that is free by then.

    Lanes are in the order of their hosts' names.
    """
    median = {id(run): statistics.median([shard.seconds for shard in run.made] or [0.0]) for run in runs}
    of_run = [(run, shard) for run in runs for shard in run.made]
    free_at: dict[str, list[float]] = {}
    placed: list[tuple[str, int, int]] = []
    for number in sorted(range(len(of_run)), key=lambda each: (begins[each], ends[each])):
        host = of_run[number][1].host
        lanes = free_at.setdefault(host, [])
        lane = next((index for index, at in enumerate(lanes) if at <= begins[number] + 1e-3), len(lanes))
        lanes[lane : lane + 1] = [ends[number]]
        placed.append((host, lane, number))
    first: dict[str, int] = {}
    hosts: list[str] = []
    for host in sorted(free_at):
        first[host] = len(hosts)
        hosts += [host] * len(free_at[host])
    bars = []
    for host, lane, number in placed:
        run, shard = of_run[number]
        mark = _mark(run, shard, median[id(run)], is_later=run.kept > 0)
        bars.append(Bar(first[host] + lane, float(begins[number]), float(ends[number]), mark, shard))
    return hosts, bars


def _mark(run: PastRun, shard: MadeShard, median: float, *, is_later: bool) -> int:
    if shard.deaths:
        return RETRIED
    if shard.seconds > max(SLOW * median, median + 1):
        return SLOW_ONE
    return CONTINUED if is_later and not run.node else PLAIN


_ADDED = frozenset(("memory_bytes", "read_bytes_s", "written_bytes_s"))
"""What is added up over the nodes of an array; of the rest the mean is taken."""


def _curve(name: str, runs: Sequence[PastRun], clock: Clock, edges: Floats) -> Floats:
    """Return what the loads of all runs say at each point; NaN where none says something."""
    combined: Callable[..., Any] = np.nansum if name in _ADDED else np.nanmean
    rows = [row for run in runs if (row := _of_run(name, run, clock, edges)) is not None]
    if not rows:
        return np.full(len(edges) - 1, np.nan)
    values = np.array(rows)
    is_known = ~np.isnan(values).all(axis=0)
    curve = np.full(len(edges) - 1, np.nan)
    curve[is_known] = combined(values[:, is_known], axis=0)
    return curve


def _of_run(name: str, run: PastRun, clock: Clock, edges: Floats) -> Floats | None:
    """Return the values of a run's loads at each point: a load is of the time since the one before."""
    known = [(load.time, load.values[name]) for load in run.loads if name in load.values]
    if not known:
        return None
    at = clock.at([time for time, _ in known])
    points = (edges[1:] + edges[:-1]) / 2
    begin = clock.at([run.write_began])[0]
    index = np.searchsorted(at, points)
    values = np.array([value for _, value in known] + [np.nan])
    row = values[index]
    row[points < begin] = np.nan
    return np.asarray(row)
