"""The command `inspect`: it shows what is in finished shards, of this tool or of another.

Takes InspectOptions and returns what was Inspected: each set in short, and some of its samples in a line each; or one
sample with all its members. Only headers and the members of samples that are shown, or compared, are read. Nothing is
written, but for members with `extract`.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any

from parallel_sharder.engines import running
from parallel_sharder.errors import DestinationError, OptionsError, SourceError, unwritable
from parallel_sharder.inspection.by_index import place_of
from parallel_sharder.inspection.described import SampleLine, described, values_of
from parallel_sharder.inspection.inspected import Content, Inspected, SampleDetail
from parallel_sharder.inspection.named import ShardsOfSet, named_sets
from parallel_sharder.inspection.reading import (
    NEAR,
    StoredSample,
    count_rows,
    find_key,
    nearest,
    rows_by_shard,
    sample_at,
    samples_of,
)
from parallel_sharder.monitor.monitor import Monitor, guarded
from parallel_sharder.options import InspectOptions
from parallel_sharder.sources.shards.where import parse, told_of_names
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted, first_few

HEAD = 10
"""How many samples are shown, if the user does not say."""

_CLASSES_SHOWN = 5
_NAMES_LIMIT = 1000
"""How many names of values are remembered: JSON can have any number."""

Fits = Callable[[StoredSample], bool]


def inspect_shards(options: InspectOptions, monitor: Monitor | None = None) -> Inspected:
    """Return what is in the shards that `options` name. Raises SharderError for what is not there or damaged."""
    with guarded(monitor) as monitor:
        sets = named_sets(os.fspath(options.what))
        if options.key is not None:
            return _one(sets, options.key, options, monitor)
        choice = _Choice(sets, options)
        fits = choice.fits
        if options.random is not None:
            lines = _random(sets, options.random, options.seed, fits, monitor)
        else:
            lines = _head(sets, HEAD if options.head is None else options.head, fits, monitor)
    overviews = tuple(each.overview() for each in sets)
    notices = () if lines else choice.notices()
    return Inspected(overviews, tuple(lines), is_chosen=fits is not None, notices=notices)


def _one(sets: Sequence[ShardsOfSet], key: str, options: InspectOptions, monitor: Monitor) -> Inspected:
    """Return the sample with this key. Raises DestinationError, with the keys most like it, if there is none."""
    of_path = {path: each for each in sets for path in each.paths}
    place = place_of(key, of_path.keys())
    if place is not None:
        with sample_at(*place, key) as sample:
            if sample is not None:
                return _detail(sample, of_path[place.path], options)
    near: list[str] = []
    with running(options.workers, preload=find_key.__module__) as engine:
        for done, found in enumerate(engine.each(partial(find_key, key=key), [*of_path]), 1):
            if found.row is not None:
                break
            near += found.near
            monitor.working("searching shards", done, len(of_path))
        else:
            like = nearest(key, near)[:NEAR]
            hint = f" The nearest keys are {', '.join(like)}." if like else " No key is like it."
            raise DestinationError(
                f"no sample of {counted(len(of_path), 'shard')} in {options.what} has the key {key}.{hint}"
            )
    with closing(samples_of(found.path)) as samples:
        return _detail(next(islice(samples, found.row, None)), of_path[found.path], options)


def _detail(sample: StoredSample, its_set: ShardsOfSet, options: InspectOptions) -> Inspected:
    """Return all of the sample, whose members are written out if the options say so."""
    contents = tuple(Content(member.field, sample.content(member)) for member in sample.members)
    written = () if options.extract is None else _extracted(sample.key, contents, os.fspath(options.extract))
    return Inspected((), (), SampleDetail(described(sample, its_set.class_names), contents, written))


def _extracted(key: str, contents: Sequence[Content], folder: str) -> tuple[str, ...]:
    """Write the members to the folder, named by the last part of the key; return the paths.

    Raises DestinationError if one exists already, or cannot be written.
    """
    store = store_of(folder)
    odd = next((each.field for each in contents if "\0" in each.field), None)
    if odd is not None:
        raise DestinationError(f"the field {odd} of the sample {key} has a zero byte, which no file's name can have.")
    field, count = Counter(each.field for each in contents).most_common(1)[0]
    if count > 1:
        raise DestinationError(
            f"the sample {key} has the field {field} {count} times, and one file cannot hold all. Take them out by tar."
        )
    paths = [os.path.join(folder, f"{key.rpartition('/')[2]}.{each.field}") for each in contents]
    taken = next(filter(store.exists, paths), None)
    if taken is not None:
        raise DestinationError(f"{taken} is already there, and nothing is overwritten. Name another folder.")
    try:
        store.need_folder(folder)
        for path, content in zip(paths, contents, strict=True):
            store.put(path, content.data)
    except OSError as error:
        raise unwritable(folder, error, "Mend that, or name another folder with --extract.") from error
    return tuple(paths)


class _Choice:
    """What chooses samples by --where and --class, and what it has seen; without either, all are chosen."""

    def __init__(self, sets: Sequence[ShardsOfSet], options: InspectOptions) -> None:
        self._condition = None if options.where is None else parse(options.where)
        self._class = options.class_ or ""
        self._labels = None if options.class_ is None else _labels(sets, options.class_)
        self._seen: set[str] = set()

    @property
    def fits(self) -> Fits | None:
        """The function that says of a sample whether it is chosen; None if all are."""
        return None if self._condition is None and self._labels is None else self._fits

    def notices(self) -> tuple[str, ...]:
        """Return what to say if no sample was chosen: names of the condition that none has."""
        told = "" if self._condition is None else told_of_names(self._condition, self._seen)
        return (told,) if told else ()

    def _fits(self, sample: StoredSample) -> bool:
        values = values_of(sample)
        if len(self._seen) < _NAMES_LIMIT:
            self._seen.update(values)
        of_class = self._labels is None or self._is_of_class(sample, values)
        return of_class and (self._condition is None or self._condition.holds(values))

    def _is_of_class(self, sample: StoredSample, values: Mapping[str, Any]) -> bool:
        """Return whether the label, the class's name, or the beginning of the key is the one that was asked for."""
        label = values.get("cls")
        if self._labels is not None and isinstance(label, int | str) and label in self._labels:
            return True
        if _names(values.get("cname"), self._class):
            return True
        return sample.key.rpartition("/")[2].partition("_")[0] == self._class


