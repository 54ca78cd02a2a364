"""The form `boxes`: the JSON has the same fields for every sample, annotated or not, so that a strict schema fits all.

JSON_FIELDS lists the fields with their types, units and meanings. A field is named as in COCO and torchvision where
these have it. Faults of ImageNet's annotations are mended and counted (see mended.Mended). The encoder gets the sample
and returns the JSON's bytes; it needs the image's width and height only where the annotation lacks them.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from parallel_sharder.kinds import Kind
from parallel_sharder.model import IMAGE_ENDINGS, ImageClass, Role
from parallel_sharder.samples import annotation
from parallel_sharder.samples.annotated import AnnotatedForm
from parallel_sharder.samples.annotation import Described, DescribedObject, names_image
from parallel_sharder.samples.form import IMAGE, LABEL, Encoded, Field, JsonField
from parallel_sharder.samples.image import Size
from parallel_sharder.samples.mended import Mended
from parallel_sharder.samples.sample import Sample
from parallel_sharder.samples.shapes import KNOWN_SHAPES

JSON_FIELDS = (
    JsonField("cls", "integer", {"dtype": "int64"}, "the label of the image's class", of_a_class=True),
    JsonField("cname", "text", {"dtype": "string"}, "the words of that class", of_a_class=True),
    JsonField("wnid", "text", {"dtype": "string"}, "its WordNet ID", of_a_class=True),
    JsonField("filename", "text", {"dtype": "string"}, "the image's file in ImageNet"),
    JsonField("width", "integer", {"dtype": "int32"}, "pixels, as annotated; without annotation those of the file"),
    JsonField("height", "integer", {"dtype": "int32"}, "pixels, likewise"),
    JsonField("annotated", "boolean", {"dtype": "bool"}, "whether there is an annotation; if not, the lists are empty"),
    JsonField(
        "boxes",
        "list of four integers",
        {"list": {"list": "int32", "length": 4}},
        "of each object `[xmin, ymin, xmax, ymax]` in pixels of width and height (torchvision's XYXY): "
        "0 <= xmin < xmax <= width, 0 <= ymin < ymax <= height",
    ),
    JsonField("names", "list of texts", {"list": "string"}, "of each object the WordNet ID"),
    JsonField(
        "labels", "list of integers", {"list": "int64"}, "of each object the label; -1 if it is no class of the set"
    ),
    JsonField(
        "truncated", "list of integers", {"list": "int8"}, "of each object 1 if it goes on outside its box, else 0"
    ),
    JsonField("difficult", "list of integers", {"list": "int8"}, "of each object 1 if it is hard to recognise, else 0"),
)
"""The fields of the JSON in the order in which they are stored. A set without classes (test) lacks those of a class."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+)")
"""A number in an annotation. Its integer is never longer than its text: the limit of the field relies on this."""

_ENDING_BYTES = max(map(len, IMAGE_ENDINGS))


class BoxesForm(AnnotatedForm):
    """The Form by the name `boxes`."""

    meaning = "one shape for all samples, see below"
    json_fields: Sequence[JsonField] = JSON_FIELDS
    has_boxes = True
    datasets_version = ""

    def fields(self, has_classes: bool) -> tuple[Field, ...]:
        """As AnnotatedForm says.

        The JSON is never longer than the XML and the JSON without annotation together: an object takes at least 90
        bytes of XML, its tags, and 39 of JSON, both without the digits of its box, which are no more than in the XML.
        """
        json_field = Field("json", _class_bytes, Role.ANNOTATION, 1, annotation.SIZE_LIMIT_BYTES)
        return (LABEL, IMAGE, json_field) if has_classes else (IMAGE, json_field)

    def hub_type(self, has_classes: bool) -> dict[str, Any]:
        """As form.Form says."""
        some = [field for field in JSON_FIELDS if has_classes or not field.of_a_class]
        return {"struct": [{"name": field.name, **field.hub_type} for field in some]}

    def encoder(self, classes: Sequence[ImageClass]) -> _Encoder:
        """As AnnotatedForm says."""
        return _Encoder(classes)


@functools.cache
def _empty_bytes(image_class: ImageClass | None) -> int:
    return len(unannotated_json("", image_class, (10**9, 10**9)))


def _class_bytes(image_class: ImageClass | None, key_bytes: int) -> int:
    return _empty_bytes(image_class) + key_bytes + _ENDING_BYTES


class _Encoder:
    def __init__(self, classes: Sequence[ImageClass]) -> None:
        self._classes = (*classes, None)
        self._labels = {each.id: each.label for each in classes}

    def encode(self, sample: Sample) -> Encoded:
        described = sample.annotated(_described)
        size = None if described is None else annotated_size(described)
        if size is None:
            size = sample.measured()
        else:
            sample.read_image()
        image_class = self._classes[sample.class_index]
        return boxes_json(sample.image_name, image_class, described, size, self._labels)


def _described(sample: Sample, xml: bytes) -> Described:
    return KNOWN_SHAPES.describe(xml) or annotation.describe(annotation.parse(xml, sample.xml_path))


