"""The check of a shard: its tar, its samples, their order, and what the manifest says of the whole file.

This is the workers' share of `verify`. Takes what the manifest says of a shard, and reads the file once, from its first
byte to its last (see shard_reader). Returns what the shard holds and each deviation, and never raises an error because
of what is in the file. Neither this module nor what it imports writes shards, so that no mistake of the writer can hide
here. None of them imports numpy, which workers do not need.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from dataclasses import dataclass, field
from io import FileIO

import xxhash

from parallel_sharder.model import Deviation
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted
from parallel_sharder.verify.deviations import Deviations, EnoughError
from parallel_sharder.verify.sample_check import ExpectedSet, StoredSample, faults_in_sample, samples_of
from parallel_sharder.verify.shard_reader import ShardReader
from parallel_sharder.verify.tar_check import TarCheck


@dataclass(frozen=True, slots=True)
class ExpectedShard:
    """What the manifest says of the shard at `path`, and of the set that it belongs to.

    `md5` is "" if the manifest has none. `with_digests` asks for the digests of the samples, to compare
    them with the source.
    """

    path: str
    samples: int
    file_bytes: int
    tar_bytes: int
    xxh3_128: str
    md5: str
    of_set: ExpectedSet
    with_digests: bool


@dataclass(slots=True)
class ShardFindings:
    """What a shard holds, with one row for each sample in the shard's order, and what is wrong with it.

    `keys` are joined by newlines. `offsets` (native int64) are the offsets of each sample's first header.
    `image_digests` and `json_digests` hold 16 bytes a sample, the XXH3-128 of the member, if they were asked for;
    `other_digests` likewise, that of the names and digests of further members.
    `labels` counts samples by label. `first` and `last` are the places of the first and the last sample in the order of
    the set.
    """

    path: str
    keys: str = ""
    offsets: bytes = b""
    image_digests: bytes = b""
    json_digests: bytes = b""
    other_digests: bytes = b""
    labels: Counter[int] = field(default_factory=Counter)
    first: tuple[int, str] | None = None
    last: tuple[int, str] | None = None
    deviations: tuple[Deviation, ...] = ()


def check_shard(expected: ExpectedShard) -> ShardFindings:
    """Read the shard from its first byte to its last, and return what it holds and what is wrong with it.

    Never raises an error because of what the file holds. A file that cannot be read is a deviation.
    """
    return _ShardCheck(expected).run()


class _ShardCheck:
    """The check of one shard while it runs."""

    def __init__(self, expected: ExpectedShard) -> None:
        self._expected = expected
        self._findings = ShardFindings(expected.path)
        self._deviations = Deviations(expected.path)
        self._keys: list[str] = []
        self._offsets = array("q")
        self._image_digests = bytearray()
        self._json_digests = bytearray()
        self._other_digests = bytearray()

    def run(self) -> ShardFindings:
        try:
            self._check_path()
        except EnoughError:
            self._deviations.note_end()
        findings = self._findings
        findings.keys, findings.offsets = "\n".join(self._keys), self._offsets.tobytes()
        findings.image_digests, findings.json_digests = bytes(self._image_digests), bytes(self._json_digests)
        findings.other_digests = bytes(self._other_digests)
        findings.deviations = self._deviations.found()
        return findings

    def _check_path(self) -> None:
        try:
            with store_of(self._expected.path).open(self._expected.path) as file:
                self._check_file(file)
        except FileNotFoundError:
            self._deviations.note("is missing")
        except OSError as error:
            self._deviations.note(f"cannot be read: {error.strerror or error}")

    def _check_file(self, file: FileIO) -> None:
        """Check the samples, then what the manifest says of the whole file."""
        expected, size = self._expected, os.fstat(file.fileno()).st_size
        shard = ShardReader(file, expected.path, expected.tar_bytes, with_md5=bool(expected.md5))
        self._check_samples(shard)
        if size == expected.file_bytes:
            shard.read_on()
            size = shard.file_bytes
        self._compare_counts("byte", size, expected.file_bytes)
        if size == expected.file_bytes:
            self._compare_digests(shard)
        if expected.file_bytes != expected.tar_bytes:
            if shard.is_too_long:
                limit = counted(expected.tar_bytes, "byte")
                self._deviations.note(f"has more before compression than the {limit} in the manifest")
            else:
                self._compare_counts("byte", shard.position, expected.tar_bytes, " before compression")
        self._compare_counts("sample", len(self._keys), expected.samples)

    def _compare_digests(self, shard: ShardReader) -> None:
        expected = self._expected.xxh3_128, self._expected.md5
        for name, digest, expected_digest in zip(("XXH3-128", "MD5"), shard.digests, expected, strict=True):
            if digest != expected_digest:
                self._deviations.note(f"has the {name} {digest}; the manifest says {expected_digest}")

    def _compare_counts(self, noun: str, found: int, expected: int, where: str = "") -> None:
        if found != expected:
            self._deviations.note(f"has {counted(found, noun)}{where}; the manifest says {expected:,}")

    def _check_samples(self, shard: ShardReader) -> None:
        """Check all members and samples, up to the tar's end or to where nothing that follows can be trusted."""
        expected = self._expected
        tar = TarCheck(shard, expected.tar_bytes, self._deviations, with_digests=expected.with_digests)
        for sample in samples_of(tar.members(), expected.of_set):
            for fault in faults_in_sample(sample, expected.of_set):
                self._deviations.note(fault, sample.key, sample.offset)
            if sample.has_key:  # without one it is no sample
                if expected.of_set.is_ordered:
                    self._check_order(sample)
                self._add_row(sample)

    def _add_row(self, sample: StoredSample) -> None:
        self._keys.append(sample.key)
        self._offsets.append(sample.offset)
        label = sample.label(self._expected.of_set)
        if label is not None and self._expected.of_set.classes:
            self._findings.labels[label] += 1
        if self._expected.with_digests:
            self._image_digests += sample.image(self._expected.of_set).digest
            self._json_digests += sample.json.digest
            self._other_digests += sample.digest_of_others

    def _check_order(self, sample: StoredSample) -> None:
        seed, key = self._expected.of_set.seed, sample.key
        place = (0 if seed is None else xxhash.xxh3_64_intdigest(key.encode("ascii"), seed), key)
        findings = self._findings
        if findings.last is not None and place <= findings.last:
            self._deviations.note(f"does not follow {findings.last[1]} in the order of the set", key, sample.offset)
        findings.first = findings.first or place
        findings.last = place
