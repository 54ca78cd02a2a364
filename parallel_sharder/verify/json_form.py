"""The form of a sample's JSON, as verify knows it: what `--annotations` has to give, by the manifest and by the source.

Takes a JSON's bytes and says what is wrong with them, or takes an annotation that is parsed already and returns the
JSON that it should have become. It shares no code with boxes.py, which makes the JSON, so that no mistake of that can
hide here. It parses no XML: of the annotation module it uses only the limits of sizes, from which the largest JSON
follows.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, NoReturn, cast

from parallel_sharder.kinds import Kind
from parallel_sharder.model import IMAGE_ENDINGS, ImageClass
from parallel_sharder.samples import annotation
from parallel_sharder.samples.image import examine
from parallel_sharder.text import counted

_BOXES_FORM: dict[str, type] = {
    "cls": int, "cname": str, "wnid": str, "filename": str, "width": int, "height": int, "annotated": bool,
    "boxes": list, "names": list, "labels": list, "truncated": list, "difficult": list,
}  # fmt: skip
_OF_A_CLASS = ("cls", "cname", "wnid")

_JSON_LIMIT_BYTES = annotation.SIZE_LIMIT_BYTES * annotation.JSON_BYTES_PER_XML_BYTE + (1 << 20)
"""The largest JSON: that of the largest annotation, and the name of a class. Parsed, it takes many times its size."""


class _NumberError(ValueError):
    """The JSON holds a number that is not whole, and no form has such numbers."""


def _refuse_number(text: str) -> NoReturn:
    raise _NumberError(text)


_DECODER = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number)


def parsed(text: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return a sample's JSON and "", or None and what is wrong with its bytes: json.dumps would not write them so."""
    if len(text) > _JSON_LIMIT_BYTES:
        return None, f"has {counted(len(text), 'byte')}; none has more than {_JSON_LIMIT_BYTES:,}"
    try:
        metadata = _DECODER.decode(text.decode("ascii"))
        if isinstance(metadata, dict) and json.dumps(metadata).encode("ascii") == text:
            return metadata, ""
    except _NumberError as error:
        return None, f"holds the number {error}, and whole numbers are all that there should be"
    except (ValueError, RecursionError):
        pass
    return None, "is not a JSON object as json.dumps writes it"


def fault_in_image(data: bytes) -> str:
    """Return what is wrong with an image that was stored as a sound one, and "" if nothing is.

    A JPEG with an end marker passes, because sets of earlier versions are verified too, and those versions looked for
    less than `examine` does.
    """
    if data.startswith(b"\xff\xd8") and (data.endswith(b"\xff\xd9") or b"\xff\xd9" in data[2:]):
        return ""
    found = examine(memoryview(data))
    return found[1] if found is not None and found[0] is Kind.BAD_IMAGE else ""


def fault_in_form(
    key: str, metadata: Mapping[str, Any], annotations: str, classes: Mapping[int, tuple[str, str]], on_bad: str
) -> str:
    """Return what is wrong with the form of a sample's JSON, and "" if nothing is.

    Looks at which fields there are, at their types, and at whether they fit each other and the key.
    """
    return _FAULTS[annotations](key, metadata, classes, on_bad)


def _fault_in_original(_: str, metadata: Mapping[str, Any], classes: Mapping[int, tuple[str, str]], __: str) -> str:
    names, of_class = [*metadata], ["cls", "cname"] if classes else []
    if names not in (of_class, ["annotation", *of_class]):
        return f"has the fields {', '.join(names)}; expected were {', '.join(['annotation', *of_class])}"
    return "" if _is_of_text(metadata.get("annotation", {})) else "has something else than text in its annotation"


def _fault_in_none(_: str, metadata: Mapping[str, Any], classes: Mapping[int, tuple[str, str]], __: str) -> str:
    names, of_class = [*metadata], ["cls", "cname"] if classes else []
    return "" if names == of_class else f"has {', '.join(names)}, and there should be no annotation"


def _is_of_text(element: Any) -> bool:
    """Whether parsed XML can look so: a dict of texts, lists, dicts, and None for elements that are empty."""
    if not isinstance(element, dict):
        return False
    rest = [*element.values()]
    while rest:
        value = rest.pop()
        if isinstance(value, (dict, list)):
            rest += value.values() if isinstance(value, dict) else value
        elif not isinstance(value, str) and value is not None:
            return False
    return True


