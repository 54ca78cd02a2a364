"""Verify: whether finished sets are what their manifests say and, if asked, what their source says.

Reads every shard from its first byte to its last, on workers (see witness), then looks at the set as a whole: keys
that are there twice, shards too many, classes, order; and with a source, at that (see comparison). Writes nothing, and
goes on to the end whatever it finds.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from parallel_sharder import machine
from parallel_sharder.comparison import Rows, compare_with_source
from parallel_sharder.destination import (
    ShardPattern,
    is_pattern,
    journal_beside,
    problems_beside,
    set_name,
    shard_name,
)
from parallel_sharder.engines import Engine, open_engine
from parallel_sharder.errors import DestinationError, ManifestError, SourceError
from parallel_sharder.journal import progress_of
from parallel_sharder.limits import stopping_in_words
from parallel_sharder.listed import Listed, against_shards, read_listed
from parallel_sharder.manifest import is_copy, read_manifest
from parallel_sharder.model import Deviation, Listing, Problem
from parallel_sharder.monitor import Monitor, telling
from parallel_sharder.options import WITHOUT_ANNOTATIONS, VerifyOptions
from parallel_sharder.report import Verdict
from parallel_sharder.sources import find_layout
from parallel_sharder.sources.scan import refuse_changed_archives, scan
from parallel_sharder.sources.spool import spool_elsewhere
from parallel_sharder.synsets import read_classes
from parallel_sharder.text import counted
from parallel_sharder.witness import ExpectedShard, ShardFindings, check_shard


@stopping_in_words()
def verify_shards(options: VerifyOptions, monitor: Monitor | None = None) -> Verdict:
    """Verify the finished sets that `options` name, and say what is there and what deviates.

    Raises SharderError if there is no set; what is wrong with one, or with its source, is a Deviation.
    """
    workers = machine.usable_cores() if options.workers is None else options.workers
    start = time.monotonic()
    sets = []
    with telling(monitor) as monitor, open_engine(workers, None) as engine:
        paths, others = _manifests(os.fspath(options.dest))
        for path in paths:
            sets.append(_verify_set(path, options, engine, monitor))
    return Verdict(
        tuple(each.manifest_path for each in sets),
        sum(each.samples for each in sets),
        sum(each.shards for each in sets),
        sum(each.file_bytes for each in sets),
        str(options.source) if options.source is not None else None,
        sum(each.compared for each in sets),
        sum(each.left_out for each in sets),
        tuple(problem for each in sets for problem in each.problems),
        tuple(dict.fromkeys([*others, *(notice for each in sets for notice in each.notices)])),
        tuple(deviation for each in sets for deviation in each.deviations),
        workers,
        time.monotonic() - start,
    )


def _manifests(dest: str) -> tuple[list[str], list[str]]:
    """The paths where our sets at `dest` have their manifests, whether these are there or not; notices on others."""
    if is_pattern(dest):
        return [ShardPattern.parse(dest).manifest_path], []
    if os.path.isfile(dest):
        if not dest.endswith(".json"):
            raise DestinationError(
                f"{dest} is no manifest. Name that, such as imagenet_train.json, or the folder of the shards."
            )
        return [dest], []
    try:
        names = sorted(os.listdir(dest))
    except OSError as error:
        raise DestinationError(f"{dest} cannot be read: {error.strerror}. Name the folder of the shards.") from error
    set_of = {name: set_name(parts.prefix) for name in names if (parts := shard_name(name))}
    sets = {match[1] for name in names if (match := re.fullmatch(r"\.(.+)\.journal", name))}
    listed: set[str] = set()
    for name in (name.removesuffix(".json") for name in names if name.endswith(".json")):
        path = os.path.join(dest, f"{name}.json")
        try:
            manifest = read_manifest(path)
        except ManifestError:
            sets |= {name} & {*set_of.values()}  # or it is something else
        else:
            if manifest is not None and not is_copy(manifest, path):
                sets.add(name)
                listed.update(entry["url"] for entry in manifest["shardlist"])
    if not sets:
        raise DestinationError(f"{dest} holds no set of shards with its manifest, such as imagenet_train.json.")
    others = sorted({its_set for name, its_set in set_of.items() if name not in listed} - sets)
    notices = [f"{dest} holds shards of {name} too, and no manifest of theirs to verify them by." for name in others]
    return [os.path.join(dest, f"{name}.json") for name in sorted(sets)], notices


@dataclass
class _Set:
    """What was found of one set."""

    manifest_path: str
    deviations: list[Deviation]
    samples: int = 0
    shards: int = 0
    file_bytes: int = 0
    compared: int = 0
    left_out: int = 0
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()


def _verify_set(path: str, options: VerifyOptions, engine: Engine, monitor: Monitor) -> _Set:
    found = _Set(path, [])
    try:
        manifest = read_manifest(path)
    except ManifestError as error:
        progress = progress_of(journal_beside(path))
        done = f" (the journal has {progress[0]:,} of {counted(progress[1], 'shard')} as done)" if progress else ""
        detail = f"{error}{done}. Its shards were not looked at. The conversion, run again, makes what is missing."
        found.deviations.append(Deviation(path, detail))
        return found
    if manifest is None and os.path.exists(journal_beside(path)):
        found.deviations.append(Deviation(path, "is no manifest of this tool, and there is a journal beside it"))
        return found
    if manifest is None:
        raise DestinationError(f"{path} is no manifest of this tool, so there is nothing to verify its shards by.")
    expected = _expected_shards(path, manifest, with_digests=options.source is not None)
    findings = _check_shards(expected, engine, monitor)
    rows = Rows.of(findings)

    found.samples, found.shards = len(rows.keys), len(findings)
    found.file_bytes = sum(shard.file_bytes for shard in expected)
    found.deviations += _against_itself(path, manifest)
    found.deviations += _further_shards(expected)
    for finding in findings:
        found.deviations += finding.deviations
    found.deviations += _order_of_shards(findings)
    found.deviations += _repeats(rows)
    listed, amiss = read_listed(path, manifest["options"]["on_bad"])
    found.deviations += [*amiss, *against_shards(path, listed, rows.keys)]
    if not found.deviations:  # or they would only follow from those
        found.deviations += _class_counts(path, manifest, findings)
    if options.source is None:
        found.notices = _listed_as_left_out(path, listed)
    else:
        try:
            with _source(manifest["options"], options, engine, monitor) as listing:
                found.deviations += _class_table(path, manifest, listing)
                form = manifest["options"].get("annotations", "original")
                compared = compare_with_source(path, rows, listing, listed, form, engine, monitor)
                found.compared, found.left_out = compared.samples, compared.left_out + listing.left_out
                found.problems = tuple(problem for problem in listing.problems if problem.leaves_out)
                found.notices = listing.notices
                found.deviations += compared.deviations
        except (SourceError, DestinationError) as error:  # which takes nothing from what was found
            found.deviations.append(Deviation(path, f"cannot be compared with its source: {error.in_one_line}"))
    return found


def _listed_as_left_out(manifest_path: str, listed: Sequence[Listed]) -> tuple[str, ...]:
    """The notice that the set is known to lack something, if the list of problems beside it says so."""
    count = sum(problem.is_left_out for problem in listed)
    what = counted(count, "image or class", "images or classes")
    path = problems_beside(manifest_path)
    return (f"{path} lists {what} that the conversion left out, and that no shard holds.",) if count else ()


def _check_shards(expected: list[ExpectedShard], engine: Engine, monitor: Monitor) -> list[ShardFindings]:
    """What the witnesses find, in the order of `expected`."""
    findings: dict[str, ShardFindings] = {}
    for finding in engine.each(check_shard, expected):
        findings[finding.path] = finding
        monitor.working("verifying shards", len(findings), len(expected))
    return [findings[shard.path] for shard in expected]


def _expected_shards(path: str, manifest: Mapping[str, Any], *, with_digests: bool) -> list[ExpectedShard]:
    classes = {row["label"]: (row["wnid"], row["name"]) for row in manifest["classes"]}
    choices = manifest["options"]
    return [
        ExpectedShard(
            os.path.join(os.path.dirname(path), entry["url"]),
            entry["nsamples"],
            entry["filesize"],
            entry["tar_bytes"],
            entry["xxh3_128"],
            entry.get("md5sum", ""),
            classes,
            choices["split"],
            choices["seed"],
            choices.get("annotations", "original"),
            choices["on_bad"],
            with_digests,
        )
        for entry in manifest["shardlist"]
    ]


def _against_itself(path: str, manifest: Mapping[str, Any]) -> list[Deviation]:
    """Where the manifest contradicts itself: no conversion with its options gives such shards."""
    choices, shards, labels = manifest["options"], manifest["shardlist"], [row["label"] for row in manifest["classes"]]
    found = []
    for option, of_shard in (("maxcount", "nsamples"), ("maxsize", "tar_bytes")):
        largest = max(shards, key=lambda entry: entry[of_shard])
        if choices[option] is not None and largest[of_shard] > choices[option]:
            found.append(
                f"says that {largest['url']} has {largest[of_shard]:,} as {of_shard}, and that --{option} was "
                f"{choices[option]:,}"
            )
    if choices["shards"] not in (None, len(shards)):
        found.append(f"lists {counted(len(shards), 'shard')}, and says that --shards was {choices['shards']:,}")
    if (choices["split"] == "test") != (not labels):
        found.append(f"has {counted(len(labels), 'class', 'classes')}, and says that --split was {choices['split']}")
    by_wnid = sorted(manifest["classes"], key=lambda row: row["wnid"])
    if choices["labels"] == "sorted" and [row["label"] for row in by_wnid] != [*range(len(by_wnid))]:
        found.append("says that --labels was sorted, and its labels do not number the WordNet IDs from 0")
    return [Deviation(path, detail) for detail in found]


def _further_shards(expected: list[ExpectedShard]) -> list[Deviation]:
    """Files that a reader would take for shards of the set, by their names."""
    folder, first = os.path.split(expected[0].path)
    known = {os.path.basename(shard.path) for shard in expected}
    ours = shard_name(first)
    if ours is None:
        return []
    further = [
        name
        for name in sorted(os.listdir(folder or "."))
        if (its := shard_name(name)) and (its.prefix, its.suffix) == (ours.prefix, ours.suffix) and name not in known
    ]
    return [
        Deviation(os.path.join(folder, name), "is a shard too many: the manifest does not have it") for name in further
    ]


def _order_of_shards(findings: list[ShardFindings]) -> list[Deviation]:
    there = [finding for finding in findings if finding.first and finding.last]
    return [
        Deviation(later.path, f"does not follow {os.path.basename(earlier.path)} in the order of the set")
        for earlier, later in pairwise(there)
        if earlier.last and later.first and earlier.last >= later.first
    ]


def _repeats(rows: Rows) -> list[Deviation]:
    order = np.argsort(rows.keys, kind="stable")
    ordered = rows.keys[order]
    repeated = np.flatnonzero(ordered[1:] == ordered[:-1])
    found = []
    for first, second in zip(order[repeated].tolist(), order[repeated + 1].tolist(), strict=True):
        where = f"{rows.paths[rows.shard[first]]}, at offset {rows.offset[first]:,}"
        found.append(rows.deviation(second, f"is there twice: also in {where}"))
    return found


def _class_counts(path: str, manifest: Mapping[str, Any], findings: list[ShardFindings]) -> list[Deviation]:
    counts: Counter[int] = sum((finding.labels for finding in findings), Counter())
    return [
        Deviation(
            path,
            f"says that class {row['label']} has {counted(row['count'], 'sample')}; the shards hold "
            f"{counts[row['label']]:,}",
        )
        for row in manifest["classes"]
        if row["count"] != counts[row["label"]]
    ]


@contextlib.contextmanager
def _source(choices: Mapping[str, Any], options: VerifyOptions, engine: Engine, monitor: Monitor) -> Iterator[Listing]:
    """The Listing of the source, which can be read until the end of the context."""
    assert options.source is not None  # noqa: S101 - or nobody asks
    try:
        layout = find_layout(options.source, choices["split"], options.xml_root, options.meta, options.layout)
        if choices.get("annotations") in WITHOUT_ANNOTATIONS:
            layout = layout.without_annotations()
        classes = read_classes(layout.class_list, choices["labels"]) if layout.class_list else ()
        with spool_elsewhere(layout) as spool:
            listing = scan(layout, classes, engine.executor, monitor.scanning, spool)
            yield listing
            refuse_changed_archives(listing.archives)
    except SourceError as error:
        lines = (line.replace("--root", "--source") for line in error.args)  # as it is called here
        raise SourceError(*lines) from error


def _class_table(path: str, manifest: Mapping[str, Any], listing: Listing) -> list[Deviation]:
    ours = {row["label"]: (row["wnid"], row["name"]) for row in manifest["classes"]}
    theirs = {row.label: (row.id, row.name) for row in listing.classes}
    return [
        Deviation(path, f"has class {label} as {ours.get(label)}, and the source as {theirs.get(label)}")
        for label in sorted({*ours, *theirs})
        if ours.get(label) != theirs.get(label)
    ]
