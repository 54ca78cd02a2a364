"""The command `verify`: it checks whether finished sets are what their manifests and, if asked, their source say.

Takes VerifyOptions and returns a Verdict. Workers read every shard from its first byte to its last (see shard_check).
Then each set is checked as a whole: repeated keys, shards too many, classes, order. If a source is given, the samples
are compared with it (see source_comparison). Sets of other tools have no manifest, and are checked by the rules of
readers (see foreign). Nothing is written, and the check continues to its end whatever it finds.
"""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.engines import running
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError, ManifestError, SourceError
from parallel_sharder.journal.past import progress_of
from parallel_sharder.memory import give_back_freed
from parallel_sharder.model import Deviation, ImageClass, Listing, Problem
from parallel_sharder.monitor.monitor import Monitor, guarded
from parallel_sharder.options import VerifyOptions
from parallel_sharder.pattern import shard_name
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.sources.source import Source, SourceOptions, open_source, selected
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted
from parallel_sharder.verify.filters import filtered, keys_for_lists
from parallel_sharder.verify.foreign import verify_foreign
from parallel_sharder.verify.listed import Listed, against_shards, read_listed
from parallel_sharder.verify.places import named_by
from parallel_sharder.verify.sample_check import ExpectedSet
from parallel_sharder.verify.shard_check import ExpectedShard, ShardFindings, check_shard
from parallel_sharder.verify.source_comparison import Rows, compare_with_source
from parallel_sharder.verify.source_sample import look
from parallel_sharder.verify.source_stretch import look_at_member
from parallel_sharder.verify.verdict import Verdict


def verify_shards(options: VerifyOptions, monitor: Monitor | None = None) -> Verdict:
    """Verify the finished sets that `options` name, and return what they hold and what deviates.

    Raises SharderError if there is no set. Everything that is wrong with a set, or with its source, is a Deviation.
    """
    start = time.monotonic()
    with guarded(monitor) as monitor, running(options.workers, preload=check_shard.__module__) as engine:
        named = named_by(os.fspath(options.dest))
        if named.foreign and options.source is not None:
            raise DestinationError(
                f"{named.foreign[0].name} has no manifest of this tool, which would say how to compare it with "
                "--source. Leave --source out, and the shards are checked by themselves."
            )
        sets = [_verify_set(path, options, engine, monitor) for path in named.manifests]
        foreign = verify_foreign(named.foreign, engine, monitor)
    return Verdict(
        tuple(each.manifest_path for each in sets),
        foreign.samples + sum(each.samples for each in sets),
        foreign.shards + sum(each.shards for each in sets),
        foreign.file_bytes + sum(each.file_bytes for each in sets),
        ", ".join(options.sources) or None,
        sum(each.compared for each in sets),
        sum(each.left_out for each in sets),
        tuple(problem for each in sets for problem in each.problems),
        tuple(dict.fromkeys([*named.notices, *(notice for each in sets for notice in each.notices)])),
        (*foreign.faults, *(deviation for each in sets for deviation in each.deviations)),
        engine.workers,
        time.monotonic() - start,
        tuple(each.name for each in named.foreign),
        tuple(foreign.remarks),
    )


