"""The boxes form of a sample's JSON: one shape for every sample, annotated or not, so that any strict schema holds it.

FIELDS has its fields, their units and their meaning. What is wrong with ImageNet's annotations is mended and
counted, see Mended. The names of the fields are those of COCO and torchvision where these have one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from parallel_sharder.annotation import Described, DescribedObject, names_image
from parallel_sharder.model import IMAGE_SUFFIX, WNID, ImageClass, Kind, ShardRecord


class Field(NamedTuple):
    """A field of the form: its name, its type for people and for the Hugging Face hub, and its meaning."""

    name: str
    type_name: str
    hub_type: dict[str, Any]
    meaning: str
    of_a_class: bool = False


FIELDS = (
    Field("cls", "integer", {"dtype": "int64"}, "the label of the image's class", of_a_class=True),
    Field("cname", "text", {"dtype": "string"}, "the words of that class", of_a_class=True),
    Field("wnid", "text", {"dtype": "string"}, "its WordNet ID", of_a_class=True),
    Field("filename", "text", {"dtype": "string"}, "the image's file in ImageNet"),
    Field("width", "integer", {"dtype": "int32"}, "pixels, as annotated; without annotation those of the file"),
    Field("height", "integer", {"dtype": "int32"}, "pixels, likewise"),
    Field("annotated", "boolean", {"dtype": "bool"}, "whether there is an annotation; if not, the lists are empty"),
    Field(
        "boxes",
        "list of four integers",
        {"list": {"list": "int32", "length": 4}},
        "of each object `[xmin, ymin, xmax, ymax]` in pixels of width and height (torchvision's XYXY): "
        "0 <= xmin < xmax <= width, 0 <= ymin < ymax <= height",
    ),
    Field("names", "list of texts", {"list": "string"}, "of each object the WordNet ID"),
    Field("labels", "list of integers", {"list": "int64"}, "of each object the label; -1 if it is no class of the set"),
    Field("truncated", "list of integers", {"list": "int8"}, "of each object 1 if it goes on outside its box, else 0"),
    Field("difficult", "list of integers", {"list": "int8"}, "of each object 1 if it is hard to recognise, else 0"),
)
"""In the order in which they are stored. Those of a class are not there in a set without classes (test)."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+)")
"""Nothing that is written out is longer than it was: `limit` relies on that."""

Size = tuple[int, int]
"""Width and height in pixels."""


class Mended(NamedTuple):
    """How often something was mended, or of a set, how often in all.

    Boxes had minimum and maximum `swapped`, went past the image and were `clamped` to it, or were `dropped` because
    they have no area, lie outside, or are no numbers (and then count as nothing else). Objects had `names` that are no
    WordNet ID, dogs' mostly, and got that of the image's class. Annotations had `%s` instead of `filenames`, `folders`
    without the leading n, and no usable `sizes`.
    """

    swapped: int = 0
    clamped: int = 0
    dropped: int = 0
    names: int = 0
    filenames: int = 0
    folders: int = 0
    sizes: int = 0

    def plus(self, other: Mended) -> Mended:
        """Both together."""
        return Mended(*map(sum, zip(self, other, strict=True)))


def in_all(records: Iterable[ShardRecord]) -> Mended:
    """What was mended in a whole set."""
    return functools.reduce(Mended.plus, (Mended(*record.mended) for record in records), Mended())


class Made(NamedTuple):
    """The JSON, what was mended for it, and what is worth knowing of the annotation, as of `annotation.oddities`."""

    text: bytes
    mended: Mended
    odd: tuple[tuple[Kind, str], ...]


def limit(image_class: ImageClass | None, key_bytes: int, xml_bytes: int) -> int:
    """The most bytes that the JSON of a sample can have, from the sizes of its key and of its annotation (0 if none).

    An object takes 90 bytes of XML at least (its tags), and 39 of JSON, the digits of its box aside, which are no more
    than in the XML.
    """
    return _empty_bytes(image_class) + key_bytes + xml_bytes


@functools.cache
def _empty_bytes(image_class: ImageClass | None) -> int:
    return len(unannotated_json("", image_class, (10**9, 10**9)))


