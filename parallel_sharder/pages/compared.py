"""Compared: two sets and their runs side by side, as rows of a table and a chart of both speeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from parallel_sharder.pages.bottleneck import bottleneck_of, means_of
from parallel_sharder.pages.charts import Chart, speeds
from parallel_sharder.pages.history import PastRun
from parallel_sharder.pages.paged_set import PagedSet
from parallel_sharder.pages.timeline import Clock, timeline_of, workers_at_once
from parallel_sharder.text import size

Words = Callable[[PagedSet], str]
"""What is said of one side; "-" if nothing is known."""


class Compared(NamedTuple):
    """Two sets side by side: their names, rows of a fact's name and both values, and a chart of both."""

    names: tuple[str, str]
    rows: Sequence[tuple[str, str, str]]
    chart: Chart | None


def compared(one: PagedSet, other: PagedSet) -> Compared:
    """Return both sets side by side; without the chart if there is nothing on the runs of one."""
    names = one.name, other.name
    if one.name == other.name:
        names = f"{one.name} (this one)", f"{other.name} (the other)"
    rows = [(fact, words(one), words(other)) for fact, words in _FACTS.items()]
    known = [row for row in rows if row[1:] != ("-", "-")]
    runs = [each.history.working for each in (one, other)]
    chart = speeds([(name, timeline_of(its)) for name, its in zip(names, runs, strict=True)]) if all(runs) else None
    return Compared(names, known, chart)


def _of_run(words: Callable[[PastRun], str]) -> Words:
    """Return the function that says this of the run that has written most."""

    def said(side: PagedSet) -> str:
        return words(side.history.largest) if side.history.working else "-"

    return said


def _of_runs(words: Callable[[Sequence[PastRun]], str]) -> Words:
    """Return the function that says this of all runs."""
    return lambda side: words(side.history.working) if side.history.working else "-"


def _seconds(runs: Sequence[PastRun]) -> float:
    return max(Clock(runs).seconds, 1e-3)


def _tool(side: PagedSet) -> str:
    return "-" if side.shards.manifest is None else side.shards.manifest.tool


def _seed(side: PagedSet) -> str:
    if side.shards.manifest is None:
        return "-"
    seed = side.shards.manifest.options.seed
    return "none: not shuffled" if seed is None else str(seed)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


_FACTS: dict[str, Words] = {
    "Samples": lambda side: "-" if side.samples is None else f"{side.samples:,}",
    "Shards": lambda side: f"{len(side.shards.paths):,}",
    "Size": lambda side: size(sum(side.sizes)),
    "Tool": _tool,
    "Seed": _seed,
    "Host": _of_run(lambda run: run.host),
    "Workers": _of_runs(lambda runs: f"{workers_at_once(runs):,} ({runs[-1].engine})"),
    "Wrote for": _of_runs(lambda runs: f"{Clock(runs).seconds:,.1f} s"),
    "Images a second": _of_runs(lambda runs: f"{sum(run.samples for run in runs) / _seconds(runs):,.0f}"),
    "MB a second": _of_runs(lambda runs: f"{sum(run.tar_bytes for run in runs) / _seconds(runs) / 1e6:,.1f}"),
    "Workers had a shard": _of_run(lambda run: _percent(means_of(run).workers)),
    "Processors busy": _of_run(lambda run: _percent(means_of(run).cpu)),
    "Waited for storage": _of_run(lambda run: _percent(means_of(run).wait)),
    "What held it back": _of_run(lambda run: bottleneck_of(run).sentence),
}
