"""The bottleneck: what held a run back, in one sentence, with what was measured and what to change.

Only what the events say is used: how many workers were busy, and how busy processors and disks were. Where none of
them was, the page says so, and guesses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from parallel_sharder.pages.history import PastRun
from parallel_sharder.text import brief, counted, duration

BUSY = 0.85
"""From this share of the time on, processors or a disk count as what holds a run back."""

IDLE = 0.75
"""Below this share of the time in which workers had a shard, they waited for work."""

SHORT_SECONDS = 2.0
"""A run that writes for less has too few loads to judge by."""


class Bottleneck(NamedTuple):
    """What held a run back: a sentence, the evidence for it, and what to change. `kind` is for machines."""

    kind: str
    sentence: str
    evidence: str
    remedy: str


class Means(NamedTuple):
    """Means over the time in which a run wrote, as shares of 1; None where the system has told nothing.

    `workers` is the share in which a worker had a shard, and `own` how much of one core the coordinator took.
    """

    workers: float
    cpu: float | None
    wait: float | None
    own: float | None
    source: float | None
    dest: float | None


def means_of(run: PastRun) -> Means:
    """Return the means of a run that has made a shard."""
    seconds = max(run.write_seconds, 1e-3)
    busy = sum(each.seconds for each in run.made) / seconds / max(1, run.workers)
    names = ("cpu_percent", "wait_percent", "own_percent", "source_busy_percent", "dest_busy_percent")
    return Means(min(1.0, busy), *(_mean(run, name) for name in names))


def _mean(run: PastRun, name: str) -> float | None:
    """Return the mean of a percentage, each load weighed by the time of writing since the one before."""
    before, total, weights = run.write_began, 0.0, 0.0
    for load in run.loads:
        weight = max(0.0, min(load.time, run.write_ended) - before)
        before = max(before, load.time)
        if name in load.values:
            total += load.values[name] / 100 * weight
            weights += weight
    return total / weights if weights else None


def bottleneck_of(run: PastRun) -> Bottleneck:
    """Return what held back a run that has made a shard."""
    return next(_candidates(run, means_of(run)))


def _candidates(run: PastRun, means: Means) -> Iterator[Bottleneck]:
    """Yield what may have held the run back, the surest first."""
    seconds = run.write_seconds
    if run.seconds.get("scan", 0.0) + run.seconds.get("stage", 0.0) > max(seconds, SHORT_SECONDS):
        name = max(("scan", "stage"), key=lambda phase: run.seconds.get(phase, 0.0))
        yield Bottleneck(
            "before writing",
            f"Most of the time went by before the first shard was begun, with the {name}.",
            f"The {name} took {duration(run.seconds[name])}, and writing {duration(seconds)}.",
            "Put the source on a faster disk.",
        )
    if seconds < SHORT_SECONDS:
        yield Bottleneck(
            "short",
            f"The run wrote for {brief(seconds)}, which is too short to say what held it back.",
            f"{counted(len(run.made), 'shard')} and {counted(run.samples, 'sample')} were written.",
            "Nothing needs to change.",
        )
    cores = counted(run.cores, "core") if run.cores else "the cores"
    is_whole = len(run.made) >= run.left  # of a run that was stopped, what its workers had in hand is not recorded
    if means.workers < IDLE and run.workers > 1 and is_whole:
        at_once = means.workers * run.workers
        work = f"On average {at_once:.1f} of {run.workers:,} workers had a shard to write"
        if means.own is not None and means.own >= BUSY:
            yield Bottleneck(
                "coordinator",
                "The coordinator held the run back: it could not deal shards as fast as they were written.",
                f"{work}, and the coordinator took {means.own:.0%} of one core.",
                "Make larger shards (--maxsize), so that each costs the coordinator less.",
            )
        if len(run.made) < 4 * run.workers:
            yield Bottleneck(
                "too few shards",
                "There were too few shards for the workers.",
                f"{work}: {counted(len(run.made), 'shard')} cannot keep {run.workers:,} workers busy to the end.",
                f"Make at least {4 * run.workers:,} shards (--shards or --maxsize), or start fewer --workers.",
            )
    disks = [("source", means.source), ("destination", means.dest)]
    busy_disks = [(name, share) for name, share in disks if share is not None and share >= BUSY]
    if busy_disks and (means.cpu or 0) < BUSY:
        name, share = max(busy_disks, key=lambda each: each[1])
        yield Bottleneck(
            "disk" if run.is_one_disk else f"{name} disk",
            f"The disk {'of source and destination' if run.is_one_disk else f'of the {name}'} held the run back.",
            f"It was busy {share:.0%} of the time, and the processors {_share(means.cpu)}.",
            "Put source and destination on different disks."
            if run.is_one_disk
            else "Read from a faster disk, or copy it there first with --stage."
            if name == "source"
            else "Write to a faster disk, or to shards that are compressed (.tar.zst) if processors are idle.",
        )
    if means.cpu is not None and means.cpu >= BUSY:
        yield Bottleneck(
            "processors",
            "The processors held the run back.",
            f"{cores.capitalize()} of {run.host} were {means.cpu:.0%} busy while shards were written.",
            "Run it on more cores, or on several hosts (--node, --engine); write uncompressed shards.",
        )
    if run.cores and max(1, run.workers) < run.cores and means.workers >= IDLE and (means.wait or 0) < 0.1:
        yield Bottleneck(
            "too few workers",
            f"There were fewer workers than cores: {counted(max(1, run.workers), 'worker')} and {cores}.",
            f"Each had a shard {means.workers:.0%} of the time, and the processors were {_share(means.cpu)} busy.",
            f"Start more --workers, up to {run.cores:,} on this host.",
        )
    if means.wait is not None and means.wait >= 0.15:
        yield Bottleneck(
            "storage",
            "The processors waited for storage.",
            f"They were idle for {means.wait:.0%} of the time because reads or writes had not come back, and busy "
            f"{_share(means.cpu)}.",
            "Use faster storage, or more --workers, so that more reads are on their way at once.",
        )
    yield Bottleneck(
        "nothing",
        "Nothing that is measured held the run back.",
        f"Processors were busy {_share(means.cpu)} of the time, the disk of the source {_share(means.source)}, that of "
        f"the destination {_share(means.dest)}; workers had a shard {means.workers:.0%} of the time.",
        "If the source or the destination is on a network, that may be what is slow: try more --workers.",
    )


def _share(share: float | None) -> str:
    return "an unknown share" if share is None else f"{share:.0%}"
