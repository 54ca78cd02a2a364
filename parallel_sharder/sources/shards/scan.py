"""The scan of shards: each is listed by its headers on the workers, and what the options choose becomes a Listing.

Lists of keys come first, so that what they leave out is in nobody's way. Then names that no reader takes are refused,
twins are settled, and the workers say for which samples --where holds. All that is left out, and all that differs, is
counted for people.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from parallel_sharder.columns import Int64s
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.model import Archive, Listing, Place
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.key_rule import RULE
from parallel_sharder.sources.shards.columns import Columns, columns_of
from parallel_sharder.sources.shards.key_lists import KeyList, choose, known_list, read_key_list
from parallel_sharder.sources.shards.matching import Matching, Stretches, matching
from parallel_sharder.sources.shards.reading import Reading, named
from parallel_sharder.sources.shards.rows import Rows, Shape, rows_of
from parallel_sharder.sources.shards.twins import Twins, settle_twins
from parallel_sharder.sources.shards.where import Condition, told_of_names, type_in_words
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.survey import ScanProgress, results_of
from parallel_sharder.text import counted

_SO = ", so that each comparison of it in --where is false"
_SHAPES_SHOWN = 10
"""How many combinations of fields are told with their counts."""


def scan(
    reading: Reading, options: SourceOptions, condition: Condition | None, engine: Engine, monitor: Monitor
) -> Listing:
    """Return the Listing of what the options choose in the shards of `reading`, in their order.

    Raises SourceError for a shard, or a name, by which data would be lost, and if nothing is chosen.
    """
    lists = _lists(options)
    archives = reading.archives
    shards = reading.shards(engine, monitor)
    problems = [problem for shard in shards for problem in shard.problems]
    rows = rows_of(shards)
    notices = [notice for each in lists for notice in choose(rows, each, keep=each.option != "--drop")]
    filtered = len(rows) - int(np.count_nonzero(rows.alive))
    _refuse_unfit(rows)
    twins = settle_twins(rows, options.apart or "refuse", options.on_duplicate or "fail")
    if condition is not None:
        progress = partial(monitor.scanning, unit="shard")
        count, unknown = _filter(rows, twins, condition, reading.copies(), engine, progress)
        filtered += count
        notices += unknown
    columns = columns_of(rows, twins)
    if not len(columns.keys):
        raise _nothing_left(archives, len(rows), filtered, options, notices)
    listing = _listing(archives, columns, _typed(options), _selection(options, lists, filtered))
    told = _told(columns.shapes, rows, twins)
    return dataclasses.replace(listing, problems=(*problems, *twins.problems), notices=(*notices, *told))


def _listing(archives: Sequence[Archive], columns: Columns, typed: str, selection: Mapping[str, Any]) -> Listing:
    """Return the Listing of these columns, without problems and notices; `typed` are the options that have chosen."""
    return Listing(
        found=_found(archives, columns, selection["filtered"], typed),
        places=tuple(Place(archive.path, archive.path) for archive in archives),
        classes=(),
        keys=columns.keys,
        class_index=np.full(len(columns.keys), -1, np.int32),
        parts=columns.parts,
        problems=(),
        archives=tuple(archives),
        selection=selection,
        source_order=columns.source_order,
        fields=_fields(columns),
    )


def _fields(columns: Columns) -> tuple[tuple[str, int], ...]:
    """Return Listing.fields."""
    counts: Counter[str] = Counter()
    for shape, count in columns.shapes:
        counts.update(dict.fromkeys(shape, count))
    return tuple(counts.items())


def _lists(options: SourceOptions) -> list[KeyList]:
    if options.known_keys is not None:
        return [known_list(options.known_keys, are_renamed=options.on_duplicate == "rename")]
    named = ("--keep", options.keep), ("--drop", options.drop)
    return [read_key_list(option, str(path)) for option, path in named if path is not None]


def _refuse_unfit(rows: Rows) -> None:
    """Raise SourceError, which counts them and names the first, if a name of a sample to be stored fits no reader."""
    unfit = [row for row in rows.unfit if rows.alive[row]]
    if unfit:
        first = min(unfit)
        key = rows.key_of(first).decode("utf-8", "surrogateescape")
        raise SourceError(
            f"{rows.where(first)}: the key {key} {rows.unfit[first]} ({counted(len(unfit), 'such sample')} in all). "
            "Use --rename-keys, which makes such keys safe, or leave the samples out by --drop."
        )


def _filter(
    rows: Rows,
    twins: Twins,
    condition: Condition,
    copies: Mapping[str, str],
    engine: Engine,
    progress: ScanProgress,
) -> tuple[int, list[str]]:
    """Mark the samples for which the condition does not hold; return how many, and notices on wrong names and types."""
    samples = np.flatnonzero(rows.alive)
    cuts = np.searchsorted(rows.place[samples], np.arange(len(rows.paths) + 1))
    of_shards = [samples[start:end] for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)]
    tasks = [partial(matching, _stretches(rows, twins, some, copies), condition) for some in of_shards if len(some)]
    found: list[Matching] = results_of(tasks, engine, "the shards", progress)
    held = np.frombuffer(b"".join(each.images for each in found), np.uint8).astype(np.bool_)
    rows.alive[samples] = held
    there = frozenset[str]().union(*(each.names for each in found))
    types = frozenset[tuple[str, str]]().union(*(each.types for each in found))
    notices = [*filter(None, [told_of_names(condition, there, _SO)]), *dict.fromkeys(_told_of_types(condition, types))]
    return int(np.count_nonzero(~held)), notices


def _told_of_types(condition: Condition, types: frozenset[tuple[str, str]]) -> Iterator[str]:
    """Yield a notice for each name that is compared with a type which it has in no sample; null is no type."""
    for name, literals in itertools.chain.from_iterable(each.literals() for each in condition.comparisons()):
        has = sorted(kind for of, kind in types if of == name)
        others = [(literal, type_in_words(literal)) for literal in literals if literal is not None]
        if has and others and not any(kind in has for _, kind in others):
            literal, kind = others[0]
            yield (
                f"{name} is {' or '.join(has)} in each sample, and --where compares it with "
                f"{json.dumps(literal, ensure_ascii=False)}, {kind}; the two are never equal, and neither is less"
            )


def _stretches(rows: Rows, twins: Twins, samples: Int64s, copies: Mapping[str, str]) -> Stretches:
    """Return the stretches of these samples, which lie in one shard; `copies` has the paths of shards' copies."""
    number, row = np.arange(len(samples), dtype=np.int32), samples
    further = [
        (number, other)
        for number, first in enumerate(samples.tolist() if twins.joined else ())
        for other in twins.joined.get(first, ())
    ]
    if further:
        number = np.concatenate([number, np.array([each for each, _ in further], np.int32)])
        row = np.concatenate([row, np.array([other for _, other in further])])
        order = np.argsort(number, kind="stable")
        number, row = number[order], row[order]
    path = rows.paths[rows.place[samples[0]]]
    offset, size = (column[row].astype(np.int64) for column in (rows.offset, rows.size))
    return Stretches(copies.get(path, path), number.tobytes(), offset.tobytes(), size.tobytes())


