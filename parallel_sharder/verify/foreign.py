"""The verification of other tools' sets of shards, which have no manifest of ours.

Takes ForeignSets and returns what they hold, their faults and the remarks. Workers check each shard by itself (see
foreign_shard). Then each set is checked as a whole: keys that are in several shards, samples that differ in their
fields, numbers that no shard has, and what a wids index beside the shards says. Nothing is written.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np

from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Deviation
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.pattern import shard_name
from parallel_sharder.text import counted, first_few
from parallel_sharder.verify.foreign_sample import Fields
from parallel_sharder.verify.foreign_shard import ForeignFindings, check_foreign_shard
from parallel_sharder.verify.places import ForeignIndex, ForeignSet
from parallel_sharder.verify.remarks import Remark

_REPEATS_LIMIT = 1_000
"""The most keys of a set that are named because several shards have them; the others are counted."""

_SHOWN = 5


@dataclass(slots=True)
class ForeignVerdict:
    """What was found in other tools' sets."""

    samples: int = 0
    shards: int = 0
    file_bytes: int = 0
    faults: list[Deviation] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def verify_foreign(sets: Sequence[ForeignSet], engine: Engine, monitor: Monitor) -> ForeignVerdict:
    """Verify these sets, and return what they hold and what was found."""
    verdict = ForeignVerdict()
    for each in sets:
        findings = _findings(each.paths, engine, monitor)
        verdict.samples += sum(finding.samples for finding in findings)
        verdict.shards += len(findings)
        verdict.file_bytes += sum(finding.file_bytes for finding in findings)
        for finding in findings:
            verdict.faults += finding.faults
            verdict.remarks += finding.remarks
        verdict.faults += _repeats(each.name, findings)
        for index in each.indexes:
            verdict.faults += _against_index(index, findings)
        verdict.remarks += [*_differing_fields(each.name, findings), *_gaps(each), *_unlisted(each)]
        if not any(finding.samples or finding.faults for finding in findings):
            verdict.faults.append(Deviation(each.name, "holds no sample"))
    return verdict


def _findings(paths: Sequence[str], engine: Engine, monitor: Monitor) -> list[ForeignFindings]:
    """Return what workers find in the shards, in the order of the paths."""
    found: dict[str, ForeignFindings] = {}
    for finding in engine.each(check_foreign_shard, paths):
        found[finding.path] = finding
        monitor.working("verifying shards", len(found), len(paths))
    return [found[path] for path in paths]


def _repeats(name: str, findings: Sequence[ForeignFindings]) -> Iterator[Deviation]:
    """Yield a Deviation for each sample whose key is also in an earlier shard, for the first of them with both places.

    Digests tell which keys may be equal; of those that are named, the keys themselves are compared.
    """
    digests = np.concatenate([np.frombuffer(finding.key_digests, np.uint64) for finding in findings])
    starts = np.cumsum([0, *(finding.samples for finding in findings)])
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    at = np.flatnonzero(ordered[1:] == ordered[:-1])
    first, second = order[at], order[at + 1]
    first_shard, second_shard = (np.searchsorted(starts, rows, "right") - 1 for rows in (first, second))
    [apart] = np.nonzero(first_shard != second_shard)  # within a shard, its own check has found it
    apart = apart[np.argsort(second[apart], kind="stable")]

    @lru_cache(maxsize=16)
    def keys_of(shard: int) -> list[str]:
        return zlib.decompress(findings[shard].keys).decode("utf-8", "surrogateescape").split("\n")

    for each in apart[:_REPEATS_LIMIT].tolist():
        shards = int(first_shard[each]), int(second_shard[each])
        rows = int(first[each] - starts[shards[0]]), int(second[each] - starts[shards[1]])
        key = keys_of(shards[1])[rows[1]]
        if key == keys_of(shards[0])[rows[0]]:
            there, here = (_offset(findings[shard], row) for shard, row in zip(shards, rows, strict=True))
            detail = f"is the key of a sample in another shard too: {findings[shards[0]].path}, at offset {there:,}"
            yield Deviation(findings[shards[1]].path, detail, key, here)
    if len(apart) > _REPEATS_LIMIT:
        more = counted(len(apart) - _REPEATS_LIMIT, "more key is", "more keys are")
        yield Deviation(name, f"{more} in several shards")


def _offset(finding: ForeignFindings, row: int) -> int:
    return int(np.frombuffer(finding.offsets, np.int64)[row])


def _against_index(index: ForeignIndex, findings: Iterable[ForeignFindings]) -> Iterator[Deviation]:
    """Yield a Deviation for each shard of which the index says other counts than the shard has, or that is missing."""
    by_name = {os.path.basename(finding.path): finding for finding in findings}
    folder = os.path.dirname(index.path)
    for shard in index.shards:
        finding = by_name.get(shard.name)
        if finding is None:
            if not os.path.exists(os.path.join(folder, shard.name)):
                yield Deviation(index.path, f"lists {shard.name}, which is missing")
            continue
        samples = counted(shard.samples, "sample")
        if shard.samples != finding.samples:
            yield Deviation(index.path, f"says that {shard.name} has {samples}; it holds {finding.samples:,}")
        if shard.file_bytes not in (0, finding.file_bytes):
            size = counted(shard.file_bytes, "byte")
            yield Deviation(index.path, f"says that {shard.name} has {size}; it has {finding.file_bytes:,}")


def _unlisted(each: ForeignSet) -> Iterator[Remark]:
    """Yield a remark on each wids index that lists some of the set's shards and not all of them."""
    for index in each.indexes:
        listed = {shard.name for shard in index.shards}
        others = [name for name in map(os.path.basename, each.paths) if name not in listed]
        if others:
            yield Remark(index.path, f"does not list all shards of the set: {first_few(others, _SHOWN)}", len(others))


def _differing_fields(name: str, findings: Iterable[ForeignFindings]) -> Iterator[Remark]:
    """Yield a remark if not all samples of the set have the same fields, whatever their order."""
    counts: Counter[Fields] = Counter()
    others = 0
    for finding in findings:
        for fields, shape in finding.shapes.items():
            counts[tuple(sorted(fields))] += shape.samples
        others += finding.other_shapes
    if len(counts) < 2:
        return
    common = counts.most_common()
    others += sum(count for _, count in common[_SHOWN:])
    parts = [f"{count:,} with {', '.join(fields[:20])}" for fields, count in common[:_SHOWN]]
    parts += [f"{others:,} with others"] if others else []
    yield Remark(name, f"samples whose fields differ: {'; '.join(parts)}", len(counts))


def _gaps(each: ForeignSet) -> Iterator[Remark]:
    """Yield a remark on the numbers between the first and the last that no shard of the set has."""
    parts = [shard_name(os.path.basename(path)) for path in each.paths]
    if len({part and (part.prefix, part.suffix) for part in parts}) != 1:
        return
    numbers = sorted({int(part.number) for part in parts if part})
    gaps = [(before + 1, after - 1) for before, after in pairwise(numbers) if after > before + 1]
    if gaps:
        texts = [f"{first}" if first == last else f"{first} to {last}" for first, last in gaps]
        missing = sum(last - first + 1 for first, last in gaps)
        yield Remark(each.name, f"numbers that no shard has: {first_few(texts, _SHOWN)}", missing)
