"""A race: rounds that run each peer once on the same files, and what a sample takes each peer."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tools.make_imagenet import kept_set
from benchmarks.tools.peers import PEERS, Figures, make_cold, measure

Case = tuple[str, int]
"""A peer's name, and its workers."""


def parser(about: str | None, images: int, runs: int) -> argparse.ArgumentParser:
    """A command line with the options that all races take."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--images", type=int, default=images)
    made.add_argument("--runs", type=int, default=runs)
    made.add_argument("--folder", type=Path, help="where the sets are made, or were made by an earlier run")
    made.add_argument("--outputs", type=Path, help="where what is made goes, until it is removed: beside the sets")
    return made


def race(cases: Sequence[Case], arguments: argparse.Namespace, *, cold: bool = False) -> list[dict[str, Any]]:
    """Returns a row for each case, from `arguments.runs` rounds on sets of `arguments.images` and of a quarter of that.

    The time of a further sample is the slope between the two sets, in microseconds. What the slope leaves over is the
    start-up, in seconds. The ratios are parallel_sharder's slope, with as many workers, divided by the case's. All are
    medians; the ratios are medians of the ratios round by round.
    """
    sizes = arguments.images, arguments.images // 4
    with tempfile.TemporaryDirectory() as temporary:
        roots = [kept_set(arguments.folder or Path(temporary), size) for size in sizes]
        rounds = []
        for number in _counted(arguments.runs):
            this = {
                case: [_run(case, root, arguments.outputs or root.parent, cold) for root in roots] for case in cases
            }
            if number:  # the first one warms what is still cold
                rounds.append(this)
    return [_row(case, rounds, *sizes) for case in cases]


def _run(case: Case, root: Path, outputs: Path, cold: bool) -> Figures:
    if cold:
        make_cold(root)
    return measure(PEERS[case[0]], root, case[1], outputs)


def _counted(runs: int) -> Iterable[int]:
    for number in range(runs + 1):
        yield number
        print(f"\rround {number} of {runs} ", end="\n" if number == runs else "", file=sys.stderr, flush=True)


def _row(case: Case, rounds: list[dict[Case, list[Figures]]], large: int, small: int) -> dict[str, Any]:
    def slopes(of: Case, clock: int) -> list[float]:
        return [(each[of][0][clock] - each[of][1][clock]) / (large - small) for each in rounds]

    def start_up(clock: int) -> float:
        pairs = zip(rounds, slopes(case, clock), strict=True)
        return statistics.median(each[case][0][clock] - slope * large for each, slope in pairs)

    def against(clock: int) -> float:
        pairs = zip(slopes(("ours", case[1]), clock), slopes(case, clock), strict=True)
        return statistics.median(ours / its for ours, its in pairs)

    wall, cpu = range(2)  # of Figures
    return {
        "name": case[0],
        "workers": case[1],
        "cpu_us": statistics.median(slopes(case, cpu)) * 1e6,
        "wall_us": statistics.median(slopes(case, wall)) * 1e6,
        "start_up_cpu_s": start_up(cpu),
        "start_up_wall_s": start_up(wall),
        "wall_s": statistics.median(each[case][0].wall_seconds for each in rounds),
        "ours_to_cpu": against(cpu),
        "ours_to_wall": against(wall),
    }


def print_table(rows: Iterable[dict[str, Any]]) -> None:
    """The rows, for people."""
    print(f"{'':<23}{'CPU us of a':>12}{'wall us of a':>14}{'start-up s':>16}{'all':>10}{'ours against it':>20}")
    heads = "workers", "further one", "further one", "CPU", "wall", "wall s", "CPU", "wall"
    print("{:<15}{:>8}{:>12}{:>14}{:>8}{:>8}{:>10}{:>12}{:>8}".format("", *heads))
    for row in rows:
        print(
            "{name:<15}{workers:>8}{cpu_us:>12.0f}{wall_us:>14.0f}{start_up_cpu_s:>8.2f}{start_up_wall_s:>8.2f}"
            "{wall_s:>10.2f}{ours_to_cpu:>12.2f}{ours_to_wall:>8.2f}".format(**row)
        )
