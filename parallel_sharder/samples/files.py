"""The forms `folders` and `table`: a sample is its label, its image, further files of its own, and a JSON.

    <key>.cls   the label, if the sample has one      <key>.txt ...   each side file that the sample has
    <key>.jpg   the image, in the field of its ending <key>.json      label, name of the class, file name or row

All sizes are known beforehand. Images and side files are read straight to their places in the shard's buffer. A JSON
among the side files is stored as it is, in place of ours. Of a table, each row is the text of what follows the class in
the JSON; of class folders, that is the file's name.
"""

from __future__ import annotations

import itertools
import json
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Chunk, ImageClass, Job, Listing, Problem, Role
from parallel_sharder.samples.form import ByClass, Encoded, JsonField, keys_of
from parallel_sharder.samples.image import examine
from parallel_sharder.samples.image_fields import FIELDS, FORMATS
from parallel_sharder.stores.blob import Blob, endings_of, names_of, packed_blobs
from parallel_sharder.tar.ustar import BLOCK_BYTES, PADDING, HeaderTemplate, member_bytes
from parallel_sharder.text import shown

if TYPE_CHECKING:
    from parallel_sharder.columns import Int64s
    from parallel_sharder.tar.writer import ShardFile

OURS = frozenset((Role.IMAGE, Role.ROW))
"""The roles of parts that are no side files."""

_NOTHING = Encoded(())


def json_begin(image_class: ImageClass | None) -> bytes:
    """Return how the JSON of a sample of this class begins, up to the file's name."""
    of_class = {} if image_class is None else {"cls": image_class.label, "cname": image_class.name}
    return (json.dumps(of_class)[:-1] + (", " if of_class else "")).encode("ascii")


def row_json_begin(label: int) -> bytes:
    """Return how the JSON of a sample begins whose class is in no table; the row has the name of its class."""
    return b"{" if label < 0 else b'{"cls": %d, ' % label


def file_json(begin: bytes, name: str) -> bytes:
    """Return the JSON of the sample whose image's file has this name."""
    return b'%b"filename": %b}' % (begin, json.dumps(shown(name)).encode("ascii"))


def row_json(begin: bytes, row: bytes) -> bytes:
    """Return the JSON of a sample whose row adds this text, which is not empty."""
    return b"%b%b}" % (begin, row)


class FilesForm:
    """The Form of samples that are made of whole files, by the names `folders` and `table`."""

    json_fields: Sequence[JsonField] = ()
    has_boxes = False
    datasets_version = "4.7.0"

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def hub_type(self, has_classes: bool) -> Mapping[str, Any]:
        """As form.Form says."""
        del has_classes  # the JSON has the columns of a row, or is a file of the source
        return {"dtype": "json"}

    def sample_bytes(self, listing: Listing) -> Int64s:
        """As form.Form says; the sizes are exact."""
        from parallel_sharder.samples.file_sizes import exact_sample_bytes  # here, because workers need no numpy

        return exact_sample_bytes(listing)

    def fields_of(self, listing: Listing, image_field: str | None) -> tuple[tuple[str, bool], ...]:
        """As form.Form says."""
        from parallel_sharder.samples.file_sizes import fields_of

        return fields_of(listing, image_field)

    def storing(self, job: Job, key_bytes: int) -> FilesStoring:
        """As form.Form says."""
        del key_bytes
        return FilesStoring(job)


class FilesSample:
    """One row of a Chunk. `files` has the field and the blob of each file, in the tar's order; the image is first."""

    __slots__ = ("class_index", "files", "key", "name", "problems", "row")

    def __init__(
        self, key: str, class_index: int, name: str, files: tuple[tuple[str, Blob], ...], row: Blob | None
    ) -> None:
        self.key = key
        self.class_index = class_index
        self.name = name
        self.files = files
        self.row = row
        self.problems: tuple[Problem, ...] = ()

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """As form.StoredSample says."""
        of_files = tuple(blob for _, blob in self.files)
        return of_files if self.row is None else (self.row, *of_files)

    def problem(self, error: SampleError, *, kept: bool = False) -> Problem:
        """As form.StoredSample says."""
        return Problem(Kind(error.kind), error.path, self.key, error.detail, kept)


class _Labels(NamedTuple):
    """What is stored of a class: its label as text, and how the JSON begins."""

    text: bytes
    begin: bytes


