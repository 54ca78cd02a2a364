"""A worker's whole job: one Chunk to its ShardRecord.

A top-level function of plain values, so that any engine can run it. It reads what the chunk lists, in order, and
writes one shard; a sample that cannot be stored is left out and named in the record. It knows nothing of the plan,
of other chunks, or of who asked. It imports neither numpy nor scipy, which would cost each worker more memory and
start-up than all the rest.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import xxhash

from parallel_sharder import annotation
from parallel_sharder.ahead import ReadAhead
from parallel_sharder.blob import Blob, blobs_of, endings_of
from parallel_sharder.board import Board
from parallel_sharder.errors import DestinationError, SampleError, SourceError, StoppedError
from parallel_sharder.forms import boxes
from parallel_sharder.forms.boxes import Mended
from parallel_sharder.image import examine, size_of
from parallel_sharder.members import Late, annotated_json, json_end, plain_json, sample_members
from parallel_sharder.model import (
    Chunk,
    ImageClass,
    Job,
    Kind,
    Problem,
    Role,
    ShardRecord,
)
from parallel_sharder.regular import open_regular
from parallel_sharder.shapes import Shapes
from parallel_sharder.tarwriter import ShardFile

_READ_BYTES = 1 << 20

_shapes = Shapes()
"""The annotations' shapes that this process has met; what it has not met, it parses."""


class _Row(NamedTuple):
    key: str
    ending: str
    image: Blob
    xml: Blob | None
    image_class: ImageClass | None

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """What is read of it, in order."""
        return (self.image,) if self.xml is None else (self.xml, self.image)


def write_chunk(chunk: Chunk, slot: int, board: Board) -> ShardRecord:
    """Write the chunk's shard and return what is in it, telling `board` at `slot` how far it is.

    Raises DestinationError if the shard cannot be written, and StoppedError if the board says so; nothing is left under
    the shard's name then.
    """
    try:
        return _write(chunk, slot, board)
    except OSError as error:  # reading never raises it, so it is about the shard
        raise DestinationError(f"{chunk.path} cannot be written: {error.strerror or error}.") from error


def file_digest(path: str) -> str:
    """The XXH3-128 of a file, in hex; empty if it cannot be read, which is no file's digest."""
    digest = xxhash.xxh3_128()
    try:
        _read_through(path, digest)
    except OSError:
        return ""
    return digest.hexdigest()


def digests_of(path: str) -> tuple[str, str, str]:
    """The path of a file, its MD5 and its XXH3-128, in hex. Raises OSError if it cannot be read."""
    md5, xxh3_128 = hashlib.md5(usedforsecurity=False), xxhash.xxh3_128()
    _read_through(path, md5, xxh3_128)
    return path, md5.hexdigest(), xxh3_128.hexdigest()


def _read_through(path: str, *digests: hashlib._Hash | xxhash.xxh3_128) -> None:
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        while block := file.read(_READ_BYTES):
            for digest in digests:
                digest.update(block)


def _write(chunk: Chunk, slot: int, board: Board) -> ShardRecord:
    job = _job(chunk.job)
    left_out: list[int] = []
    problems: list[Problem] = []
    json_bytes = array("I")
    mended = Mended()
    store: Callable[[_Row, ShardFile, Job], _Stored] = _store
    if job.annotations == "boxes":
        store = functools.partial(_store_with_boxes, labels={row.id: row.label for row in job.classes})
    ahead = ReadAhead(row.blobs for row in _rows(chunk, job))
    with ShardFile(
        chunk.path,
        chunk.number,
        compression=job.compression,
        compression_threads=job.compression_threads,
        md5=job.md5,
        mends=chunk.mends,
    ) as shard:
        for position, row in enumerate(_rows(chunk, job)):
            if board.stopped:
                raise StoppedError
            ahead.before(position)
            try:
                found, size, its_mended = store(row, shard, job)
            except SampleError as error:
                if job.on_bad == "fail":
                    raise SourceError(
                        f"{error.path}: {error.detail} (--on-bad fail). Mend it and start with --overwrite, "
                        "or choose --on-bad skip or keep with it."
                    ) from error
                left_out.append(position)
                problems.append(_problem(row, error))
            else:
                problems += found
                json_bytes.append(size)
                if its_mended is not _NOTHING_MENDED and any(its_mended):
                    mended = mended.plus(its_mended)
            board.write(slot, position + 1, shard.tar_bytes)
        record = shard.finish()
    return dataclasses.replace(
        record,
        left_out=tuple(left_out),
        problems=tuple(problems),
        json_bytes=json_bytes.tobytes(),
        mended=tuple(mended) if job.annotations == "boxes" else (),
    )


_NOTHING_MENDED = Mended()

_Stored = tuple[list[Problem], int, Mended]
"""A stored sample: what is worth knowing about it, the size of its JSON, and what was mended for that."""


def _store(row: _Row, shard: ShardFile, job: Job) -> _Stored:
    """Store one sample. Raises SampleError if it is not to be stored."""
    problems: list[Problem] = []
    metadata = plain_json(row.image_class)
    found = _annotated(_metadata, row, job, problems)
    if found is not None:
        metadata, odd = found
        problems += _oddities(row, odd)
    _store_image(row, _ExaminedImage(row.image), shard, metadata, job, problems)
    return problems, len(metadata), _NOTHING_MENDED


