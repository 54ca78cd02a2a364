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
from parallel_sharder.model import Deviation, Listing, Problem, Role
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.staging.look import Looked
from parallel_sharder.stores.blob import Blob, Stretch, listed_blob
from parallel_sharder.verify.listed import Listed
from parallel_sharder.verify.sample_check import FILES_FORMS
from parallel_sharder.verify.shard_check import ShardFindings
from parallel_sharder.verify.source_files import FilesSource
from parallel_sharder.verify.source_sample import (
    SEEN_BYTES,
    AnnotatedSource,
    ExpectedSample,
    LeftOutSample,
    Seen,
    SourceSample,
    Stored,
    compare_samples,
    look,
    look_again,
    seen,
)
from parallel_sharder.verify.source_stretch import DIGEST_BYTES, SeenStretch, StretchSource

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
    other_digests: bytes

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
            b"".join(finding.other_digests for finding in findings),
        )

    def stored(self, row: int) -> Stored:
        """Return the digests of what is stored in this row."""
        some = slice(16 * row, 16 * row + 16)
        return Stored(self.image_digests[some], self.json_digests[some], self.other_digests[some])

    def deviation(self, row: int, detail: str) -> Deviation:
        """Return a Deviation of the sample in `row`, with this detail."""
        return Deviation(self.paths[self.shard[row]], detail, self.keys[row].decode("ascii"), int(self.offset[row]))


class Compared(NamedTuple):
    """The counts of samples that were compared, and of those in the source but not in the set, and what deviates.

    `problems` has each sample that is not in the set and is listed with a reason.
    """

    samples: int
    left_out: int
    problems: tuple[Problem, ...]
    deviations: list[Deviation]


def compare_with_source(
    manifest_path: str,
    rows: Rows,
    listing: Listing,
    listed: Sequence[Listed],
    form: str,
    looked: Sequence[Looked],
    engine: Engine,
    monitor: Monitor,
) -> Compared:
    """Compare the samples of a set with the source's, and return the result; `form` is that of its samples.

    `looked` is what the scan has seen of images that can only be read from an archive's front to its end.
    A sample of the source may be missing from the set if the list of problems has a reason for it that is true.
    """
    problems_path = SetFiles.at_manifest(manifest_path).problems
    place = listing.keys.rows_of(rows.keys.tolist())
    known = place >= 0
    deviations = [rows.deviation(row, "is not in the source") for row in np.flatnonzero(~known).tolist()]
    stored = np.zeros(len(listing), np.bool_)
    stored[place[known]] = True

    left_out = {problem.key: problem for problem in listed if problem.is_left_out}
    absent = []
    sources = _Samples(listing, form, looked)
    for row in np.flatnonzero(~stored).tolist():
        source = sources.at(row)
        problem = left_out.get(source.key)
        if problem is None:
            detail = f"{source.path} is in no shard, and not in the list of problems"
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
    samples = _expected_samples(sources, rows, in_sources_order, place, broken)
    for done, some in enumerate(engine.each(compare_samples, _in_tasks(samples)), 1):
        deviations += some
        monitor.working("comparing samples", min(done * SAMPLES_A_TASK, len(found)), len(found))
    problems = tuple(Problem(each.kind, each.source.path, each.source.key, each.detail) for each in absent)
    return Compared(len(found), int(np.count_nonzero(~stored)), problems, deviations)


T = TypeVar("T")


