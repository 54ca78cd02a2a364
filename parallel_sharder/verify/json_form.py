"""The form of a sample's JSON, as verify knows it for each value of `--annotations`.

Takes a JSON's bytes and returns what is wrong with them, or takes a parsed annotation and returns the JSON that it
should have become. It shares no code with the modules in samples/ that make the JSON, so that no mistake of theirs can
hide here. It parses no XML: from samples.annotation it takes only the limits from which the largest JSON follows.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
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
"""The size of the largest JSON: that of the largest annotation, with a class name. Parsing takes many times as much."""


class _NumberError(ValueError):
    """The JSON holds a number that is not whole; all numbers in all forms are whole."""


def _refuse_number(text: str) -> NoReturn:
    raise _NumberError(text)


_DECODER = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number)


def parsed(text: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return a sample's JSON and "", or None and what is wrong if its bytes are not what json.dumps writes."""
    if len(text) > _JSON_LIMIT_BYTES:
        return None, f"has {counted(len(text), 'byte')}; the largest JSON has {_JSON_LIMIT_BYTES:,}"
    try:
        metadata = _DECODER.decode(text.decode("ascii"))
        if isinstance(metadata, dict) and json.dumps(metadata).encode("ascii") == text:
            return metadata, ""
    except _NumberError as error:
        return None, f"holds the number {error}, and all numbers should be whole"
    except (ValueError, RecursionError):
        pass
    return None, "is not a JSON object as json.dumps writes it"


def fault_in_image(data: bytes) -> str:
    """Return what is wrong with an image that was stored as a sound one, or "" if nothing is.

    Each JPEG with an end marker passes, because sets of earlier versions are verified too, and those versions checked
    less than `examine` does.
    """
    if data.startswith(b"\xff\xd8") and (data.endswith(b"\xff\xd9") or b"\xff\xd9" in data[2:]):
        return ""
    found = examine(memoryview(data))
    return found[1] if found is not None and found[0] is Kind.BAD_IMAGE else ""


IMAGE_FORMATS = ("jpg", "png", "webp", "gif", "bmp", "tif", "avif", "heic", "jp2", "ppm")
"""The fields that images have by their endings."""


def faults_in_files_json(
    text: bytes,
    label: int | None,
    classes: Mapping[int, tuple[str, str]],
    *,
    is_labelled: bool,
    is_table: bool,
) -> Iterator[str]:
    """Yield what is wrong with the JSON of a sample of class folders or of a table.

    `label` is that of its cls; it is None if the set `is_labelled` not, or if the cls is no label of the set.
    """
    try:
        metadata = json.loads(text.decode("ascii"))
        is_written_so = isinstance(metadata, dict) and json.dumps(metadata).encode("ascii") == text
    except (ValueError, RecursionError):
        is_written_so = False
    if not is_written_so:
        yield "its json is not a JSON object as json.dumps writes it"
        return
    names = [*(["cls"] if is_labelled else []), *(["cname"] if classes else []), *([] if is_table else ["filename"])]
    its_names = [*metadata][: len(names)] if is_table else [*metadata]
    if its_names != names:
        first = " first" if is_table else ""
        yield f"its json has the fields {', '.join(metadata)}; expected were{first} {', '.join(names)}"
        return
    if label is None:
        return
    if type(metadata["cls"]) is not int or metadata["cls"] != label:
        yield f"its cls is {label}, and its json has the class {metadata['cls']}"
    elif label in classes and metadata["cname"] != classes[label][1]:
        yield f"its json has the name {metadata['cname']!r}, and its class is called {classes[label][1]!r}"


def fault_in_form(
    key: str, metadata: Mapping[str, Any], annotations: str, classes: Mapping[int, tuple[str, str]], on_bad: str
) -> str:
    """Return what is wrong with the form of a sample's JSON, or "" if nothing is.

    It checks which fields the JSON has, their types, and whether they agree with each other and with the key.
    """
    return _FAULTS[annotations](key, metadata, classes, on_bad)


def _fault_in_original(_: str, metadata: Mapping[str, Any], classes: Mapping[int, tuple[str, str]], __: str) -> str:
    names, of_class = [*metadata], ["cls", "cname"] if classes else []
    if names not in (of_class, ["annotation", *of_class]):
        return f"has the fields {', '.join(names)}; expected were {', '.join(['annotation', *of_class])}"
    return "" if _is_of_text(metadata.get("annotation", {})) else "has values that are not text in its annotation"


def _fault_in_none(_: str, metadata: Mapping[str, Any], classes: Mapping[int, tuple[str, str]], __: str) -> str:
    names, of_class = [*metadata], ["cls", "cname"] if classes else []
    return "" if names == of_class else f"has the fields {', '.join(names)}, and there should be no annotation"