@dataclass
class _Set:
    """The findings on one set while it is verified."""

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
        manifest = Manifest.read(path)
    except ManifestError as error:
        progress = progress_of(SetFiles.at_manifest(path).journal)
        done = f" (the journal has {progress[0]:,} of {counted(progress[1], 'shard')} as done)" if progress else ""
        detail = f"{error}{done}. Its shards were not looked at. The conversion, run again, makes what is missing."
        found.deviations.append(Deviation(path, detail))
        return found
    if manifest is None and SetFiles.at_manifest(path).journals():
        found.deviations.append(Deviation(path, "is no manifest of this tool, and a journal lies beside it"))
        return found
    if manifest is None:
        raise DestinationError(f"{path} is no manifest of this tool, so its shards cannot be verified.")
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
    listed, amiss = read_listed(path, manifest.options.on_bad)
    found.deviations += [*amiss, *against_shards(path, listed, rows.keys)]
    if not found.deviations:  # other deviations make the counts wrong too
        found.deviations += _class_counts(path, manifest, findings)
    if options.source is None:
        found.notices = _listed_as_left_out(path, listed)
    else:
        try:
            keys = keys_for_lists(manifest, rows, listed)
            with _source(manifest, options, keys, engine, monitor) as (source, listing):
                found.deviations += [*_class_table(path, manifest, listing), *filtered(path, manifest, listing)]
                form = manifest.options.its_form
                compared = compare_with_source(path, rows, listing, listed, form, source.looked, engine, monitor)
                found.compared, found.left_out = compared.samples, compared.left_out + listing.left_out
                found.problems = (*(each for each in listing.problems if each.leaves_out), *compared.problems)
                found.notices = listing.notices
                found.deviations += compared.deviations
        except (SourceError, DestinationError) as error:  # what was found before stays
            found.deviations.append(Deviation(path, f"cannot be compared with its source: {error.in_one_line}"))
    return found


def _listed_as_left_out(manifest_path: str, listed: Sequence[Listed]) -> tuple[str, ...]:
    """Return a notice if the list of problems beside the set says that the set lacks something."""
    count = sum(problem.is_left_out for problem in listed)
    what = counted(count, "image or class", "images or classes")
    path = SetFiles.at_manifest(manifest_path).problems
    return (f"{path} lists {what} that the conversion left out.",) if count else ()


def _check_shards(expected: list[ExpectedShard], engine: Engine, monitor: Monitor) -> list[ShardFindings]:
    """Return what workers find in the shards, in the order of `expected`."""
    findings: dict[str, ShardFindings] = {}
    for finding in engine.each(check_shard, expected):
        findings[finding.path] = finding
        monitor.working("verifying shards", len(findings), len(expected))
    return [findings[shard.path] for shard in expected]


def _expected_shards(path: str, manifest: Manifest, *, with_digests: bool) -> list[ExpectedShard]:
    classes = {row.label: (row.id, row.name) for row in manifest.classes}
    choices = manifest.options
    of_set = ExpectedSet(
        classes, choices.split, choices.its_form, choices.on_bad, choices.seed, dict(manifest.selection)
    )
    return [
        ExpectedShard(
            os.path.join(os.path.dirname(path), shard.name),
            shard.samples,
            shard.file_bytes,
            shard.tar_bytes,
            shard.xxh3_128,
            shard.md5,
            of_set,
            with_digests,
        )
        for shard in manifest.shards
    ]


def _against_itself(path: str, manifest: Manifest) -> list[Deviation]:
    """Return a Deviation for each contradiction in the manifest between its options and its shards or classes."""
    choices, shards, labels = manifest.options, manifest.shards, [row.label for row in manifest.classes]
    found = []
    for limit, option, counts, of_shard in (
        (choices.maxcount, "maxcount", [shard.samples for shard in shards], "nsamples"),
        (choices.maxsize, "maxsize", [shard.tar_bytes for shard in shards], "tar_bytes"),
    ):
        largest = max(counts)
        if limit is not None and largest > limit:
            name = shards[counts.index(largest)].name
            found.append(f"says that {name} has {largest:,} as {of_shard}, and that --{option} was {limit:,}")
    if choices.shards not in (None, len(shards)):
        found.append(f"lists {counted(len(shards), 'shard')}, and says that --shards was {choices.shards:,}")
    if choices.is_of_imagenet and (choices.split == "test") != (not labels):
        found.append(f"has {counted(len(labels), 'class', 'classes')}, and says that --split was {choices.split}")
    by_wnid = sorted(manifest.classes, key=lambda row: row.id)
    if choices.labels == "sorted" and [row.label for row in by_wnid] != [*range(len(by_wnid))]:
        found.append("says that --labels was sorted, and its labels do not number the WordNet IDs from 0")
    return [Deviation(path, detail) for detail in found]


