"""The form of a sample's JSON, for the witness: it knows it by itself, so that no mistake of boxes.py can hide here.

What a set with `--annotations boxes` or `none` has to hold, by the manifest alone, and by the source. Of the package
it uses only what parses an annotation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, cast

from parallel_sharder.model import IMAGE_ENDINGS, ImageClass

_BOXES_FORM: dict[str, type] = {
    "cls": int, "cname": str, "wnid": str, "filename": str, "width": int, "height": int, "annotated": bool,
    "boxes": list, "names": list, "labels": list, "truncated": list, "difficult": list,
}  # fmt: skip
_OF_A_CLASS = ("cls", "cname", "wnid")


def fault_in_form(
    key: str, metadata: Mapping[str, Any], annotations: str, classes: Mapping[int, tuple[str, str]]
) -> str:
    """What is wrong with the form of a sample's JSON, "" if nothing is: which fields there are, of which types, and
    whether they fit each other and the key.
    """
    if annotations == "none":
        allowed = ["cls", "cname"] if classes else []
        return "" if [*metadata] == allowed else f"has {', '.join(metadata)}, and there should be no annotation"
    if annotations != "boxes":
        return ""
    form = {name: kind for name, kind in _BOXES_FORM.items() if classes or name not in _OF_A_CLASS}
    if [(name, type(value)) for name, value in metadata.items()] != [*form.items()]:
        return f"has not the fields {', '.join(form)}, or not of their types"
    width, height = metadata["width"], metadata["height"]
    stem, ending = os.path.splitext(metadata["filename"])
    if min(width, height) < 0 or stem != key or ending.lower() not in IMAGE_ENDINGS:
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


def expected_boxes(
    image_class: ImageClass | None,
    document: Mapping[str, Any] | None,
    image_size: tuple[int, int],
    labels: Mapping[str, int],
    filename: str,
) -> dict[str, Any]:
    """The boxes form of a sample's JSON, from its parsed annotation, if there is one, and its image's size and name."""
    described = (document or {}).get("annotation", {})
    width, height = (_number(_inside(described, "size", side)) or 0 for side in ("width", "height"))
    if not (0 < width < 10**9 and 0 < height < 10**9):
        width, height = image_size
    wnid = image_class.wnid if image_class else ""
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


def _inside(element: Any, *names: str) -> str | None:
    """The text of an element within others; None if there is none, or not one."""
    for name in names:
        element = element.get(name) if isinstance(element, dict) else None
    if isinstance(element, dict):  # it has attributes
        element = element.get("#text")
    return element if isinstance(element, str) else None


def _number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"[+-]?([0-9]{1,15}(\.[0-9]*)?|\.[0-9]+)", text):
        return None
    return round(float(text))
