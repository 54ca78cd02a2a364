"""A sample of the source: workers compare it with the stored one, or with its entry in the list of problems.

This is the workers' share of the comparison with the source. A worker reads the source's image and annotation, makes
the JSON with code of its own (see json_form), and compares digests. This module imports nothing that writes shards, so
that no mistake of the writer can hide here, and no numpy, which workers do not need.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import xxhash

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Deviation, ImageClass
from parallel_sharder.samples import annotation
from parallel_sharder.samples.image import dimensions, examine
from parallel_sharder.stores.blob import Blob
from parallel_sharder.verify.deviations import DETAIL_LIMIT
from parallel_sharder.verify.json_form import NEEDS_SIZE, expected_json, size_in


class Stored(NamedTuple):
    """What is stored of a sample: digests of its image, its JSON, and of all else (see sample_check.StoredSample)."""

    image: bytes
    json: bytes
    others: bytes


class Seen(NamedTuple):
    """What is compared of an image: the digest of its bytes, its size in pixels, and what is wrong with it, or "".

    The size is None if it cannot be found.
    """

    path: str
    digest: bytes
    size: tuple[int, int] | None
    fault: str


_SEEN = struct.Struct(">16sII?")
SEEN_BYTES = _SEEN.size


def look(image: bytes) -> bytes:
    """Return what is compared of an image as SEEN_BYTES bytes, which `seen` reads; see staging.look."""
    digest, size, fault = _looked_at(image)
    return _SEEN.pack(digest, *(size or (0, 0)), bool(fault))


def seen(path: str, packed: bytes) -> Seen:
    """Return what `look` has packed of the image at `path`."""
    digest, width, height, is_bad = _SEEN.unpack(packed)
    return Seen(path, digest, (width, height) if width else None, "it is broken" if is_bad else "")


def seen_of(image: Blob | Seen) -> Seen:
    """Return what is compared of an image, which is read if it was not seen before. Raises SampleError."""
    return image if isinstance(image, Seen) else Seen(image.path, *_looked_at(image.read()))


def _looked_at(image: bytes) -> tuple[bytes, tuple[int, int] | None, str]:
    view = memoryview(image)
    found = examine(view)
    fault = found[1] if found is not None and found[0] is Kind.BAD_IMAGE else ""
    return xxhash.xxh3_128_digest(image), dimensions(view), fault


class SourceSample(Protocol):
    """A sample of the source, of any form."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def path(self) -> str:
        """The path of its image or, if it lies in a shard, its place there."""

    def fault(self) -> str:
        """Return why it cannot be stored, or "" if it can be."""

    def differences(self, stored: Stored, without_annotation: bool) -> Iterator[str]:
        """Yield what differs from what is stored. Raises SampleError if the source cannot be read."""


class ExpectedSample(NamedTuple):
    """A sample of the source, and its stored twin in the shard at `path`, at `offset`.

    `without_annotation` says whether the list of problems has the annotation as broken, so that it was not stored.
    """

    path: str
    offset: int
    source: SourceSample
    without_annotation: bool
    stored: Stored


class LeftOutSample(NamedTuple):
    """A sample of the source that is in no shard, and the reason for that in the list of problems at `path`."""

    path: str
    source: SourceSample
    kind: Kind
    detail: str


def compare_samples(samples: Sequence[ExpectedSample]) -> list[Deviation]:
    """Read the sources of `samples`, and return a Deviation for each difference from what is stored."""
    return [
        Deviation(sample.path, detail, sample.source.key, sample.offset)
        for sample in samples
        for detail in _compare(sample)
    ]


def look_again(samples: Sequence[LeftOutSample]) -> list[Deviation]:
    """Read the sources of `samples` again, and return a Deviation for each sample that could have been stored."""
    found = []
    for path, source, kind, detail in samples:
        if source.fault():
            continue
        what = f"{source.path} is left out ({kind.meaning}: {detail[:DETAIL_LIMIT]})"
        now = "it can be read now" if kind in (Kind.UNREADABLE, Kind.CHANGED) else "it is sound"
        found.append(Deviation(path, f"says that {what}, and {now}; a conversion would store it", source.key))
    return found


def _compare(sample: ExpectedSample) -> Iterator[str]:
    try:
        yield from sample.source.differences(sample.stored, sample.without_annotation)
    except SampleError as error:
        yield f"its source {error.path} cannot be compared: {error.detail}"


class AnnotatedSource(NamedTuple):
    """A sample of ImageNet's source. It is a SourceSample. An `image` that was read in the scan is Seen.

    `xml` is None if the sample has no annotation, or if the set stores none. `image_class` is None if the set has no
    classes. `annotations` is the form of the JSON. `labels` has the label of each class, by WordNet ID.
    """

    key: str
    image: Blob | Seen
    xml: Blob | None
    image_class: ImageClass | None
    annotations: str
    labels: Mapping[str, int]

    @property
    def path(self) -> str:
        """As SourceSample says."""
        return self.image.path

    def fault(self) -> str:
        """As SourceSample says."""
        try:
            document = _document(self.xml)
            json.dumps(document)
            image = seen_of(self.image)
        except SampleError as error:
            return error.detail
        except RecursionError:
            return "its elements are nested too deeply"
        if image.fault:
            return image.fault
        is_without_size = self.annotations in NEEDS_SIZE and not (size_in(document) or image.size)
        return "its width and height cannot be found" if is_without_size else ""

    def differences(self, stored: Stored, without_annotation: bool) -> Iterator[str]:
        """As SourceSample says."""
        image = seen_of(self.image)
        if image.digest != stored.image:
            yield f"its image is not that of the source, {self.image.path}"
        source = self
        try:
            if without_annotation:
                yield from _compare_annotation(self)
                source = self._replace(xml=None)
            expected = _expected_json(source, image.size)
        except RecursionError:
            yield f"its annotation {self.xml.path if self.xml else ''} is nested too deeply to be compared"
            return
        if xxhash.xxh3_128_digest(expected) != stored.json:
            where = f"the annotation {source.xml.path} and " if source.xml is not None else ""
            its_class = self.image_class
            what = f"{its_class.label} ({its_class.name})" if its_class else "none"
            yield f"its json does not follow from {where}the class {what} of the source"


def _compare_annotation(source: AnnotatedSource) -> Iterator[str]:
    """Yield a deviation if the annotation is listed as broken but is sound, or is missing."""
    try:
        json.dumps(_document(source.xml))
    except (SampleError, RecursionError):
        return
    what = "has none" if source.xml is None else f"has {source.xml.path}, which is sound"
    yield f"its annotation is listed as broken, but the source {what}"


def _document(xml: Blob | None) -> dict[str, Any] | None:
    """Return the parsed annotation, or None if there is none. Raises SampleError for a broken one."""
    if xml is None:
        return None
    if xml.length > annotation.SIZE_LIMIT_BYTES:
        raise SampleError(Kind.BAD_ANNOTATION, xml.path, f"{xml.length:,} bytes are too many for an annotation")
    return annotation.parse(xml.read(), xml.path)


def _expected_json(source: AnnotatedSource, size: tuple[int, int] | None) -> bytes:
    document = _document(source.xml)
    filename = re.split("[/:]", source.image.path)[-1]
    made = expected_json(source.annotations, source.image_class, document, size or (0, 0), source.labels, filename)
    return json.dumps(made).encode("ascii")