def unannotated_json(filename: str, image_class: ImageClass | None, size: Size) -> bytes:
    """Return the JSON of a sample without annotation, whose image has this name and size (width, height)."""
    return _text(filename, image_class, size, [], annotated=False)


def boxes_json(
    filename: str,
    image_class: ImageClass | None,
    described: Described | None,
    image_size: Size,
    labels: Mapping[str, int],
) -> Encoded:
    """Return the JSON of a sample with this annotation, or with none.

    `filename` is the image's. `image_size` is the image's own, and is used where the annotation has no size. `labels`
    maps the ID of each class to its label.
    """
    if described is None:
        return Encoded((unannotated_json(filename, image_class, image_size),), (), Mended())
    odd: list[tuple[Kind, str]] = []
    size, without_size = annotated_size(described), 0
    if size is None:
        size, without_size = image_size, 1
    named = described.filename or ""
    if named and "%s" not in named and not names_image(named, os.path.splitext(filename)[0]):
        odd.append((Kind.OTHER_NAME, f"it names {named}"))
    wnid = image_class.id if image_class else ""
    objects = []
    mended = Mended(
        filenames="%s" in named, folders=bool(wnid) and described.folder == wnid.removeprefix("n"), sizes=without_size
    )
    for each in described.objects:
        checked = _checked_box(each, size)
        if checked.detail:
            odd.append((Kind.BAD_BOX, checked.detail))
            mended = mended.plus(checked.mended)
        if checked.box is None:
            continue
        name = each.name or ""
        if not _id_pattern(wnid).fullmatch(name):
            name, mended = wnid, mended._replace(names=mended.names + 1)
        objects.append(_Object(checked.box, name, labels.get(name, -1), each.truncated == "1", each.difficult == "1"))
    return Encoded((_text(filename, image_class, size, objects, annotated=True),), tuple(odd), mended)


@functools.cache
def _id_pattern(class_id: str) -> re.Pattern[str]:
    """Return the pattern of the IDs of objects: like the class's ID, with digits where it has digits.

    Where there is no class, letters and digits behind them count as an ID.
    """
    return re.compile(re.sub("[0-9]", "[0-9]", re.escape(class_id)) or "[a-z]+[0-9]+")


def annotated_size(described: Described) -> Size | None:
    """Return the annotation's width and height in pixels; None unless both are positive numbers below 10**9."""
    width, height = _number(described.width), _number(described.height)
    return (width, height) if width and height and 0 < width < 10**9 and 0 < height < 10**9 else None


class _Object(NamedTuple):
    box: tuple[int, int, int, int]
    name: str
    label: int
    truncated: bool
    difficult: bool


class _CheckedBox(NamedTuple):
    """A box that is sound, or None if it is dropped; the counts of what was mended, and a message about it."""

    box: tuple[int, int, int, int] | None
    mended: Mended = Mended()
    detail: str = ""


def _checked_box(each: DescribedObject, size: Size) -> _CheckedBox:
    width, height = size
    sides = [_number(text) for text in (each.xmin, each.ymin, each.xmax, each.ymax)]
    xmin, ymin, xmax, ymax = sides
    if xmin is None or ymin is None or xmax is None or ymax is None:
        return _CheckedBox(None, Mended(dropped=1), "a box without four numbers: dropped")
    if 0 <= xmin < xmax <= width and 0 <= ymin < ymax <= height:
        return _CheckedBox((xmin, ymin, xmax, ymax))
    detail = f"xmin, ymin, xmax, ymax {sides} in {width} x {height}"
    left, right = sorted((xmin, xmax))
    top, bottom = sorted((ymin, ymax))
    box = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if box[0] >= box[2] or box[1] >= box[3]:
        return _CheckedBox(None, Mended(dropped=1), f"{detail}: dropped")
    swapped, clamped = xmin > xmax or ymin > ymax, box != (left, top, right, bottom)
    done = " and ".join(word for word, is_so in (("swapped", swapped), ("clamped", clamped)) if is_so)
    return _CheckedBox(box, Mended(swapped=int(swapped), clamped=int(clamped)), f"{detail}: {done}")


def _number(text: str | None) -> int | None:
    if text is None or not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.isdecimal() else round(float(text))


def _text(name: str, image_class: ImageClass | None, size: Size, objects: list[_Object], *, annotated: bool) -> bytes:
    """Return what json.dumps writes for these fields. It writes a list of numbers as Python prints it."""
    lists = (
        f'"boxes": {[[*each.box] for each in objects]}, "names": {json.dumps([each.name for each in objects])}, '
        f'"labels": {[each.label for each in objects]}, "truncated": {[int(each.truncated) for each in objects]}, '
        f'"difficult": {[int(each.difficult) for each in objects]}'
    )
    return (
        f'{_class_json(image_class)}"filename": {json.dumps(name)}, "width": {size[0]}, '
        f'"height": {size[1]}, "annotated": {"true" if annotated else "false"}, {lists}}}'
    ).encode("ascii")


@functools.cache
def _class_json(image_class: ImageClass | None) -> str:
    if image_class is None:
        return "{"
    content = {"cls": image_class.label, "cname": image_class.name, "wnid": image_class.id}
    return json.dumps(content).removesuffix("}") + ", "
