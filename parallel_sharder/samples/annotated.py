"""ImageNet's forms: a sample is its label, its image, and a JSON that is made from its annotation.

The forms differ only in the JSON: each has `fields` and an `encoder` of its own, in a module of this folder. How the
members get into the shard is the same, and is here. An image is read straight to its place in the shard's buffer.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from parallel_sharder.model import Chunk, ImageClass, Job, Listing, Role
from parallel_sharder.samples.form import Encoded, Field, JsonField, keys_of
from parallel_sharder.samples.members import SampleMembers
from parallel_sharder.samples.sample import Sample
from parallel_sharder.stores.blob import endings_of, packed_blobs
from parallel_sharder.tar.ustar import sum_of

if TYPE_CHECKING:
    from parallel_sharder.columns import Int64s
    from parallel_sharder.tar.writer import ShardFile


class Encoder(Protocol):
    """It makes the contents of samples."""

    def encode(self, sample: Sample, /) -> Encoded:
        """Return what is stored of the sample. Raises SampleError if it is not to be stored."""


class AnnotatedForm:
    """What the forms of ImageNet have in common."""

    meaning: str
    json_fields: Sequence[JsonField]
    has_boxes: bool
    datasets_version: str

    def fields(self, has_classes: bool) -> tuple[Field, ...]:
        """Return the fields of a sample in a set with classes, or in one without, in the tar's order."""
        raise NotImplementedError

    def hub_type(self, has_classes: bool) -> Mapping[str, Any]:
        """As form.Form says."""
        raise NotImplementedError

    def encoder(self, classes: Sequence[ImageClass]) -> Encoder:
        """Return the encoder for the samples of a set with these classes."""
        raise NotImplementedError

    def sample_bytes(self, listing: Listing) -> Int64s:
        """As form.Form says."""
        from parallel_sharder.samples.tar_sizes import largest_sample_bytes  # here, because workers need no numpy

        return largest_sample_bytes(listing, self.fields(bool(listing.classes)))

    def fields_of(self, listing: Listing, image_field: str | None) -> tuple[tuple[str, bool], ...]:
        """As form.Form says."""
        del image_field
        return tuple((field.name, True) for field in self.fields(bool(listing.classes)))

    def storing(self, job: Job, key_bytes: int) -> AnnotatedStoring:
        """As form.Form says."""
        return AnnotatedStoring(self, job, key_bytes)


class AnnotatedStoring:
    """The Storing of ImageNet's forms."""

    def __init__(self, form: AnnotatedForm, job: Job, key_bytes: int) -> None:
        self._places = job.places
        self._keeps_broken = job.on_bad == "keep"
        self._encoder = form.encoder(job.classes)
        self._members = SampleMembers(form.fields(bool(job.classes)), job.classes, key_bytes)

    def samples(self, chunk: Chunk) -> Iterator[Sample]:
        """As form.Storing says."""
        count = len(chunk.keys) // chunk.key_width
        keys, keys_of_images, keys_of_xmls = itertools.tee(keys_of(chunk), 3)
        parts = {part.role: part for part in chunk.parts}
        columns = zip(
            keys,
            endings_of(parts[Role.IMAGE], count),
            array("i", chunk.class_index),
            packed_blobs(parts[Role.IMAGE], keys_of_images, count, self._places),
            packed_blobs(parts[Role.ANNOTATION], keys_of_xmls, count, self._places),
            strict=True,
        )
        for key, ending, class_index, image, xml in columns:
            assert image is not None  # noqa: S101 - there is no row without
            yield Sample(key, ending, class_index, image, xml, self._keeps_broken)

    def store(self, sample: Sample, shard: ShardFile) -> Encoded:
        """As form.Storing says."""
        members, key, class_index, image_bytes = self._members, sample.key, sample.class_index, sample.image.length
        key_bytes = key.encode("ascii")
        key_sum = sum_of(key_bytes)
        xml = sample.xml
        room = shard.room(members.limit(class_index, image_bytes, 0 if xml is None else xml.length))
        before = members.before(key_bytes, key_sum, class_index, image_bytes)
        start = len(before)
        end = start + image_bytes
        sample.image_room = room[start:end]
        encoded = self._encoder.encode(sample)
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
