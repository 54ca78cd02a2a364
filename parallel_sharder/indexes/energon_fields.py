"""Energon's dataset.yaml: what the samples of a folder are, as far as their fields say it.

Takes the fields that the samples of each shard have; returns what the file says, or None where the fields do not say
enough. Images with a label are energon's ImageClassificationSample, images with a caption its CaptioningSample. An
image may be in a different field in each sample, and energon then takes the one that is there. Samples without label
and caption, such as those of a test set, are passed over.

Source: flavors/image_classification.py, flavors/captioning.py and flavors/webdataset/field_access.py of
megatron-energon 7.4.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from parallel_sharder.indexes.member_places import Columns
from parallel_sharder.samples.image_fields import FORMATS
from parallel_sharder.stores import store_of

_JSON_BYTES_LIMIT = 1_000_000
"""A longer JSON is not read: reading it would take longer than the index of the shard."""

_SAMPLE = "sample_type:\n  __module__: megatron.energon\n  __class__: {name}\nfield_map:\n  image: {image}\n"
_LABEL_NAME = "  label_name: json[cname]\n"
_OF_WORDS = {
    "cls": ("ImageClassificationSample", "  label: cls\n"),
    "txt": ("CaptioningSample", "  caption: txt\n"),
}
"""Energon's class for samples with an image and this field, and the entry that names the field."""


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
    if size > _JSON_BYTES_LIMIT:
        return False
    with store_of(path).open(path) as file:
        file.seek(columns.data[place][0])
        text = file.read(size)
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and isinstance(content.get("cname"), str)


class Dataset(NamedTuple):
    """What the dataset.yaml of a folder says: the fields of images, and that of labels (`cls`) or captions (`txt`).

    `has_names` says whether the JSON has the name of each label.
    """

    images: tuple[str, ...]
    word: str
    has_names: bool

    def yaml(self) -> bytes:
        """Return the content of the file."""
        name, entry = _OF_WORDS[self.word]
        text = _SAMPLE.format(name=name, image=",".join(self.images)) + entry + _LABEL_NAME * self.has_names
        return text.encode("ascii")


def dataset_of(shards: Collection[ShardFields]) -> Dataset | None:
    """Return the Dataset of a folder with these shards, or None if no sample has an image and a label or caption.

    It has the names of labels if each shard with labels has them.
    """
    for word in _OF_WORDS:
        images = [{*_images_beside(word, shard)} for shard in shards]
        found = {field for some in images for field in some}
        if found:
            has_names = word == "cls" and all(
                shard.has_cname for shard, some in zip(shards, images, strict=True) if some
            )
            return Dataset(tuple(field for field in FORMATS if field in found), word, has_names)
    return None


def _images_beside(word: str, shard: ShardFields) -> Iterator[str]:
    """Yield the field of the image of all samples that have this word as a field, and one image."""
    for shape in shard.shapes:
        images = [field for field in shape if field in FORMATS]
        if word in shape and len(images) == 1:
            yield images[0]


def is_word_lacking(shards: Collection[ShardFields], word: str) -> bool:
    """Return whether samples lack this field beside others of their shard that have it.

    It may be in all samples of a shard or, as in that of a test set, in none.
    """
    counts = ([word in shape for shape in shard.shapes] for shard in shards)
    return any(any(has) and not all(has) for has in counts)


def fields_lacking(present: str, images: Iterable[str]) -> list[str]:
    """Return the fields of images that the `present` dataset.yaml nowhere names."""
    there = set(re.findall(r"\w+", present))
    return [field for field in images if field not in there]
