"""The worker: `write_chunk`, which turns one Chunk into a shard and returns its ShardRecord.

It is a top-level function of frozen values, so that any engine can run it. It writes one shard of the samples that the
chunk lists, in order, as the job's form stores them (see samples/form.py); a sample that cannot be stored is left out
and named in the record. Each file is read by its blob (see stores/blob.py). The worker does not know the plan, other
chunks, or the engine. It imports neither numpy nor scipy, which would cost each worker more memory and start-up
time than all the rest. Several threads of one process can write a chunk each.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from array import array
from dataclasses import dataclass
from typing import Any

from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import SampleError, SourceError, StoppedError, unwritable
from parallel_sharder.model import Chunk, Job, Problem, ShardRecord
from parallel_sharder.samples.form import StoredSample, Storing
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.samples.mended import MENDS
from parallel_sharder.stores import local as local  # so that a fork server imports it once, for all workers
from parallel_sharder.stores import store_of
from parallel_sharder.stores.readahead import CHECK_EVERY, ReadAhead
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
    storing = tools.storing
    stored = _Stored(tools)
    upcoming = (sample.blobs for sample in storing.samples(chunk))
    with ReadAhead(upcoming) as ahead, _shard_file(chunk, tools.job) as shard:
        for position, sample in enumerate(storing.samples(chunk)):
            if progress.stopped:
                raise StoppedError
            if position % CHECK_EVERY == 0:
                progress.tell(position, shard.tar_bytes)
                ahead.look(position, sample.blobs)
            try:
                contents, _, mended = storing.store(sample, shard)
            except SampleError as error:
                stored.leave_out(position, sample, error)
            else:
                for content in contents:
                    stored.json_bytes.append(len(content))
                if sample.problems or mended:
                    stored.note(sample, mended)
        progress.tell(len(chunk.keys) // chunk.key_width, shard.tar_bytes)
        return stored.completed(shard.finish())


@dataclass(frozen=True, slots=True)
class _Tools:
    """The objects that all chunks of a job are written with."""

    job: Job
    storing: Storing[Any]
    count_of_mends: int


@functools.lru_cache(maxsize=1)
def _tools(packed: bytes, key_bytes: int) -> _Tools:
    job = Job.unpack(packed)
    return _Tools(job, FORMS[job.form].storing(job, key_bytes), len(MENDS.get(job.form, ())))


class _Stored:
    """Notes of the samples of one shard: which were left out, their problems, sizes of JSON, and what was mended."""

    def __init__(self, tools: _Tools) -> None:
        self._on_bad = tools.job.on_bad
        self._left_out: list[int] = []
        self._problems: list[Problem] = []
        self.json_bytes = array("I")
        self._mended = (0,) * tools.count_of_mends

    def note(self, sample: StoredSample, mended: tuple[int, ...]) -> None:
        """Note the problems of a sample that was stored, and what was mended in it."""
        self._problems += sample.problems
        if any(mended):
            self._mended = tuple(map(operator.add, self._mended, mended))

    def leave_out(self, position: int, sample: StoredSample, error: SampleError) -> None:
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
