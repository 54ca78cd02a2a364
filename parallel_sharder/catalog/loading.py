"""Loading: how the samples of a set with these fields are read with webdataset, as words of Python.

The fields of a set come in, in the tar's order, each with whether all samples have it. The names are those that readers
give to a sample's values. Both the summary and the card show such lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from parallel_sharder.samples.image_fields import FIELDS

Fields = Sequence[tuple[str, bool]]

IMAGENET_FIELDS: Fields = (("cls", True), ("jpg", True), ("json", True))

IMAGES = frozenset(ending[1:] for ending in FIELDS)
"""The fields that hold images."""

_DECODED = frozenset(("jpg", "jpeg", "png", "ppm"))
"""The image fields that webdataset decodes without being asked: IMAGE_EXTENSIONS in its autodecode.py."""

_NAMES = {"cls": "label", "txt": "text", "json": "info"}


def reading(fields: Fields, image_field: str = "") -> tuple[str, str]:
    """Return what follows a webdataset in a line of Python so that it yields image and label, and the variables' names.

    A text that all samples have comes third. `image_field` is a field that holds all images under a name of its own. A
    sample without an image comes as a dict.
    """
    images = [image_field] if image_field else [name for name, _ in fields if name in IMAGES]
    if not images:
        return ".decode()", "sample"
    others = sorted(set(images) - _DECODED)
    decode = '"pil"' if not others else f'wds.imagehandler("pil", {[*images]!r})'.replace("'", '"')
    there = [name for name in _NAMES if (name, True) in fields]
    further = [name for name in there if name != "json"] or there or ["__key__"]
    names = ", ".join(f'"{name}"' for name in (";".join(images), *further))
    return f".decode({decode}).to_tuple({names})", ", ".join(["image", *(_NAMES.get(name, "key") for name in further)])