def _selection(options: SourceOptions, lists: Sequence[KeyList], filtered: int) -> dict[str, object]:
    """Return Listing.selection."""
    identities = {each.option.removeprefix("--"): each.identity for each in lists}
    return {
        "key_rule": RULE,
        "rename_keys": options.rename_keys,
        "on_duplicate": options.on_duplicate or "fail",
        "apart": options.apart or "refuse",
        "where": options.where,
        "keep": identities.get("keep"),
        "drop": identities.get("drop"),
        "filtered": filtered,
    }


def _found(archives: Sequence[Archive], columns: Columns, filtered: int, typed: str) -> tuple[tuple[str, str], ...]:
    """Return Listing.found."""
    fields = _shape_words(columns.shapes[0][0])
    if len(columns.shapes) > 1:
        fields = f"{counted(len(columns.shapes), 'combination')}, mostly {fields}"
    found = [("shards", named(archives)), ("fields", fields)]
    if filtered:
        found.append(("filtered", f"{counted(filtered, 'sample')} not chosen by {typed}"))
    return tuple(found)


def _told(shapes: Sequence[tuple[Shape, int]], rows: Rows, twins: Twins) -> list[str]:
    """Return notices about fields that differ, and about samples that were joined or renamed."""
    notices = []
    if len(shapes) > 1:
        some = [f"{counted(count, 'sample has', 'samples have')} {_shape_words(shape)}" for shape, count in shapes]
        more = len(some) - _SHAPES_SHOWN
        shown = "; ".join(some[:_SHAPES_SHOWN]) + (f"; {counted(more, 'other combination')}" if more > 0 else "")
        notices.append(f"the fields differ between samples: {shown}")
    joined = sum(bool(rows.alive[row]) for row in twins.joined)
    if joined:
        notices.append(f"members of {counted(joined, 'sample')} lay apart and are joined (--apart join)")
    renamed = sum(bool(rows.alive[row]) for row in twins.new_keys)
    if renamed:
        words = counted(renamed, "sample has a new key", "samples have new keys")
        notices.append(f"{words}, because an earlier one has theirs (--on-duplicate rename)")
    unfit = sum(bool(rows.alive[row]) for row in rows.old_keys)
    if unfit:
        words = counted(unfit, "sample has a new key", "samples have new keys")
        notices.append(f"{words}, because readers do not take the old one (--rename-keys)")
    return notices


def _shape_words(shape: Shape) -> str:
    return ", ".join(shape)


def _typed(options: SourceOptions) -> str:
    """Return the options that choose samples, of those that are given; a finished set has lists without a path."""
    lists = ("--keep", "--drop") if options.known_keys is not None else ()
    given = ("--keep", options.keep), ("--drop", options.drop), ("--where", options.where)
    names = [name for name, value in given if value is not None or name in lists]
    return " or ".join(names)


def _nothing_left(
    archives: Sequence[Archive], count: int, filtered: int, options: SourceOptions, notices: Sequence[str]
) -> SourceError:
    if not count:
        return SourceError(
            f"{named(archives)}: no member has a key and a field, such as a.jpg, so there is no sample. Name other "
            "tars with --root; of images that are packed, unpack the tars and name the folder."
        )
    typed = _typed(options)
    return SourceError(
        f"{named(archives)}: none of {counted(count, 'sample')} is left, and {filtered:,} are not chosen by {typed}. "
        f"Mend {'these' if ' or ' in typed else 'it'}.",
        *notices,
    )