def _is_of_text(element: Any) -> bool:
    """Return whether the element can be parsed XML: a dict of texts, lists and dicts, with None for empty elements."""
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
        return f"does not have the fields {', '.join(form)} with their types"
    width, height = metadata["width"], metadata["height"]
    stem, ending = os.path.splitext(metadata["filename"])
    if min(width, height) < (0 if on_bad == "keep" else 1) or stem != key or ending.lower() not in IMAGE_ENDINGS:
        return f"has the file {metadata['filename']} of {width} x {height}"
    wnid, _ = classes.get(metadata.get("cls", -1), ("", ""))
    if metadata.get("wnid", "") != wnid:
        return f"has the wnid {metadata['wnid']}, and its class has {wnid}"
    lists = [metadata[name] for name, kind in form.items() if kind is list]
    if len({*map(len, lists)}) != 1 or not (metadata["annotated"] or not lists[0]):
        return "has lists of different lengths, or boxes without an annotation"
    for box in metadata["boxes"]:
        if type(box) is not list or [*map(type, box)] != [int] * 4:
            return "has a box that is not four whole numbers"
        if not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
            return f"has the box {box} in {width} x {height}"
    known = {wnid: label for label, (wnid, _) in classes.items()}
    names, labels = metadata["names"], metadata["labels"]
    if not all(type(name) is str and (_has_id(name, wnid) or name == wnid) for name in names):
        return "has a name that is no WordNet ID"
    if {*map(type, labels)} - {int} or [known.get(name, -1) for name in names] != labels:
        return "has labels that are not those of its names"
    if {*map(repr, metadata["truncated"] + metadata["difficult"])} - {"0", "1"}:
        return "has values other than 0 and 1 in truncated or difficult"
    return ""


_FAULTS = {"original": _fault_in_original, "boxes": _fault_in_boxes, "none": _fault_in_none}

NEEDS_SIZE = frozenset({"boxes"})
"""The forms in which each sample needs a width and a height, from its annotation or from its image."""


def expected_json(
    annotations: str,
    image_class: ImageClass | None,
    document: dict[str, Any] | None,
    image_size: tuple[int, int],
    labels: Mapping[str, int],
    filename: str,
) -> dict[str, Any]:
    """Return the JSON that a sample should have.

    `document` is its parsed annotation, which may be changed, or None if it has none. `image_size` and `filename` are
    those of the image.
    """
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

    `image_size` is the image's own size, which is used if the annotation has none; `filename` is the image's.
    """
    described = (document or {}).get("annotation", {})
    width, height = size_in(document) or image_size
    wnid = image_class.id if image_class else ""
    objects = described.get("object") or []
    rows = []
    for each in objects if isinstance(objects, list) else [objects]:
        sides = [_number(_text_at(each, "bndbox", side)) for side in ("xmin", "xmax", "ymin", "ymax")]
        if None in sides:
            continue
        (left, right), (top, bottom) = (sorted(cast("list[int]", pair)) for pair in (sides[:2], sides[2:]))
        left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
        name = _text_at(each, "name") or ""
        name = name if _has_id(name, wnid) else wnid
        if left < right and top < bottom:
            flags = (int(_text_at(each, flag) == "1") for flag in ("truncated", "difficult"))
            rows.append(([left, top, right, bottom], name, labels.get(name, -1), *flags))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], [], []]
    of_class = {"cls": image_class.label, "cname": image_class.name, "wnid": wnid} if image_class else {}
    of_file = {"filename": filename, "width": width, "height": height, "annotated": document is not None}
    return of_class | of_file | dict(zip(("boxes", "names", "labels", "truncated", "difficult"), columns, strict=True))


def _has_id(name: str, wnid: str) -> bool:
    """Return whether `name` is an ID; in a set without classes it need not be a WordNet ID."""
    return bool(re.fullmatch("n[0-9]{8}" if wnid else "[a-z]+[0-9]+", name))


def size_in(document: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """Return the annotated width and height, in pixels, or None if the annotation has no possible ones."""
    described = (document or {}).get("annotation", {})
    width, height = (_number(_text_at(described, "size", side)) or 0 for side in ("width", "height"))
    return (width, height) if 0 < width < 10**9 and 0 < height < 10**9 else None


def _text_at(element: Any, *names: str) -> str | None:
    """Return the text of the element at the end of this path of names, or None if there is none or no single one."""
    for name in names:
        element = element.get(name) if isinstance(element, dict) else None
    if isinstance(element, dict):  # it has attributes
        element = element.get("#text")
    return element if isinstance(element, str) else None


def _number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"[+-]?([0-9]{1,15}(\.[0-9]*)?|\.[0-9]+)", text):
        return None
    return round(float(text))