def _store_with_boxes(row: _Row, shard: ShardFile, job: Job, *, labels: Mapping[str, int]) -> _Stored:
    """The same with the boxes form of the JSON, which can need what is in the image's header."""
    problems: list[Problem] = []
    described = _annotated(_described, row, job, problems)
    needs_size = described is None or boxes.size_in(described) is None
    image = _MeasuredImage(row.image) if needs_size else _ExaminedImage(row.image)
    made = boxes.Made(b"", _NOTHING_MENDED, ())

    def make() -> bytes:
        nonlocal made
        made = boxes.boxes_json(row.key, row.image_class, described, image.size, labels, row.ending)
        return made.text

    limit = boxes.limit(row.image_class, len(row.key), 0 if described is None or row.xml is None else row.xml.length)
    _store_image(row, image, shard, Late(limit, make), job, problems)
    problems += _oddities(row, made.odd)
    return problems, len(made.text), made.mended


T = TypeVar("T")


def _annotated(read: Callable[[_Row, Blob], T], row: _Row, job: Job, problems: list[Problem]) -> T | None:
    """What `read` makes of the row's annotation; None without one, and for a broken one that counts as none: that is
    a problem then.
    """
    if row.xml is None:
        return None
    try:
        return read(row, row.xml)
    except SampleError as error:
        if job.on_bad != "keep" or error.kind != Kind.BAD_ANNOTATION:
            raise
        problems.append(_problem(row, error, kept=True))
        return None


def _oddities(row: _Row, odd: Iterable[tuple[Kind, str]]) -> list[Problem]:
    return [Problem(kind, row.xml.path, row.key, detail) for kind, detail in odd] if row.xml else []


def _store_image(
    row: _Row, image: _ExaminedImage, shard: ShardFile, metadata: bytes | Late, job: Job, problems: list[Problem]
) -> None:
    """Store the sample with this JSON, and add what is worth knowing about the image to the problems."""
    try:
        shard.write(sample_members(row.key, image, metadata, row.image_class))
    except SampleError as error:
        if job.on_bad != "keep" or error.kind != Kind.BAD_IMAGE:
            raise
        problems.append(_problem(row, error, kept=True))
        shard.write(sample_members(row.key, row.image, metadata, row.image_class))
    if image.found is not None:
        problems.append(Problem(image.found[0], row.image.path, row.key, image.found[1]))


def _metadata(row: _Row, xml: Blob) -> tuple[bytes, list[tuple[Kind, str]]]:
    """The JSON of an annotated sample, and what is odd about the annotation."""
    text = _read(xml)
    filled = _shapes.fill(text, row.key, json_end(row.image_class))
    if filled is not None:
        return filled, []
    document = annotation.parse(text, xml.path)
    odd = annotation.oddities(document, row.key)
    try:
        return annotated_json(document, row.image_class), odd
    except RecursionError as error:
        raise SampleError(Kind.BAD_ANNOTATION, xml.path, "its elements are nested too deeply") from error


def _described(_: _Row, xml: Blob) -> annotation.Described:
    text = _read(xml)
    return _shapes.describe(text) or annotation.describe(annotation.parse(text, xml.path))


def _read(xml: Blob) -> bytes:
    if xml.length > annotation.SIZE_LIMIT_BYTES:
        detail = f"{xml.length:,} bytes; an annotation has at most {annotation.SIZE_LIMIT_BYTES:,}"
        raise SampleError(Kind.BAD_ANNOTATION, xml.path, detail)
    return xml.read()


class _ExaminedImage:
    """An image that is looked at when it has been read: `found` is what is worth knowing, and no fault.

    `size` in pixels is not looked at, and 0 by 0.
    """

    size = 0, 0

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.length = blob.length
        self.found: tuple[Kind, str] | None = None

    def read_into(self, view: memoryview) -> None:
        """Fill `view`. Raises SampleError as Blob does, and for a broken image."""
        self._blob.read_into(view)
        found = examine(view)
        if found is not None and found[0] is Kind.BAD_IMAGE:
            raise SampleError(Kind.BAD_IMAGE, self._blob.path, found[1])
        self.found = found


class _MeasuredImage(_ExaminedImage):
    """One whose `size` is looked at too; 0 by 0 if it cannot be found."""

    def read_into(self, view: memoryview) -> None:
        """Fill `view`. Raises SampleError as _ExaminedImage does, and if no size can be found."""
        try:
            super().read_into(view)
        finally:  # a broken one can be kept, and may have a size
            self.size = size_of(view) or (0, 0)
        if self.size == (0, 0):
            raise SampleError(Kind.BAD_IMAGE, self._blob.path, "its width and height cannot be found in its header")


def _problem(row: _Row, error: SampleError, *, kept: bool = False) -> Problem:
    return Problem(Kind(error.kind), error.path, row.key, error.detail, kept)


@functools.lru_cache(maxsize=1)
def _job(packed: bytes) -> Job:
    return Job.unpack(packed)


def _rows(chunk: Chunk, job: Job) -> Iterator[_Row]:
    width = chunk.key_width
    keys = [
        chunk.keys[start : start + width].rstrip(b"\0").decode("ascii") for start in range(0, len(chunk.keys), width)
    ]
    parts = {part.role: part for part in chunk.parts}
    columns = zip(
        keys,
        endings_of(parts[Role.IMAGE], len(keys)),
        blobs_of(parts[Role.IMAGE], keys, job.places),
        blobs_of(parts[Role.ANNOTATION], keys, job.places),
        array("i", chunk.class_index),
        strict=True,
    )
    for key, ending, image, xml, class_index in columns:
        assert image is not None  # noqa: S101 - there is no row without
        yield _Row(key, ending, image, xml, job.classes[class_index] if class_index >= 0 else None)
