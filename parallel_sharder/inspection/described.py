"""Described: what is said of a sample in a line: its members, label, class, size in pixels, and number of boxes.

Nothing is decoded. What a sample does not have, or what cannot be read, is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parallel_sharder.inspection.reading import Member, StoredSample
from parallel_sharder.model import IMAGE_ENDINGS
from parallel_sharder.samples.image import dimensions
from parallel_sharder.sources.shards.where import label_in

_BEGIN_BYTES = 32_768
"""How much of an image is read first; a photograph's data can come before its size, and are then read too."""


@dataclass(frozen=True)
class SampleLine:
    """A sample: `members` has the field and the size in bytes of each, in the tar's order.

    `offset` is that of the first header in the shard before compression. `pixels` are width and height.
    """

    shard: str
    offset: int
    key: str
    members: tuple[tuple[str, int], ...]
    label: int | str | None
    name: str | None
    pixels: tuple[int, int] | None
    boxes: int | None


def described(sample: StoredSample, classes: Mapping[int, str]) -> SampleLine:
    """Return the line of a sample; `classes` has the names of labels that the JSON does not name."""
    values = values_of(sample)
    label, name = values.get("cls"), values.get("cname")
    if not isinstance(name, str):
        name = classes.get(label) if isinstance(label, int) else None
    image = image_of(sample)
    return SampleLine(
        sample.path,
        sample.offset,
        sample.key,
        tuple((member.field, member.size) for member in sample.members),
        label if isinstance(label, int | str) else None,
        name,
        None if image is None else _pixels(sample, image),
        boxes_in(values),
    )


def _pixels(sample: StoredSample, image: Member) -> tuple[int, int] | None:
    """Return the image's width and height; most images tell them at their beginning, which alone is read of these."""
    begin = image._replace(size=min(image.size, _BEGIN_BYTES))
    found = dimensions(memoryview(sample.content(begin)))
    if found is not None or begin.size == image.size:
        return found
    return dimensions(memoryview(sample.content(image)))


def image_of(sample: StoredSample) -> Member | None:
    """Return the member that is the sample's image, the first of several; None if it has none."""
    return next((each for each in sample.members if is_image(each.field)), None)


def is_image(field: str) -> bool:
    """Return whether a field is an image's, by its ending."""
    return f".{field.rpartition('.')[2].lower()}" in IMAGE_ENDINGS


def values_of(sample: StoredSample) -> dict[str, Any]:
    """Return the top-level values of the sample's JSON, and its `cls`, a whole number if the member is one."""
    values: dict[str, Any] = {}
    by_field = {member.field.lower(): member for member in sample.members}
    if "json" in by_field:
        values = parsed(sample.content(by_field["json"])) or {}
    if "cls" in by_field:
        values["cls"] = label_in(sample.content(by_field["cls"]))
    return values


def parsed(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object that the content is; None if it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def boxes_in(values: Mapping[str, Any]) -> int | None:
    """Return the number of boxes in the JSON of ImageNet's samples: of the form boxes, or of its XML; else None."""
    boxes = values.get("boxes")
    if isinstance(boxes, list):
        return len(boxes)
    annotation = values.get("annotation")
    if not isinstance(annotation, dict):
        return None
    objects = annotation.get("object")
    return len(objects) if isinstance(objects, list) else int(objects is not None)
