"""Charts: what the page's script draws, as values for JSON; each has a caption that says in words what it shows.

A chart that would say nothing, because all values are the same, is not made: its caption alone remains.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from parallel_sharder.pages.timeline import CONTINUED, RETRIED, SLOW_ONE, Timeline
from parallel_sharder.text import brief, counted, size

BINS = 40
"""The bars of a histogram."""


@dataclass(frozen=True)
class Curve:
    """A curve, or the bars, of a chart; `colour` is the number of one of the page's colours."""

    name: str
    values: Sequence[float | None]
    colour: int = 0
    is_limit: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart: `kind` is "lines", "bars" or "lanes". `x` and `y` name the axes with their units.

    `xs` are the values on the x axis; of bars, their left edges, and one right edge more. `x_unit` and `y_unit` are how
    values are written: "number", "bytes", "seconds" or "percent". `names` has a name for each bar, if bars have names.
    `breaks` are where lines stand across the x axis. `bars` are those of lanes, and `lanes` their hosts.
    """

    id: str
    title: str
    caption: str
    kind: str = "lines"
    x: str = ""
    y: str = ""
    xs: Sequence[float] = ()
    x_unit: str = "number"
    y_unit: str = "number"
    is_log: bool = False
    curves: Sequence[Curve] = ()
    names: Sequence[str] = ()
    breaks: Sequence[float] = ()
    bars: Sequence[Sequence[float]] = ()
    lanes: Sequence[str] = field(default=())

    @property
    def is_drawn(self) -> bool:
        """Whether there is something to draw; else the caption says all."""
        return bool(self.curves or self.bars)

    def json(self) -> dict[str, Any]:
        """Return what the script needs."""
        return {name: value for name, value in asdict(self).items() if name not in ("title", "caption")}


def over_time(timeline: Timeline, workers: int) -> list[Chart]:
    """Return the charts of a timeline: rates, lanes, how many workers had a shard, processors, memory, disks."""
    xs = _short(timeline.seconds)

    def chart(name: str, title: str, caption: str, y: str, curves: Sequence[Curve], y_unit: str = "number") -> Chart:
        return Chart(
            name, title, caption, "lines", "Time of writing", y, xs, "seconds", y_unit, curves=curves,
            breaks=timeline.breaks,
        )  # fmt: skip

    working = timeline.at_once > 0.01
    if not working.any():  # a clock that was set back has left no time
        working[:] = True
    images, rate = _curve("images", timeline.samples_s), _curve("bytes", timeline.bytes_s, 1)
    mean_images, mean_bytes, at_once = (
        float(np.mean(each[working])) for each in (timeline.samples_s, timeline.bytes_s, timeline.at_once)
    )
    workers = max(1, workers)
    all_workers = Curve("all workers", [workers] * len(xs), 3, is_limit=True)
    found = [
        chart(
            "images-rate", "Images a second",
            f"{mean_images:,.0f} images/s on average while shards were written, {_peak_of(images):,.0f} at the "
            "highest.",
            "Images/s", [images],
        ),
        chart(
            "bytes-rate", "Bytes a second",
            f"{size(round(mean_bytes))}/s of tars were written on average, {size(round(_peak_of(rate)))}/s at the "
            "highest.", "Bytes/s", [rate], "bytes",
        ),
        _lanes(timeline),
        chart(
            "at-once", "Workers at work", f"On average {at_once:.1f} of {counted(workers, 'worker')} had a shard.",
            "Workers", [_curve("workers with a shard", timeline.at_once, 2), all_workers],
        ),
    ]  # fmt: skip
    if len(timeline.bars) == 1:
        found = [Chart(each.id, each.title, each.caption) for each in found]
    cpu, wait = _curve("busy", timeline.load["cpu_percent"]), _curve("waiting", timeline.load["wait_percent"], 4)
    if _is_known(cpu):
        words = f"All cores together were busy {_mean_of(cpu):.0f} % of the time"
        words += f", and waited for storage {_mean_of(wait):.0f} %." if _is_known(wait) else "."
        curves = [each for each in (cpu, wait) if _is_known(each)]
        found.append(chart("processors", "Processors", words, "Share of all cores", curves, "percent"))
    memory = _curve("memory in use", timeline.load["memory_bytes"], 5)
    if _is_known(memory):
        words = f"At most {size(round(_peak_of(memory)))} of memory were in use, by all programs of the host."
        found.append(chart("memory", "Memory", words, "Bytes", [memory], "bytes"))
    disks = [_curve("read", timeline.load["read_bytes_s"]), _curve("written", timeline.load["written_bytes_s"], 1)]
    if all(map(_is_known, disks)):
        read, written = (size(round(_mean_of(each))) for each in disks)
        words = (
            f"All disks of the host read {read}/s and wrote {written}/s on average. What is in memory needs no disk."
        )
        found.append(chart("disks", "Disks", words, "Bytes/s", disks, "bytes"))
    return found


def _lanes(timeline: Timeline) -> Chart:
    marks = [bar.mark for bar in timeline.bars]
    seconds = sorted(bar.ended - bar.began for bar in timeline.bars)
    words = f"A lane is a worker, and a bar a shard, of which the median took {brief(seconds[len(seconds) // 2])}."
    for mark, said in (
        (RETRIED, "made again after a worker died"),
        (SLOW_ONE, "slow"),
        (CONTINUED, "made by a continued run"),
    ):
        if mark in marks:
            words += f" {counted(marks.count(mark), 'bar is', 'bars are')} {said}."
    if timeline.left_out_bars:
        words += f" The {timeline.left_out_bars:,} shortest bars are not drawn."
    bars = [
        [bar.lane, round(bar.began, 3), round(bar.ended, 3), bar.mark, bar.shard.number, bar.shard.samples,
         bar.shard.tar_bytes]
        for bar in timeline.bars
    ]  # fmt: skip
    return Chart(
        "lanes", "Shards and workers", words, "lanes", "Time of writing", "Worker", _short(timeline.seconds), "seconds",
        breaks=timeline.breaks, bars=bars, lanes=timeline.lanes,
    )  # fmt: skip


def speeds(timelines: Sequence[tuple[str, Timeline]]) -> Chart:
    """Return a chart of the images a second of two sets, over the time in which each was written."""
    longest = max((timeline.seconds for _, timeline in timelines), key=lambda seconds: seconds[-1])
    curves = [
        Curve(name, _plain(np.interp(longest, each.seconds, each.samples_s, right=np.nan)), number)
        for number, (name, each) in enumerate(timelines)
    ]
    return Chart(
        "compared-rate", "Images a second", "Both begin at 0, when the first worker of each began.", "lines",
        "Time of writing", "Images/s", _short(longest), "seconds", curves=curves,
    )  # fmt: skip


def histogram(id_: str, title: str, caption: str, values: Sequence[float], x: str, x_unit: str, *, log: bool) -> Chart:
    """Return a histogram of positive values; without bars if all are the same. On a log scale bins are so too."""
    low, high = min(values), max(values)
    if low == high:
        return Chart(id_, title, caption)
    edges = np.geomspace(max(low, 1), high, BINS + 1) if log and low > 0 else np.linspace(low, high, BINS + 1)
    if high - low < BINS and all(float(value).is_integer() for value in (low, high)):
        edges, log = np.arange(low, high + 2), False
    elif edges[1] - edges[0] < 2:
        edges = np.unique(np.append(np.floor(edges[:-1]), high + 1))
    counts, edges = np.histogram(values, bins=edges)
    return Chart(
        id_, title, caption, "bars", x, "Images", _short(edges), x_unit, is_log=log and low > 0,
        curves=[Curve("images", counts.tolist())],
    )  # fmt: skip


def of_whole_numbers(id_: str, title: str, caption: str, values: Sequence[int], x: str) -> Chart:
    """Return bars of how often each whole number occurs, the largest 1 % together; without bars if all are the same."""
    if min(values) == max(values):
        return Chart(id_, title, caption)
    last = max(min(values) + 1, sorted(values)[math.ceil(len(values) * 0.99) - 1])
    numbers = range(min(values), last + 1)
    occurring = Counter(min(value, last) for value in values)
    counts = [occurring[number] for number in numbers]
    names = [f"{number} or more" if number == last < max(values) else str(number) for number in numbers]
    edges = [number - 0.5 for number in (*numbers, last + 1)]
    return Chart(id_, title, caption, "bars", x, "Images", edges, curves=[Curve("images", counts)], names=names)


def ranked(id_: str, title: str, caption: str, named: Sequence[tuple[str, int]]) -> Chart:
    """Return bars in the order of their values, the largest first; without bars if all are the same."""
    ordered = sorted(named, key=lambda each: -each[1])
    if len({count for _, count in named}) < 2:
        return Chart(id_, title, caption)
    return Chart(
        id_, title, caption, "bars", "Classes, the largest first", "Images",
        [number + 0.5 for number in range(len(ordered) + 1)],
        curves=[Curve("images", [count for _, count in ordered])], names=[name for name, _ in ordered],
    )  # fmt: skip


def of_shards(id_: str, title: str, caption: str, y_unit: str, values: Sequence[int], limit: int | None) -> Chart:
    """Return a value of each shard, in the order of their numbers, and the limit on it; no curve if there is one."""
    if len(values) < 2:
        return Chart(id_, title, caption)
    curves = [Curve("a shard", values)]
    if limit is not None and limit <= 1.5 * max(values):
        curves.append(Curve("limit", [limit] * len(values), 3, is_limit=True))
    y = "Bytes" if y_unit == "bytes" else "Samples"
    return Chart(
        id_, title, caption, "lines", "Number of the shard", y, [*range(len(values))], y_unit=y_unit, curves=curves
    )


def _curve(name: str, values: Any, colour: int = 0) -> Curve:
    return Curve(name, _plain(values), colour)


def _plain(values: Any) -> list[float | None]:
    """Return numbers for JSON, with four digits, which is more than a screen can show."""
    return [None if np.isnan(value) else float(f"{value:.4g}") for value in values]


def _short(values: Any) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def _known(curve: Curve) -> list[float]:
    return [value for value in curve.values if value is not None]


def _is_known(curve: Curve) -> bool:
    return bool(_known(curve))


def _mean_of(curve: Curve) -> float:
    known = _known(curve)
    return sum(known) / len(known)


def _peak_of(curve: Curve) -> float:
    return max(_known(curve))