def _names(words: object, name: str) -> bool:
    """Return whether the words of a class, such as "tench, Tinca tinca", are or have this name."""
    if not isinstance(words, str):
        return False
    return name.casefold() in (words.casefold(), *(word.strip().casefold() for word in words.split(",")))


def _labels(sets: Sequence[ShardsOfSet], name: str) -> frozenset[int | str]:
    """Return the labels of the classes that have this name, ID or label in the sets' tables; the name may be a label.

    Raises OptionsError, with the names most like it, if the sets have tables and none has it.
    """
    classes = [row for each in sets for row in each.classes]
    labels = {row.label for row in classes if name in (str(row.label), row.id) or _names(row.name, name)}
    if classes and not labels:
        words = [word.strip() for row in classes for word in (*row.name.split(","), row.id)]
        like = nearest(name, [*dict.fromkeys(words)])
        names = [*dict.fromkeys(row.name for row in classes)]
        hint = f" Did you mean {' or '.join(like)}?" if like else f" Some are {first_few(names, _CLASSES_SHOWN)}."
        raise OptionsError([f"--class {name}: no class of {first_few([each.name for each in sets], 3)} has it.{hint}"])
    return frozenset([*labels, name, *([int(name)] if name.lstrip("-").isdecimal() else [])])


def _head(sets: Sequence[ShardsOfSet], count: int, fits: Fits | None, monitor: Monitor) -> list[SampleLine]:
    """Return the first samples that fit."""
    return [*islice(_fitting(sets, fits, monitor), count)]


def _fitting(sets: Sequence[ShardsOfSet], fits: Fits | None, monitor: Monitor) -> Iterator[SampleLine]:
    shards = [(each, path) for each in sets for path in each.paths]
    for done, (each, path) in enumerate(shards):
        if fits is not None:
            monitor.working("searching shards", done, len(shards))
        with closing(samples_of(path)) as samples:
            for sample in samples:
                if fits is None or fits(sample):
                    yield described(sample, each.class_names)


def _random(
    sets: Sequence[ShardsOfSet], count: int, seed: int, fits: Fits | None, monitor: Monitor
) -> list[SampleLine]:
    """Return random samples that fit, in the order of the shards; the same ones for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - it is no secret
    if fits is not None:
        return _reservoir(_fitting(sets, fits, monitor), count, draw)
    shards = [(each, path) for each in sets for path in each.paths]
    counts = [each.counts.get(path) for each, path in shards]
    for number, (_, path) in enumerate(shards):
        if counts[number] is None:
            counts[number] = count_rows(path)
            monitor.working("counting in shards", number + 1, len(shards))
    sizes = [size or 0 for size in counts]
    rows = sorted(draw.sample(range(sum(sizes)), min(count, sum(sizes))))
    found: list[SampleLine] = []
    for (each, path), wanted in zip(shards, rows_by_shard(rows, sizes), strict=True):
        found += _rows_of(path, wanted, each.class_names)
    return found


def _rows_of(path: str, rows: Sequence[int], class_names: Mapping[int, str]) -> list[SampleLine]:
    """Return the samples in these rows of a shard. Raises SourceError if it has fewer than its set's manifest says."""
    found: list[SampleLine] = []
    if not rows:
        return found
    wanted = {*rows}
    with closing(samples_of(path)) as samples:
        for sample in islice(samples, max(rows) + 1):
            if sample.row in wanted:
                found.append(described(sample, class_names))
    if len(found) < len(wanted):
        raise SourceError(f"{path} has fewer samples than its manifest says. Copy it again, or verify the set.")
    return found


def _reservoir(lines: Iterator[SampleLine], count: int, draw: random.Random) -> list[SampleLine]:
    """Return `count` random ones of these lines, or all if there are fewer, in their order."""
    kept: list[tuple[int, SampleLine]] = []
    for number, line in enumerate(lines):
        if number < count:
            kept.append((number, line))
        elif (place := draw.randrange(number + 1)) < count:
            kept[place] = (number, line)
    return [line for _, line in sorted(kept, key=lambda each: each[0])]
