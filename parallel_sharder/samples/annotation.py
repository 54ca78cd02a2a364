"""An annotation of an image: bytes of XML come in, and the dict with which a sample's JSON begins is returned.

The dict is what xmltodict returns, because the reference script uses xmltodict. `describe` picks out the values that
the form `boxes` stores, and `oddities` lists what is doubtful in an annotation but is stored. A document that cannot be
parsed is a SampleError. This module opens no file, and no other module has a parser of XML.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple
from xml.parsers.expat import ExpatError

import xmltodict

from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import IMAGE_ENDINGS

SIZE_LIMIT_BYTES = 1 << 20
"""The largest annotation that is read. A real one has under 10 KB. Parsing takes many times its size in memory."""

JSON_BYTES_PER_XML_BYTE = 6
"""The most that `json.dumps` of a parsed document grows over the document's bytes.

One byte of text (DEL, or a letter in Latin-1) becomes six (`\\u007f`), and no markup grows as much: `<a/>` takes four
bytes and becomes the eleven of `"a": null, `. Only entities and default attributes could grow more; they are refused.
"""

_DEFAULTS = (b"<!ATTLIST", "<!ATTLIST".encode("utf-16-le"), "<!ATTLIST".encode("utf-16-be"))


def parse(xml: bytes, path: str) -> dict[str, Any]:
    """Return the document as xmltodict does: {"annotation": ...}.

    Raises SampleError (bad-annotation) if the document is not well-formed, is not an annotation, or has entities or
    default attributes, which would grow beyond its size. The error has `path`, and the parser's reason and position.
    """
    try:
        if any(each in xml for each in _DEFAULTS):
            raise ValueError("default attributes are disabled")
        document: dict[str, Any] = xmltodict.parse(xml)
    except (ExpatError, ValueError, LookupError) as error:  # LookupError: Python does not know the encoding
        raise SampleError(Kind.BAD_ANNOTATION, path, f"not well-formed XML: {error}") from error
    if not isinstance(document.get("annotation"), dict):
        root = next(iter(document))
        raise SampleError(Kind.BAD_ANNOTATION, path, f"not an annotation: its root is <{root}>, or it is empty")
    return document


class DescribedObject(NamedTuple):
    """The values of one object in an annotation, as text; None for a value that is missing or is not one text."""

    name: str | None
    xmin: str | None
    ymin: str | None
    xmax: str | None
    ymax: str | None
    truncated: str | None
    difficult: str | None


class Described(NamedTuple):
    """The values of an annotation, as text; None for a value that is missing or is not one text."""

    folder: str | None
    filename: str | None
    width: str | None
    height: str | None
    objects: tuple[DescribedObject, ...]


def describe(document: Mapping[str, Any]) -> Described:
    """Return the values of a parsed document."""
    annotation = document["annotation"]
    size = annotation.get("size")
    objects = annotation.get("object")
    found = []
    for each in objects if isinstance(objects, list) else [] if objects is None else [objects]:
        box = each.get("bndbox") if isinstance(each, dict) else None
        texts = [_text(box, side) for side in ("xmin", "ymin", "xmax", "ymax")]
        texts += [_text(each, "truncated"), _text(each, "difficult")]
        found.append(DescribedObject(_text(each, "name"), *texts))
    names = _text(annotation, "folder"), _text(annotation, "filename")
    return Described(*names, _text(size, "width"), _text(size, "height"), tuple(found))


def _text(element: Any, name: str) -> str | None:
    value = element.get(name) if isinstance(element, dict) else None
    if isinstance(value, dict):  # an element with attributes
        value = value.get("#text")
    return value if isinstance(value, str) else None


def names_image(name: str, key: str) -> bool:
    """Return whether `name`, with the ending of an image or without one, names the image `key`."""
    stem, ending = os.path.splitext(name)
    return key == (stem if ending.lower() in IMAGE_ENDINGS else name)


def oddities(document: dict[str, Any], key: str) -> list[tuple[Kind, str]]:
    """Return what is doubtful in an annotation that is stored unchanged: another image's name, boxes past the image."""
    annotation = document["annotation"]
    found = []
    name = annotation.get("filename")
    if isinstance(name, str) and "%" not in name and not names_image(name, key):  # "%s" stands for any name
        found.append((Kind.OTHER_NAME, f"it names {name}"))
    objects = annotation.get("object")
    for each in objects if isinstance(objects, list) else [objects]:
        try:
            box = [int(each["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")]
            width, height = int(annotation["size"]["width"]), int(annotation["size"]["height"])
        except (KeyError, TypeError, ValueError):
            continue  # there is no box, or its sides are not numbers
        if not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
            found.append((Kind.BAD_BOX, f"xmin, ymin, xmax, ymax {box} in {width} x {height}"))
    return found