def _further_shards(expected: list[ExpectedShard]) -> list[Deviation]:
    """Return a Deviation for each file that is in no manifest, but has the name of a shard of the set."""
    folder, first = os.path.split(expected[0].path)
    known = {os.path.basename(shard.path) for shard in expected}
    ours = shard_name(first)
    if ours is None:
        return []
    further = [
        name
        for name in sorted(store_of(folder).names(folder))
        if (its := shard_name(name)) and (its.prefix, its.suffix) == (ours.prefix, ours.suffix) and name not in known
    ]
    return [
        Deviation(os.path.join(folder, name), "is a shard too many: the manifest does not list it") for name in further
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
        found.append(rows.deviation(second, f"is stored twice, also in {where}"))
    return found


def _class_counts(path: str, manifest: Manifest, findings: list[ShardFindings]) -> list[Deviation]:
    counts: Counter[int] = sum((finding.labels for finding in findings), Counter())
    return [
        Deviation(
            path,
            f"says that class {row.label} has {counted(row.samples, 'sample')}; the shards hold {counts[row.label]:,}",
        )
        for row in manifest.classes
        if row.samples != counts[row.label]
    ]


@contextlib.contextmanager
def _source(
    manifest: Manifest, options: VerifyOptions, keys: tuple[bytes, ...] | None, engine: Engine, monitor: Monitor
) -> Iterator[tuple[Source, Listing]]:
    """Hold the source open inside the block, and yield it and its Listing; `keys` stand for lists of keys."""
    assert options.source is not None  # noqa: S101 - the caller checks it
    try:
        with open_source(_source_options(manifest, options, keys)) as source:
            its_look = look_at_member if manifest.options.its_form == "shards" else look
            listing = source.scan(engine, monitor, Scratch(look=its_look))
            give_back_freed()
            yield source, listing
            source.refuse_changes()
    except SourceError as error:
        lines = (line.replace("--root", "--source") for line in error.args)  # the option's name in this command
        raise SourceError(*lines) from error


def _source_options(manifest: Manifest, options: VerifyOptions, keys: tuple[bytes, ...] | None) -> SourceOptions:
    """Return the options that read a set's source as the conversion has read it; `keys` stand for lists of keys."""
    choices, selection = manifest.options, manifest.selection
    if choices.is_of_imagenet:
        return SourceOptions(
            root=options.sources,
            split=choices.split,
            labels=choices.labels,
            annotations=choices.annotations,
            xml_root=options.xml_root,
            meta=options.meta,
            layout=options.layout,
            is_imagenet=True,
        )
    _refuse_no_table(options.sources[0], selection.get("table"))
    has_list = selection.get("meta") is not None
    return SourceOptions(
        root=options.sources,
        split=choices.split,
        layout=choices.form,
        shuffle=choices.seed is not None,
        known_keys=keys,
        known_classes=tuple(ImageClass(row.label, row.name, row.id) for row in manifest.classes) if has_list else None,
        **selected(selection, options.sources[0]),
    )


def _refuse_no_table(source: str, table: str | None) -> None:
    """Raise SourceError if the set is of a table, by its path in the source's folder, and the table is not there."""
    path = os.path.join(source, table or "")
    if table is not None and not (os.path.isfile(path) or glob.glob(path)):
        why = "is no folder" if os.path.isfile(source) else f"has no {table}, of which the set was made"
        raise SourceError(f"{source} {why}. Name the data set's folder, in which the table is {table}.")


def _class_table(path: str, manifest: Manifest, listing: Listing) -> list[Deviation]:
    ours = {row.label: (row.id, row.name) for row in manifest.classes}
    theirs = {row.label: (row.id, row.name) for row in listing.classes}
    return [
        Deviation(path, f"has class {label} as {ours.get(label)}, and the source as {theirs.get(label)}")
        for label in sorted({*ours, *theirs})
        if ours.get(label) != theirs.get(label)
    ]