class FilesStoring:
    """The Storing of samples that are made of whole files."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._header = HeaderTemplate().header
        self._of_class = ByClass(_labels, job.classes)

    def samples(self, chunk: Chunk) -> Iterator[FilesSample]:
        """As form.Storing says."""
        keys = list(keys_of(chunk))
        count = len(keys)
        parts = {part.role: part for part in chunk.parts}
        image = parts[Role.IMAGE]
        blobs = {role: packed_blobs(part, keys, count, self._job.places) for role, part in parts.items()}
        nothing: Iterator[Blob | None] = itertools.repeat(None, count)
        sides = sorted((role for role in parts if role not in OURS), key=lambda role: role == "json")  # which is last
        columns = zip(
            keys,
            array("i", chunk.class_index),
            names_of(image, keys, count),
            endings_of(image, count),
            blobs[Role.IMAGE],
            blobs.get(Role.ROW, nothing),
            zip(*(blobs[role] for role in sides), strict=True) if sides else itertools.repeat((), count),
            strict=True,
        )
        for key, class_index, name, ending, image_blob, row, of_sides in columns:
            assert image_blob is not None  # noqa: S101 - there is no row without
            field = self._job.image_field or FIELDS[ending.lower()]
            files = [(field, image_blob)]
            files += [(side, blob) for side, blob in zip(sides, of_sides, strict=True) if blob is not None]
            yield FilesSample(key, class_index, name, tuple(files), row)

    def store(self, sample: FilesSample, shard: ShardFile) -> Encoded:
        """As form.Storing says."""
        label, begin = self._labels(sample.class_index)
        fields = [field for field, _ in sample.files]
        text = b""
        if "json" not in fields:
            text = file_json(begin, sample.name) if sample.row is None else row_json(begin, sample.row.read())
        members = [member_bytes(blob.length) for _, blob in sample.files]
        size = sum(members) + (member_bytes(len(label)) if label else 0) + (member_bytes(len(text)) if text else 0)
        room = shard.room(size)
        position = self._put(room, 0, f"{sample.key}.cls", label) if label else 0
        for (field, blob), whole in zip(sample.files, members, strict=True):
            start, end = position + BLOCK_BYTES, position + BLOCK_BYTES + blob.length
            room[position:start] = self._header(f"{sample.key}.{field}", blob.length)
            blob.read_into(room[start:end])
            room[end : position + whole] = PADDING[blob.length % BLOCK_BYTES]
            if blob is sample.files[0][1]:
                self._examine(sample, field, room[start:end])
            position += whole
        if text:
            self._put(room, position, f"{sample.key}.json", text)
        shard.take(size)
        return _NOTHING

    def _labels(self, class_index: int) -> _Labels:
        if self._job.has_row_labels:
            return _Labels(b"%d" % class_index if class_index >= 0 else b"", row_json_begin(class_index))
        return self._of_class[class_index]

    def _put(self, room: memoryview, position: int, name: str, content: bytes) -> int:
        """Lay out a member of this content, and return the position behind it."""
        end = position + member_bytes(len(content))
        room[position:end] = self._header(name, len(content)) + content + PADDING[len(content) % BLOCK_BYTES]
        return end

    def _examine(self, sample: FilesSample, field: str, data: memoryview) -> None:
        """Note what is wrong with the image. Raises SampleError for a broken one, unless broken samples are kept."""
        found, path = examine(data), sample.files[0][1].path
        is_bad = found is not None and found[0] is Kind.BAD_IMAGE
        if found is not None and is_bad:
            error = SampleError(Kind.BAD_IMAGE, path, found[1])
            if self._job.on_bad != "keep":
                raise error
            sample.problems += (sample.problem(error, kept=True),)
            return
        name = found[1] if found is not None and found[0] is Kind.OTHER_FORMAT else "JPEG"
        own = FIELDS.get(os.path.splitext(path)[1].lower(), field)  # one field for all formats is what was asked for
        if name != FORMATS.get(own, name):
            sample.problems += (Problem(Kind.OTHER_FORMAT, path, sample.key, f"{name}, in the field {field}"),)
        elif found is not None and found[0] is Kind.CMYK:
            sample.problems += (Problem(Kind.CMYK, path, sample.key, found[1]),)


def _labels(image_class: ImageClass | None) -> _Labels:
    text = b"" if image_class is None else b"%d" % image_class.label
    return _Labels(text, json_begin(image_class))
