"""One sample to its members: what WebDataset calls the files of one key, and what they hold.

Only this module knows the names and the order: `<key>.cls`, `<key>.jpg`, `<key>.json`, as the reference script
writes them; without a class (test), `<key>.jpg` and `<key>.json`.
"""

from __future__ import annotations

import functools
import json
from typing import Any, NamedTuple

from parallel_sharder import annotation
from parallel_sharder.blob import Blob
from parallel_sharder.errors import SampleError
from parallel_sharder.model import ImageClass, Kind


class Member(NamedTuple):
    """One file of a shard: its full name and its content."""

    name: str
    content: bytes | Blob


def sample_members(key: str, image: Blob, xml: Blob | None, image_class: ImageClass | None) -> list[Member]:
    """The members of one sample, in the order they are stored. Raises SampleError if it cannot be stored."""
    jpg = Member(key + ".jpg", image)
    metadata = Member(key + ".json", plain_json(image_class) if xml is None else _annotated_json(xml, image_class))
    if image_class is None:
        return [jpg, metadata]
    return [Member(key + ".cls", b"%d" % image_class.label), jpg, metadata]


@functools.cache
def plain_json(image_class: ImageClass | None) -> bytes:
    """The JSON of a sample without annotation: one per class, so made once."""
    return _json({}, image_class)


def _annotated_json(xml: Blob, image_class: ImageClass | None) -> bytes:
    try:
        data = _json(annotation.parse(xml.read(), xml.path), image_class)
    except RecursionError as error:
        raise SampleError(Kind.BAD_ANNOTATION, xml.path, "its elements are nested too deeply") from error
    limit = annotation.JSON_BYTES_PER_XML_BYTE * xml.length + len(plain_json(image_class))
    if len(data) > limit:  # the plan has reserved no more; see bounds
        raise SampleError(Kind.BAD_ANNOTATION, xml.path, f"declares defaults that grow it to {len(data):,} bytes")
    return data


def _json(info: dict[str, Any], image_class: ImageClass | None) -> bytes:
    if image_class is not None:
        info["cls"] = image_class.label
        info["cname"] = image_class.name
    return json.dumps(info).encode("ascii")
