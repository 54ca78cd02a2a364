"""Source comparison: whether each sample of the source is in exactly one shard of a finished set, with the same bytes.

Takes the samples that the checks of the shards have found, as columns, the source as a Listing, and the list of
problems. It matches samples by their keys. For each sample that is on both sides, workers read the source's files and
compare digests (see source_sample). Returns what deviates, and how much was compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np

from parallel_sharder.columns import Int32s, Int64s, Keys
from parallel_sharder.engines.engine import Engine
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Deviation, Listing, Role
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores.blob import listed_blob
from parallel_sharder.verify.listed import Listed
from parallel_sharder.verify.shard_check import ShardFindings
from parallel_sharder.verify.source_sample import (
    ExpectedSample,
    LeftOutSample,
    SourceSample,
    compare_samples,
    look_again,
)

SAMPLES_A_TASK = 500
"""How many samples one task compares: it reads some 50 MB, and its message has some 100 KB."""


class Rows(NamedTuple):
    """The samples of a set as columns, in the order of its shards."""

    paths: list[str]
    keys: Keys
    shard: Int32s
    offset: Int64s
    image_digests: bytes
    json_digests: bytes

    @classmethod
    def of(cls, findings: list[ShardFindings]) -> Rows:
        """Make the columns of the samples of all shards, in the order of the `findings`."""
        keys = [
            np.array(finding.keys.encode("ascii").split(b"\n") if finding.keys else [], "S") for finding in findings
        ]
        return cls(
            [finding.path for finding in findings],
            np.concatenate(keys),
            np.repeat(np.arange(len(keys), dtype=np.int32), [len(some) for some in keys]),
            np.frombuffer(b"".join(finding.offsets for finding in findings), np.int64),
            b"".join(finding.image_digests for finding in findings),
            b"".join(finding.json_digests for finding in findings),
        )

    def deviation(self, row: int, detail: str) -> Deviation:
        """Return a Deviation of the sample in `row`, with this detail."""
        return Deviation(self.paths[self.shard[row]], detail, self.keys[row].decode("ascii"), int(self.offset[row]))


class Compared(NamedTuple):
    """The counts of samples that were compared, and of those in the source but not in the set, and what deviates."""

    samples: int
    left_out: int
    deviations: list[Deviation]


def compare_with_source(
    manifest_path: str,
    rows: Rows,
    listing: Listing,
    listed: Sequence[Listed],
    annotations: str,
    engine: Engine,
    monitor: Monitor,
) -> Compared:
    """Compare the samples of a set with the source's, and return the result; `annotations` is the JSON's form.

    A sample of the source may be missing from the set if the list of problems has a reason for it that is true.
    """
    problems_path = SetFiles.at_manifest(manifest_path).problems
    place = np.minimum(np.searchsorted(listing.keys, rows.keys), len(listing) - 1)
    known = listing.keys[place] == rows.keys
    deviations = [rows.deviation(row, "is not in the source") for row in np.flatnonzero(~known).tolist()]
    stored = np.zeros(len(listing), np.bool_)
    stored[place[known]] = True

    left_out = {problem.key: problem for problem in listed if problem.is_left_out}
    absent = []
    for row in np.flatnonzero(~stored).tolist():
        source = _source_sample(listing, row, annotations)
        problem = left_out.get(source.key)
        if problem is None:
            detail = f"{source.image.path} is in no shard, and not in the list of problems"
            deviations.append(Deviation(manifest_path, detail, source.key))
        else:
            absent.append(LeftOutSample(problems_path, source, problem.kind, problem.detail))
    deviations += _unknown(manifest_path, listing, left_out)
    for some in engine.each(look_again, _in_tasks(absent)):
        deviations += some

    found = np.flatnonzero(known)
    in_sources_order = found[
        np.argsort(place[found], kind="stable")
    ].tolist()  # workers read one folder after the other
    broken = {problem.key for problem in listed if problem.kind is Kind.BAD_ANNOTATION and not problem.is_left_out}
    samples = _expected_samples(listing, rows, in_sources_order, place, broken, annotations)
    for done, some in enumerate(engine.each(compare_samples, _in_tasks(samples)), 1):
        deviations += some
        monitor.working("comparing samples", min(done * SAMPLES_A_TASK, len(found)), len(found))
    return Compared(len(found), int(np.count_nonzero(~stored)), deviations)


T = TypeVar("T")


def _in_tasks(samples: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(samples)
    return iter(lambda: list(islice(rest, SAMPLES_A_TASK)), [])


def _unknown(manifest_path: str, listing: Listing, left_out: Mapping[str, Listed]) -> list[Deviation]:
    """Return a Deviation for each sample that is listed as left out, but is not in the source."""
    known = {problem.key for problem in listing.problems}
    keys = [key for key in left_out if key not in known]
    is_there = np.isin(np.array([key.encode() for key in keys], "S"), listing.keys)
    path, detail = SetFiles.at_manifest(manifest_path).problems, "is listed as left out, but is not in the source"
    return [Deviation(path, detail, key) for key, there in zip(keys, is_there.tolist(), strict=True) if not there]


def _source_sample(listing: Listing, row: int, annotations: str) -> SourceSample:
    image_class = listing.classes[listing.class_index[row]] if listing.classes else None
    key = listing.keys[row].decode("ascii")
    image, xml = (listed_blob(listing, role, row) for role in (Role.IMAGE, Role.ANNOTATION))
    assert image is not None  # noqa: S101 - each row of a Listing has an image
    return SourceSample(key, image, xml, image_class, annotations)


def _expected_samples(
    listing: Listing, rows: Rows, known: list[int], place: Int64s, broken: set[str], annotations: str
) -> Iterator[ExpectedSample]:
    """Yield what to compare for each of the `known` rows; `place` has the row of each stored sample in the Listing.

    `broken` holds the keys of samples whose annotations should not have been stored.
    """
    labels = {row.id: row.label for row in listing.classes}
    for row in known:
        source = _source_sample(listing, int(place[row]), annotations)
        yield ExpectedSample(
            rows.paths[rows.shard[row]],
            int(rows.offset[row]),
            source,
            source.key in broken,
            labels,
            rows.image_digests[16 * row : 16 * row + 16],
            rows.json_digests[16 * row : 16 * row + 16],
        )