def unannotated_json(key: str, image_class: ImageClass | None, size: Size, ending: str = IMAGE_SUFFIX) -> bytes:
    """The JSON of a sample without annotation; `ending` is that of the image's file."""
    return _text(key + ending, image_class, size, [], annotated=False)


def boxes_json(
    key: str,
    image_class: ImageClass | None,
    described: Described | None,
    image_size: Size,
    labels: Mapping[str, int],
    ending: str = IMAGE_SUFFIX,
) -> Made:
    """The JSON of a sample with this annotation, or with none; `labels` are those of all classes by WordNet ID.

    `image_size` is the file's own, for a sample whose annotation has none. `ending` is that of the file's name.
    """
    if described is None:
        return Made(unannotated_json(key, image_class, image_size, ending), Mended(), ())
    odd: list[tuple[Kind, str]] = []
    size, without_size = size_in(described), 0
    if size is None:
        size, without_size = image_size, 1
    named = described.filename or ""
    if named and "%s" not in named and not names_image(named, key):
        odd.append((Kind.OTHER_NAME, f"it names {named}"))
    wnid = image_class.id if image_class else ""
    objects = []
    mended = Mended(
        filenames="%s" in named, folders=bool(wnid) and described.folder == wnid.removeprefix("n"), sizes=without_size
    )
    for each in described.objects:
        placed = _mended_box(each, size)
        if placed.detail:
            odd.append((Kind.BAD_BOX, placed.detail))
            mended = mended.plus(placed.mended)
        if placed.box is None:
            continue
        name = each.name or ""
        if not WNID.fullmatch(name):
            name, mended = wnid, mended._replace(names=mended.names + 1)
        objects.append(_Object(placed.box, name, labels.get(name, -1), each.truncated == "1", each.difficult == "1"))
    return Made(_text(key + ending, image_class, size, objects, annotated=True), mended, tuple(odd))


def size_in(described: Described) -> Size | None:
    """The annotation's width and height in pixels; None if one is missing, or nothing that a size can be."""
    width, height = _number(described.width), _number(described.height)
    return (width, height) if width and height and 0 < width < 10**9 and 0 < height < 10**9 else None


class _Object(NamedTuple):
    box: tuple[int, int, int, int]
    name: str
    label: int
    truncated: bool
    difficult: bool


class _Placed(NamedTuple):
    """A box that is sound, or None if it is dropped; what was mended, and what to tell of it."""

    box: tuple[int, int, int, int] | None
    mended: Mended = Mended()
    detail: str = ""


def _mended_box(each: DescribedObject, size: Size) -> _Placed:
    width, height = size
    sides = [_number(text) for text in (each.xmin, each.ymin, each.xmax, each.ymax)]
    xmin, ymin, xmax, ymax = sides
    if xmin is None or ymin is None or xmax is None or ymax is None:
        return _Placed(None, Mended(dropped=1), "a box without four numbers: dropped")
    if 0 <= xmin < xmax <= width and 0 <= ymin < ymax <= height:
        return _Placed((xmin, ymin, xmax, ymax))
    detail = f"xmin, ymin, xmax, ymax {sides} in {width} x {height}"
    left, right = sorted((xmin, xmax))
    top, bottom = sorted((ymin, ymax))
    box = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if box[0] >= box[2] or box[1] >= box[3]:
        return _Placed(None, Mended(dropped=1), f"{detail}: dropped")
    swapped, clamped = xmin > xmax or ymin > ymax, box != (left, top, right, bottom)
    done = " and ".join(word for word, is_so in (("swapped", swapped), ("clamped", clamped)) if is_so)
    return _Placed(box, Mended(swapped=int(swapped), clamped=int(clamped)), f"{detail}: {done}")


def _number(text: str | None) -> int | None:
    if text is None or not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.isdecimal() else round(float(text))


def _text(name: str, image_class: ImageClass | None, size: Size, objects: list[_Object], *, annotated: bool) -> bytes:
    """As json.dumps writes it, of which lists of numbers are what Python prints."""
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
