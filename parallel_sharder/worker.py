"""A worker's whole job: one Chunk to its ShardRecord.

A top-level function of plain values, so that any engine can run it. It reads what the chunk lists, in order, and
writes one shard; a sample that cannot be stored is left out and named in the record. It knows nothing of the plan,
of other chunks, or of who asked. It imports neither numpy nor scipy, which would cost each worker more memory and
start-up than all the rest.
"""

from __future__ import annotations

import dataclasses
import functools
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import xxhash

from parallel_sharder.blob import Blob
from parallel_sharder.board import Board
from parallel_sharder.errors import DestinationError, SampleError, StoppedError
from parallel_sharder.members import sample_members
from parallel_sharder.model import (
    IMAGE_SUFFIX,
    XML_SUFFIX,
    Chunk,
    ImageClass,
    Job,
    Kind,
    Problem,
    ShardRecord,
    printable,
)
from parallel_sharder.tarwriter import ShardFile

_READ_BYTES = 1 << 20


class _Row(NamedTuple):
    key: str
    image: Blob
    xml: Blob | None
    image_class: ImageClass | None


def write_chunk(chunk: Chunk, slot: int, board: Board) -> ShardRecord:
    """Write the chunk's shard and return what is in it, telling `board` at `slot` how far it is.

    Raises DestinationError if the shard cannot be written, and StoppedError if the board says so; nothing is left under
    the shard's name then.
    """
    try:
        return _write(chunk, slot, board)
    except OSError as error:  # reading never raises it, so it is about the shard
        raise DestinationError(
            f"{chunk.path} cannot be written: {error.strerror or error}. Mend that, or choose another --dest."
        ) from error


def file_digest(path: str) -> str:
    """The XXH3-128 of a file, in hex; empty if it cannot be read, which is no file's digest."""
    digest = xxhash.xxh3_128()
    try:
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def _write(chunk: Chunk, slot: int, board: Board) -> ShardRecord:
    job = _job(chunk.job)
    left_out: list[int] = []
    problems: list[Problem] = []
    with ShardFile(
        chunk.path, chunk.number, compression=job.compression, compression_threads=job.compression_threads
    ) as shard:
        for position, row in enumerate(_rows(chunk, job)):
            if board.stopped:
                raise StoppedError
            try:
                shard.write(sample_members(row.key, row.image, row.xml, row.image_class))
            except SampleError as error:
                left_out.append(position)
                problems.append(Problem(Kind(error.kind), printable(error.path), row.key, error.detail))
            board.write(slot, position + 1, shard.tar_bytes)
        record = shard.finish()
    return dataclasses.replace(record, left_out=tuple(left_out), problems=tuple(problems))


@functools.lru_cache(maxsize=1)
def _job(packed: bytes) -> Job:
    return Job.unpack(packed)


def _rows(chunk: Chunk, job: Job) -> Iterator[_Row]:
    width = chunk.key_width
    keys = (
        chunk.keys[start : start + width].rstrip(b"\0").decode("ascii") for start in range(0, len(chunk.keys), width)
    )
    columns = zip(
        keys,
        array("i", chunk.class_index),
        array("i", chunk.folder),
        array("q", chunk.image_size),
        array("i", chunk.xml_folder),
        array("q", chunk.xml_size),
        strict=True,
    )
    for key, class_index, folder, image_size, xml_folder, xml_size in columns:
        yield _Row(
            key,
            Blob(f"{job.folders[folder]}/{key}{IMAGE_SUFFIX}", image_size),
            Blob(f"{job.folders[xml_folder]}/{key}{XML_SUFFIX}", xml_size) if xml_folder >= 0 else None,
            job.classes[class_index] if class_index >= 0 else None,
        )
