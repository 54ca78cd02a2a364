"""Drawn samples: which samples of a set are looked at for a page, and which of these have a picture on its sheet.

Of a set that was shuffled, whole shards are drawn, because each holds a random part of the set; of any other set, rows.
The same seed draws the same samples.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from parallel_sharder.engines.engine import Engine
from parallel_sharder.inspection.named import ShardsOfSet
from parallel_sharder.inspection.reading import rows_by_shard
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.pages.look import (
    Labels,
    Looked,
    LookedShard,
    Rows,
    Small,
    Wanted,
    count,
    look,
    look_for,
    pictures,
)

LOOKED_AT = 20_000
"""How many samples are looked at, at least, if the set has them. A share of them is within 1 % of that of the set."""

RANDOM, EXTREME, NOTED = 36, 6, 12
"""The pictures on a sheet: random ones; the smallest, and as many of the largest; those with a problem."""

CLASSES_LIMIT = 2_000
"""The most classes of which a sheet shows one sample each."""

PIXELS, CLASS_PIXELS, MANY_PIXELS = 240, 96, 72
"""The longer side of a picture on the sheet; on a sheet of classes; on one of more than 1,000 classes."""

_MANY = 1_000


@dataclass(frozen=True)
class Drawn:
    """The samples that were looked at, in the order of the shards; `samples` counts those of all shards.

    `whole_shards` says that they are all samples of some shards. `faults` say which shards are damaged.
    """

    looked: Sequence[Looked]
    samples: int
    shards: int
    whole_shards: bool
    faults: Sequence[str]

    @property
    def is_all(self) -> bool:
        """Whether every sample was looked at."""
        return len(self.looked) >= self.samples and not self.faults

    @property
    def is_random(self) -> bool:
        """Whether those that were looked at are random ones of all."""
        return self.is_all or (self.samples > LOOKED_AT and not self.faults)


@dataclass(frozen=True)
class Group:
    """Pictures that stand together under a title, each with what was looked at."""

    title: str
    note: str
    entries: Sequence[tuple[Looked, Small]]


def drawn(
    shards: ShardsOfSet, is_shuffled: bool, seed: int, noted: Collection[str], engine: Engine, monitor: Monitor
) -> Drawn:
    """Return LOOKED_AT samples of the set or more, or all if there are fewer; those whose key is `noted` if met."""
    draw = random.Random(seed)  # noqa: S311 - it is no secret
    counts = _counts(shards, engine, monitor)
    total = sum(counts.values())
    keys = frozenset(noted)
    tasks: list[Rows] = []
    if total <= LOOKED_AT:
        tasks = [Rows(path, None) for path in shards.paths]
    elif is_shuffled:
        chosen, sum_of_chosen = [], 0
        for path in draw.sample([*shards.paths], len(shards.paths)):
            if sum_of_chosen >= LOOKED_AT:
                break
            chosen.append(path)
            sum_of_chosen += counts[path]
        tasks = [Rows(path, None) for path in sorted(chosen)]
    else:
        numbers = sorted(draw.sample(range(total), LOOKED_AT))
        of_shards = rows_by_shard(numbers, (counts[path] for path in shards.paths))
        tasks = [Rows(path, tuple(rows), keys) for path, rows in zip(shards.paths, of_shards, strict=True) if rows]
    found: dict[str, LookedShard] = {}
    for done, each in enumerate(engine.each(look, tasks), 1):
        monitor.working("looking at shards", done, len(tasks))
        found[each.path] = each
    seen = [found[path] for path in shards.paths if path in found]
    looked = [each for shard in seen for each in shard.looked]
    faults = [shard.fault for shard in seen if shard.fault]
    return Drawn(looked, total, len(tasks), is_shuffled and total > LOOKED_AT, faults)


def _counts(shards: ShardsOfSet, engine: Engine, monitor: Monitor) -> dict[str, int]:
    """Return how many samples each shard has; those that are not listed anywhere are counted."""
    counts = {path: shards.counts[path] for path in shards.paths if path in shards.counts}
    unknown = [path for path in shards.paths if path not in counts]
    for done, (path, rows) in enumerate(engine.each(count, unknown), 1):
        counts[path] = rows
        monitor.working("counting in shards", done, len(unknown))
    return counts


def sheet(drawn: Drawn, seed: int, noted: Collection[str], engine: Engine, monitor: Monitor) -> list[Group]:
    """Return the groups of the contact sheet: random samples, the smallest, the largest, and those with a problem.

    Raises MissingPackageError without Pillow.
    """
    if not drawn.looked:
        return []
    draw = random.Random(seed)  # noqa: S311 - it is no secret
    numbers = range(len(drawn.looked))
    by_size = sorted(numbers, key=lambda number: _size(drawn.looked[number]))
    with_problem = [number for number in numbers if drawn.looked[number].line.key in noted][:NOTED]
    chosen = {
        "Random samples": sorted(draw.sample(numbers, min(RANDOM, len(numbers)))),
        "Samples with a problem": with_problem,
    }
    if len(numbers) >= 4 * EXTREME:
        chosen["The smallest"] = by_size[:EXTREME]
        chosen["The largest"] = by_size[: -EXTREME - 1 : -1]
    wanted = {number for group in chosen.values() for number in group}
    small = _pictures([drawn.looked[number] for number in sorted(wanted)], PIXELS, engine, monitor)
    among = "" if drawn.is_all else f"of the {len(drawn.looked):,} that were looked at"
    notes = {"Random samples": f"drawn with seed {seed}", "The smallest": among, "The largest": among}
    return [
        Group(title, notes.get(title, ""), _entries([drawn.looked[number] for number in group], small))
        for title, group in chosen.items()
        if group
    ]


def sheet_of_classes(
    shards: ShardsOfSet, drawn: Drawn, engine: Engine, monitor: Monitor
) -> tuple[list[Group], Sequence[int | str]]:
    """Return one sample of each class, and the labels of which none was found; shards are searched until all are there.

    Of a set without a table of classes, the classes are those that were met.
    """
    first: dict[int | str, Looked] = {}
    for each in drawn.looked:
        if each.line.label is not None:
            first.setdefault(each.line.label, each)
    missing = {row.label for row in shards.classes if row.samples} - first.keys()
    for done, path in enumerate(shards.paths):
        if not missing:
            break
        monitor.working("searching shards", done, len(shards.paths))
        for looked in engine.each(look_for, [Labels(path, frozenset(missing))]):
            for each in looked:
                if each.line.label is not None:
                    first[each.line.label] = each
            missing -= first.keys()
    samples = [first[label] for label in sorted(first, key=lambda label: (isinstance(label, str), label))]
    pixels = CLASS_PIXELS if len(samples) <= _MANY else MANY_PIXELS
    small = _pictures(samples, pixels, engine, monitor)
    group = Group("One sample of each class", "in the order of labels", _entries(samples, small))
    return [group] if samples else [], sorted(missing, key=str)


def _size(looked: Looked) -> tuple[int, int]:
    """Return by what samples are sorted: the pixels of the image, and its bytes."""
    width, height = looked.line.pixels or (0, 0)
    return width * height, looked.image[1] if looked.image else 0


def _pictures(samples: Iterable[Looked], pixels: int, engine: Engine, monitor: Monitor) -> dict[tuple[str, int], Small]:
    of_shard: dict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
    for each in samples:
        of_shard[each.line.shard].append((each.row, each.line.offset, each.length, each.line.key))
    tasks = [Wanted(path, tuple(sorted(rows)), pixels) for path, rows in sorted(of_shard.items())]
    small = {}
    for done, (path, found) in enumerate(engine.each(pictures, tasks), 1):
        monitor.working("drawing from shards", done, len(tasks))
        small.update({(path, row): each for row, each in found.items()})
    return small


def _entries(samples: Iterable[Looked], small: dict[tuple[str, int], Small]) -> list[tuple[Looked, Small]]:
    return [(each, small[each.line.shard, each.row]) for each in samples]