def _in_tasks(samples: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(samples)
    return iter(lambda: list(islice(rest, SAMPLES_A_TASK)), [])


def _unknown(manifest_path: str, listing: Listing, left_out: Mapping[str, Listed]) -> list[Deviation]:
    """Return a Deviation for each sample that is listed as left out, but is not in the source."""
    known = {problem.key for problem in listing.problems}
    keys = [key for key in left_out if key not in known]
    is_there = listing.keys.rows_of([key.encode() for key in keys]) >= 0
    path, detail = SetFiles.at_manifest(manifest_path).problems, "is listed as left out, but is not in the source"
    return [Deviation(path, detail, key) for key, there in zip(keys, is_there.tolist(), strict=True) if not there]


class _Samples:
    """The samples of a Listing as the source of a set of this form has them."""

    def __init__(self, listing: Listing, form: str, looked: Sequence[Looked]) -> None:
        self._listing = listing
        self._looked = {each.path: _Looks.of(each) for each in looked}
        self._form = form
        self._labels = {row.id: row.label for row in listing.classes}

    def at(self, row: int) -> SourceSample:
        """Return the sample of this row."""
        listing, key, label = self._listing, self._listing.keys[row].decode("ascii"), self._listing.class_index[row]
        image_class = listing.classes[label] if listing.classes and label >= 0 else None
        blobs = [(part.role, blob) for part in listing.parts if (blob := listed_blob(listing, part, row)) is not None]
        by_role = dict(blobs)
        if self._form == "shards":
            return StretchSource(key, tuple(self._seen_stretch(blob) for _, blob in blobs))
        if self._form not in FILES_FORMS:
            xml, image = by_role.get(Role.ANNOTATION), self._seen(by_role[Role.IMAGE])
            return AnnotatedSource(key, image, xml, image_class, self._form, self._labels)
        own = (Role.IMAGE, Role.ROW)
        return FilesSource(
            key,
            listing.name_of(listing.part(Role.IMAGE), row),
            self._seen(by_role[Role.IMAGE]),
            tuple((role, blob) for role, blob in blobs if role not in own),
            by_role.get(Role.ROW),
            image_class,
            int(label) if listing.has_row_labels and label >= 0 else None,
        )

    def _seen_stretch(self, stretch: Blob) -> Blob | SeenStretch:
        """Return what was seen of the stretch in the scan; the stretch itself, if it was not seen."""
        looks = self._looked.get(stretch.archive) if isinstance(stretch, Stretch) else None
        if looks is None or not isinstance(stretch, Stretch):
            return stretch
        return SeenStretch(stretch.path, looks.within(stretch.offset, stretch.length, DIGEST_BYTES))

    def _seen(self, image: Blob) -> Blob | Seen:
        """Return what was seen of the image in the scan; the image itself, if it was not seen."""
        looks = self._looked.get(image.archive) if isinstance(image, Stretch) else None
        return looks.at(image) if looks is not None and isinstance(image, Stretch) else image


class _Looks(NamedTuple):
    """What was seen of the images in one archive, by their offsets, sorted."""

    offsets: Int64s
    order: Int64s
    values: bytes

    @classmethod
    def of(cls, looked: Looked) -> _Looks:
        offsets = np.frombuffer(looked.offsets, np.int64)
        order = np.argsort(offsets)
        return cls(offsets[order], order, looked.values)

    def at(self, image: Stretch) -> Seen:
        """Return what was seen of the image, which is one of them."""
        if not image.length:
            return seen(image.path, look(b""))
        return seen(image.path, self.within(image.offset, 1, SEEN_BYTES))

    def within(self, offset: int, length: int, value_bytes: int) -> bytes:
        """Return the values, of `value_bytes` each, of all that begins in a stretch of the archive."""
        first, last = np.searchsorted(self.offsets, [offset, offset + length])
        numbers = self.order[first:last].tolist()
        return b"".join(self.values[number * value_bytes : (number + 1) * value_bytes] for number in numbers)


def _expected_samples(
    samples: _Samples, rows: Rows, known: list[int], place: Int64s, broken: set[str]
) -> Iterator[ExpectedSample]:
    """Yield what to compare for each of the `known` rows; `place` has the row of each stored sample in the Listing.

    `broken` holds the keys of samples whose annotations should not have been stored.
    """
    for row in known:
        source = samples.at(int(place[row]))
        path, offset = rows.paths[rows.shard[row]], int(rows.offset[row])
        yield ExpectedSample(path, offset, source, source.key in broken, rows.stored(row))
