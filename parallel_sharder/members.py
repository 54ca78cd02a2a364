"""One sample to its members: what WebDataset calls the files of one key, and what they hold.

Only this module knows the names and the order: `<key>.cls`, `<key>.jpg`, `<key>.json`, as the reference script
writes them; without a class (test), `<key>.jpg` and `<key>.json`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from parallel_sharder.model import ImageClass


class Readable(Protocol):
    """Content that is read into its place when the sample is laid out."""

    @property
    def length(self) -> int:
        """In bytes."""

    def read_into(self, view: memoryview, /) -> None:
        """Fill `view`, of exactly `length` bytes. Raises SampleError if the content is not what it should be."""


class Late(NamedTuple):
    """Content that is known only when what is before it in the sample has been read.

    `make` gives it then; it has at most `length` bytes.
    """

    length: int
    make: Callable[[], bytes]


class Member(NamedTuple):
    """One file of a shard: its full name and its content."""

    name: str
    content: bytes | Readable | Late


def fields(has_classes: bool) -> tuple[str, ...]:
    """What follows the key in the names of a sample's members, without the dot, in the order they are stored."""
    return ("cls", "jpg", "json") if has_classes else ("jpg", "json")


def label_text(image_class: ImageClass) -> bytes:
    """The content of `<key>.cls`."""
    return b"%d" % image_class.label


def sample_members(key: str, image: Readable, metadata: bytes | Late, image_class: ImageClass | None) -> list[Member]:
    """The members of one sample, in the order they are stored; `metadata` is its JSON."""
    members = [Member(key + ".jpg", image), Member(key + ".json", metadata)]
    return members if image_class is None else [Member(key + ".cls", label_text(image_class)), *members]


@functools.cache
def plain_json(image_class: ImageClass | None) -> bytes:
    """The JSON of a sample without annotation: one per class, so made once."""
    return annotated_json({}, image_class)


@functools.cache
def json_end(image_class: ImageClass | None) -> bytes:
    """What follows the annotation in the JSON of a sample with one, but for the last brace."""
    return b"" if image_class is None else b", " + plain_json(image_class)[1:-1]


def annotated_json(annotation: dict[str, Any], image_class: ImageClass | None) -> bytes:
    """The JSON of a sample with this annotation, which it changes. Raises RecursionError for one nested too deeply."""
    if image_class is not None:
        annotation["cls"] = image_class.label
        annotation["cname"] = image_class.name
    return json.dumps(annotation).encode("ascii")