def _fault_in_boxes(key: str, metadata: Mapping[str, Any], classes: Mapping[int, tuple[str, str]], on_bad: str) -> str:
    form = {name: kind for name, kind in _BOXES_FORM.items() if classes or name not in _OF_A_CLASS}
    if [(name, type(value)) for name, value in metadata.items()] != [*form.items()]:
        return f"has not the fields {', '.join(form)}, or not of their types"
    width, height = metadata["width"], metadata["height"]
    stem, ending = os.path.splitext(metadata["filename"])
    if min(width, height) < (0 if on_bad == "keep" else 1) or stem != key or ending.lower() not in IMAGE_ENDINGS:
        return f"has the file {metadata['filename']} of {width} x {height}"
    wnid, _ = classes.get(metadata.get("cls", -1), ("", ""))
    if metadata.get("wnid", "") != wnid:
        return f"has the wnid {metadata['wnid']}, and its class has {wnid}"
    lists = [metadata[name] for name, kind in form.items() if kind is list]
    if len({*map(len, lists)}) != 1 or not (metadata["annotated"] or not lists[0]):
        return "has lists of other lengths than it has boxes, or boxes without an annotation"
    for box in metadata["boxes"]:
        if type(box) is not list or [*map(type, box)] != [int] * 4:
            return "has a box that is not four whole numbers"
        if not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
            return f"has the box {box} in {width} x {height}"
    known = {wnid: label for label, (wnid, _) in classes.items()}
    names, labels = metadata["names"], metadata["labels"]
    if not all(type(name) is str and (re.fullmatch("n[0-9]{8}", name) or name == wnid) for name in names):
        return "has a name that is no WordNet ID"
    if {*map(type, labels)} - {int} or [known.get(name, -1) for name in names] != labels:
        return "has other labels than its names have"
    if {*map(repr, metadata["truncated"] + metadata["difficult"])} - {"0", "1"}:
        return "has something else than 0 and 1 in truncated or difficult"
    return ""


_FAULTS = {"original": _fault_in_original, "boxes": _fault_in_boxes, "none": _fault_in_none}

NEEDS_SIZE = frozenset({"boxes"})
"""The forms of which no sample can be without width and height, be it from its annotation or from its image."""


def expected_json(
    annotations: str,
    image_class: ImageClass | None,
    document: dict[str, Any] | None,
    image_size: tuple[int, int],
    labels: Mapping[str, int],
    filename: str,
) -> dict[str, Any]:
    """A sample's JSON, from its parsed annotation, if there is one, which is changed, and its image's size and name."""
    if annotations in NEEDS_SIZE:
        return expected_boxes(image_class, document, image_size, labels, filename)
    of_class = {"cls": image_class.label, "cname": image_class.name} if image_class is not None else {}
    return (document or {}) | of_class


def expected_boxes(
    image_class: ImageClass | None,
    document: Mapping[str, Any] | None,
    image_size: tuple[int, int],
    labels: Mapping[str, int],
    filename: str,
) -> dict[str, Any]:
    """Return the boxes form of a sample's JSON. `document` is its parsed annotation, or None if it has none.

    `image_size` is that of the image itself, which counts where the annotation has none; `filename` is the image's.
    """
    described = (document or {}).get("annotation", {})
    width, height = size_in(document) or image_size
    wnid = image_class.id if image_class else ""
    objects = described.get("object") or []
    rows = []
    for each in objects if isinstance(objects, list) else [objects]:
        sides = [_number(_inside(each, "bndbox", side)) for side in ("xmin", "xmax", "ymin", "ymax")]
        if None in sides:
            continue
        (left, right), (top, bottom) = (sorted(cast("list[int]", pair)) for pair in (sides[:2], sides[2:]))
        left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
        name = _inside(each, "name") or ""
        name = name if re.fullmatch("n[0-9]{8}", name) else wnid
        if left < right and top < bottom:
            flags = (int(_inside(each, flag) == "1") for flag in ("truncated", "difficult"))
            rows.append(([left, top, right, bottom], name, labels.get(name, -1), *flags))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], [], []]
    of_class = {"cls": image_class.label, "cname": image_class.name, "wnid": wnid} if image_class else {}
    of_file = {"filename": filename, "width": width, "height": height, "annotated": document is not None}
    return of_class | of_file | dict(zip(("boxes", "names", "labels", "truncated", "difficult"), columns, strict=True))


def size_in(document: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """Return width and height as annotated, in pixels, and None where the annotation has no such size."""
    described = (document or {}).get("annotation", {})
    width, height = (_number(_inside(described, "size", side)) or 0 for side in ("width", "height"))
    return (width, height) if 0 < width < 10**9 and 0 < height < 10**9 else None


def _inside(element: Any, *names: str) -> str | None:
    """The text of the element that these names lead to; None if there is no such element, or no single text in it."""
    for name in names:
        element = element.get(name) if isinstance(element, dict) else None
    if isinstance(element, dict):  # it has attributes
        element = element.get("#text")
    return element if isinstance(element, str) else None


def _number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"[+-]?([0-9]{1,15}(\.[0-9]*)?|\.[0-9]+)", text):
        return None
    return round(float(text))
