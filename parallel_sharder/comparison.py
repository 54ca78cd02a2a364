"""Comparison: a finished set's samples against the source's, each in exactly one shard and with the same bytes.

What the witnesses have found in the shards comes in as columns, and the source as a Listing; where the two meet,
workers read the source's files and compare digests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from parallel_sharder.blob import Blob, blob_at
from parallel_sharder.columns import Bytes, Int32s, Int64s, Keys
from parallel_sharder.destination import problems_beside
from parallel_sharder.engines import Engine
from parallel_sharder.model import IMAGE_SUFFIX, XML_SUFFIX, Deviation, Kind, Listing
from parallel_sharder.monitor import Monitor
from parallel_sharder.witness import ExpectedSample, ShardFindings, compare_samples

SAMPLES_A_TASK = 500
"""Samples of the source compared by one task: some 50 MB to read, for a message of some 100 KB."""


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
        """The samples of all shards, in the order of the `findings`."""
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
        """One that is about the sample in `row`."""
        return Deviation(self.paths[self.shard[row]], detail, self.keys[row].decode("ascii"), int(self.offset[row]))


class Compared(NamedTuple):
    """How many samples of a set were compared, how many of the source's rows are left out of it, and what deviates."""

    samples: int
    left_out: int
    deviations: list[Deviation]


def compare_with_source(
    manifest_path: str, rows: Rows, listing: Listing, annotations: str, engine: Engine, monitor: Monitor
) -> Compared:
    """Compare the samples of a set with the source's; `annotations` is the JSON's form.

    A sample of the source may be missing if the list of problems, beside the manifest, says so.
    """
    listed, without_annotation, deviations = _read_problems(manifest_path)

    place = np.minimum(np.searchsorted(listing.keys, rows.keys), len(listing) - 1)
    known = listing.keys[place] == rows.keys
    deviations += [rows.deviation(row, "is not in the source") for row in np.flatnonzero(~known).tolist()]
    stored = np.zeros(len(listing), np.bool_)
    stored[place[known]] = True
    for row in np.flatnonzero(~stored).tolist():
        key = listing.keys[row].decode("ascii")
        if key not in listed:
            deviations.append(
                Deviation(manifest_path, f"{_image(listing, row).path} is in no shard, and in no list of problems", key)
            )
    for row in np.flatnonzero(known).tolist():
        if rows.keys[row].decode("ascii") in listed:
            deviations.append(rows.deviation(row, "is listed as left out, and is there"))

    found = np.flatnonzero(known)
    in_sources_order = found[np.argsort(place[found], kind="stable")].tolist()  # one folder after the other
    samples = _expected_samples(listing, rows, in_sources_order, place, without_annotation, annotations)
    tasks = iter(lambda: list(islice(samples, SAMPLES_A_TASK)), [])
    for done, some in enumerate(engine.each(compare_samples, tasks), 1):
        deviations += some
        monitor.working("comparing samples", min(done * SAMPLES_A_TASK, len(found)), len(found))
    return Compared(len(found), int(np.count_nonzero(~stored)), deviations)


def _read_problems(manifest_path: str) -> tuple[set[str], set[str], list[Deviation]]:
    """Of the list of problems: the keys that are left out, and those stored without their broken annotation."""
    path = problems_beside(manifest_path)
    left_out, without_annotation, deviations = set(), set(), []
    try:
        with open(path, encoding="ascii") as file:
            for number, line in enumerate(file, 1):
                try:
                    problem = json.loads(line)
                    key, kind, is_left_out = problem["key"], problem["kind"], problem["left_out"]
                    if not isinstance(key, str):
                        raise TypeError(key)
                except (ValueError, KeyError, TypeError, RecursionError):
                    deviations.append(Deviation(path, f"line {number} is not a problem as the tool lists it"))
                    continue
                if is_left_out:
                    left_out.add(key)
                elif kind == Kind.BAD_ANNOTATION:
                    without_annotation.add(key)
    except FileNotFoundError:
        pass  # there were none
    except (OSError, ValueError) as error:
        deviations.append(Deviation(path, f"cannot be read: {error}"))
    return left_out, without_annotation, deviations


def _image(listing: Listing, row: int) -> Blob:
    extent = () if listing.image_extent is None else listing.image_extent[row].tolist()
    name = _name(listing, row, listing.image_ending, IMAGE_SUFFIX)
    return blob_at(listing.places[listing.image_place[row]], name, int(listing.image_size[row]), extent)


def _xml(listing: Listing, row: int) -> Blob | None:
    if listing.xml_place[row] < 0:
        return None
    extent = () if listing.xml_extent is None else listing.xml_extent[row].tolist()
    name = _name(listing, row, listing.xml_ending, XML_SUFFIX)
    return blob_at(listing.places[listing.xml_place[row]], name, int(listing.xml_size[row]), extent)


def _name(listing: Listing, row: int, ending: Bytes | None, usual: str) -> str:
    return str(listing.keys[row], "ascii") + (usual if ending is None else listing.endings[ending[row]])


def _expected_samples(
    listing: Listing,
    rows: Rows,
    known: list[int],
    place: Int64s,
    without_annotation: set[str],
    annotations: str,
) -> Iterator[ExpectedSample]:
    """What to compare: the `known` rows, each with the source's sample at its `place` in the Listing."""
    labels = {row.wnid: row.label for row in listing.classes}
    for row in known:
        there = int(place[row])
        key = rows.keys[row].decode("ascii")
        image_class = listing.classes[listing.class_index[there]] if listing.classes else None
        yield ExpectedSample(
            rows.paths[rows.shard[row]],
            int(rows.offset[row]),
            key,
            _image(listing, there),
            None if key in without_annotation else _xml(listing, there),
            image_class,
            annotations,
            labels,
            rows.image_digests[16 * row : 16 * row + 16],
            rows.json_digests[16 * row : 16 * row + 16],
        )
