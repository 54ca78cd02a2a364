"""The worker: `write_chunk`, which turns one Chunk into a shard and returns its ShardRecord.

It is a top-level function of frozen values, so that any engine can run it. It reads the files that the chunk lists, in
order, and writes one shard; a sample that cannot be stored is left out and named in the record. Each file is read by
its blob (see stores/blob.py), an image straight to its place in the shard's buffer. The worker does not know the plan,
other chunks, or the engine. It imports neither numpy nor scipy, which would cost each worker more memory and start-up
time than all the rest. Several threads of one process can write a chunk each.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import SampleError, SourceError, StoppedError, unwritable
from parallel_sharder.model import Chunk, Job, Problem, Role, ShardRecord
from parallel_sharder.samples.form import Encoded, Encoder
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.samples.members import SampleMembers
from parallel_sharder.samples.mended import MENDS
from parallel_sharder.samples.sample import Sample
from parallel_sharder.stores import local as local  # so that a fork server imports it once, for all workers
from parallel_sharder.stores import store_of
from parallel_sharder.stores.blob import endings_of, packed_blobs
from parallel_sharder.stores.readahead import CHECK_EVERY, ReadAhead
from parallel_sharder.tar.ustar import sum_of
from parallel_sharder.tar.writer import ShardFile


def write_chunk(chunk: Chunk, progress: Progress) -> ShardRecord:
    """Write the chunk's shard and return its record; `progress` is told how many samples and bytes are done.

    Raises DestinationError if the shard cannot be written, and StoppedError if `progress` says that the run is stopped.
    After either, no file of this call is left.
    """
    try:
        return _write(chunk, progress)
    except OSError as error:  # reading never raises it, so it is about the shard
        raise unwritable(chunk.path, error) from error


def _write(chunk: Chunk, progress: Progress) -> ShardRecord:
    tools = _tools(chunk.job, chunk.key_width)
    stored = _Stored(tools)
    ahead = ReadAhead(sample.blobs for sample in _samples(chunk, tools.job))
    with _shard_file(chunk, tools.job) as shard:
        for position, sample in enumerate(_samples(chunk, tools.job)):
            if progress.stopped:
                raise StoppedError
            if position % CHECK_EVERY == 0:
                progress.tell(position, shard.tar_bytes)
                ahead.look()
            if ahead.is_on:
                ahead.before(position)
            try:
                contents, _, mended = _store(sample, tools, shard)
            except SampleError as error:
                stored.leave_out(position, sample, error)
            else:
                for content in contents:
                    stored.json_bytes.append(len(content))
                if sample.problems or mended:
                    stored.note(sample, mended)
        progress.tell(len(chunk.keys) // chunk.key_width, shard.tar_bytes)
        return stored.completed(shard.finish())


def _store(sample: Sample, tools: _Tools, shard: ShardFile) -> Encoded:
    """Store one sample, and return its encoded form. Raises SampleError if the sample cannot be stored."""
    members, key, class_index, image_bytes = tools.members, sample.key, sample.class_index, sample.image.length
    key_bytes = key.encode("ascii")
    key_sum = sum_of(key_bytes)
    xml = sample.xml
    room = shard.room(members.limit(class_index, image_bytes, 0 if xml is None else xml.length))
    before = members.before(key_bytes, key_sum, class_index, image_bytes)
    start = len(before)
    end = start + image_bytes
    sample.image_room = room[start:end]
    encoded = tools.encoder.encode(sample)
    contents, odd, _ = encoded
    if odd:
        sample.note_odd(odd)
    sample.read_image()
    behind = members.behind(key_bytes, key_sum, image_bytes, contents)
    size = end + len(behind)
    room[:start] = before
    room[end:size] = behind
    shard.take(size)
    return encoded


@dataclass(frozen=True, slots=True)
class _Tools:
    """The objects that all chunks of a job are written with."""

    job: Job
    encoder: Encoder
    members: SampleMembers
    count_of_mends: int


@functools.lru_cache(maxsize=1)
def _tools(packed: bytes, key_bytes: int) -> _Tools:
    job = Job.unpack(packed)
    form = FORMS[job.form]
    members = SampleMembers(form.fields(bool(job.classes)), job.classes, key_bytes)
    return _Tools(job, form.encoder(job.classes), members, len(MENDS.get(job.form, ())))


class _Stored:
    """Notes of the samples of one shard: which were left out, their problems, sizes of JSON, and what was mended."""

    def __init__(self, tools: _Tools) -> None:
        self._on_bad = tools.job.on_bad
        self._left_out: list[int] = []
        self._problems: list[Problem] = []
        self.json_bytes = array("I")
        self._mended = (0,) * tools.count_of_mends

    def note(self, sample: Sample, mended: tuple[int, ...]) -> None:
        """Note the problems of a sample that was stored, and what was mended in it."""
        self._problems += sample.problems
        if any(mended):
            self._mended = tuple(map(operator.add, self._mended, mended))

    def leave_out(self, position: int, sample: Sample, error: SampleError) -> None:
        """Note that a sample was left out. Raises SourceError with --on-bad fail."""
        if self._on_bad == "fail":
            raise SourceError(
                f"{error.path}: {error.detail} (--on-bad fail). Mend it and start with --overwrite, "
                "or choose --on-bad skip or keep with it."
            ) from error
        self._left_out.append(position)
        self._problems.append(sample.problem(error))

    def completed(self, record: ShardRecord) -> ShardRecord:
        """Return the record of the shard with these notes added."""
        return dataclasses.replace(
            record,
            left_out=tuple(self._left_out),
            problems=tuple(self._problems),
            json_bytes=self.json_bytes.tobytes(),
            mended=self._mended,
        )


def _shard_file(chunk: Chunk, job: Job) -> ShardFile:
    file = store_of(chunk.path).create(chunk.path, md5=job.md5, replaces_damaged=chunk.replaces_damaged)
    threads = job.compression_threads
    return ShardFile(file, chunk.path, chunk.number, compression=job.compression, compression_threads=threads)


def _samples(chunk: Chunk, job: Job) -> Iterator[Sample]:
    """Yield the chunk's samples, in order."""
    packed, width = chunk.keys, chunk.key_width
    count = len(packed) // width
    each_key = (packed[start : start + width].rstrip(b"\0").decode("ascii") for start in range(0, len(packed), width))
    keys, keys_of_images, keys_of_xmls = itertools.tee(each_key, 3)
    parts = {part.role: part for part in chunk.parts}
    columns = zip(
        keys,
        endings_of(parts[Role.IMAGE], count),
        array("i", chunk.class_index),
        packed_blobs(parts[Role.IMAGE], keys_of_images, count, job.places),
        packed_blobs(parts[Role.ANNOTATION], keys_of_xmls, count, job.places),
        strict=True,
    )
    keeps_broken = job.on_bad == "keep"
    for key, ending, class_index, image, xml in columns:
        assert image is not None  # noqa: S101 - there is no row without
        yield Sample(key, ending, class_index, image, xml, keeps_broken)
