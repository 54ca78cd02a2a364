"""Energon's dataset.yaml: what the samples of a folder are, as far as their fields say it.

Takes the fields that the samples of each shard have; returns the content of the file, or None where the fields do not
say enough. Images with a label are energon's ImageClassificationSample, images with a caption its CaptioningSample. An
image may be in a different field in each sample, and energon then takes the one that is there. Samples without label
and caption, such as those of a test set, are passed over.

Source: flavors/image_classification.py, flavors/captioning.py and flavors/webdataset/field_access.py of
megatron-energon 7.4.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from parallel_sharder.indexes.member_places import Columns
from parallel_sharder.samples.image_fields import FIELDS
from parallel_sharder.stores import store_of

JSON_BYTES_LIMIT = 1_000_000
"""A longer JSON is not read: reading it would take longer than the index of the shard."""

_SAMPLE = "sample_type:\n  __module__: megatron.energon\n  __class__: {name}\nfield_map:\n  image: {image}\n"
_LABEL = "  label: cls\n"
_LABEL_NAME = "  label_name: json[cname]\n"
_CAPTION = "  caption: txt\n"

_IMAGE_FIELDS = tuple(dict.fromkeys(("jpg", "png", "webp", *FIELDS.values())))


class ShardFields(NamedTuple):
    """The names of the fields that samples of a shard have, each combination once, and whether their JSON has `cname`.

    The JSON of the shard's first sample decides.
    """

    shapes: frozenset[tuple[str, ...]]
    has_cname: bool


def fields_in(path: str, samples: Sequence[Columns]) -> ShardFields:
    """Return the fields in the finished shard at `path`, which holds these samples."""
    return ShardFields(frozenset(columns.fields for columns in samples), _has_cname(path, samples[0]))


def _has_cname(path: str, columns: Columns) -> bool:
    """Return whether the JSON of the first of these samples has the name of its class."""
    if "json" not in columns.fields:
        return False
    place = columns.fields.index("json")
    size = columns.sizes[place][0]
    if size > JSON_BYTES_LIMIT:
        return False
    with store_of(path).open(path) as file:
        file.seek(columns.data[place][0])
        text = file.read(size)
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and isinstance(content.get("cname"), str)


def dataset_yaml(shards: Collection[ShardFields]) -> bytes | None:
    """Return the dataset.yaml of a folder with these shards, or None if no sample has an image and a label or caption.

    The name of the label is in it if each shard has it.
    """
    for word, name, entries in (
        ("cls", "ImageClassificationSample", _LABEL),
        ("txt", "CaptioningSample", _CAPTION),
    ):
        images = {field for shard in shards for field in _images_beside(word, shard)}
        if images:
            image = ",".join(field for field in _IMAGE_FIELDS if field in images)
            named = word == "cls" and all(shard.has_cname for shard in shards if any(_images_beside(word, shard)))
            return (_SAMPLE.format(name=name, image=image) + entries + _LABEL_NAME * named).encode("ascii")
    return None


def _images_beside(word: str, shard: ShardFields) -> Iterator[str]:
    """Yield the field of the image of all samples that have this word as a field, and one image."""
    for shape in shard.shapes:
        images = [field for field in shape if field in _IMAGE_FIELDS]
        if word in shape and len(images) == 1:
            yield images[0]


def word_lacking(shards: Collection[ShardFields], wanted: bytes) -> str:
    """Return the field of labels or captions that a `wanted` dataset.yaml names, if samples lack it beside others.

    Return "" if each shard has it in all samples or, as that of a test set, in none.
    """
    word = "cls" if _LABEL.encode("ascii") in wanted else "txt"
    counts = ([word in shape for shape in shard.shapes] for shard in shards)
    return word if any(any(has) and not all(has) for has in counts) else ""


def fields_lacking(present: str, wanted: bytes) -> list[str]:
    """Return the image fields that a `wanted` dataset.yaml names, and that the `present` one nowhere does."""
    match = re.search(rb"^  image: (\S+)$", wanted, re.MULTILINE)
    assert match is not None  # noqa: S101 - dataset_yaml has made it
    there = set(re.findall(r"\w+", present))
    return [field for field in match[1].decode("ascii").split(",") if field not in there]
