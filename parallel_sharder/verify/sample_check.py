"""The check of a sample in a shard: its members' names, its key, image, class and JSON, and whether these agree.

Takes the members that tar_check yields, and groups them into samples. Yields what is wrong with each sample, by what
the manifest says of the set. This module has the members' names and order of its own, and json_form knows the JSON.
Neither imports a module that writes shards, so that no mistake of the writer can hide here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import xxhash

from parallel_sharder.verify.json_form import fault_in_form, fault_in_image, parsed
from parallel_sharder.verify.shard_reader import Content
from parallel_sharder.verify.tar_check import StoredMember

_KEY = re.compile(r"[!-~]{1,99}")
_KEYS_OF = {
    "train": re.compile("n[0-9]{8}_[0-9]{1,20}"),
    "val": re.compile("ILSVRC2012_val_[0-9]{8}"),
    "test": re.compile("ILSVRC2012_test_[0-9]{8}"),
}
_LABEL = re.compile(rb"0|[1-9][0-9]{0,9}")
_NOTHING = Content(b"", xxhash.xxh3_128_digest(b""))

_NAMES_LIMIT = 20
"""How many names of a sample's members are kept; there should be three members."""


@dataclass(frozen=True, slots=True)
class ExpectedSet:
    """What the manifest says of every sample of a set, and of their order.

    `classes` has WordNet ID and name of each label, and is empty for a set without classes. `annotations` is the form
    of the JSON. `on_bad` says how broken samples were handled. `seed` is the seed of the order, or None if the samples
    are in the order of their keys.
    """

    classes: Mapping[int, tuple[str, str]]
    split: str
    annotations: str
    on_bad: str
    seed: int | None

    @property
    def fields(self) -> list[str]:
        """The names of a sample's members, without its key, in the tar's order."""
        return ["cls", "jpg", "json"] if self.classes else ["jpg", "json"]


class StoredSample(NamedTuple):
    """Adjacent members that have the same key; `offset` is the offset of the first member's header.

    `names` has the names of its members without the key, and at most _NAMES_LIMIT of them. `contents` has the contents
    of the members that a sample should have, by name.
    """

    key: str
    offset: int
    names: list[str]
    contents: dict[str, Content]

    @property
    def image(self) -> Content:
        """The content of the image, which is empty if there is none."""
        return self.contents.get("jpg", _NOTHING)

    @property
    def json(self) -> Content:
        """The content of the JSON, which is empty if there is none."""
        return self.contents.get("json", _NOTHING)

    @property
    def has_key(self) -> bool:
        """Whether a sample can have its key."""
        return bool(_KEY.fullmatch(self.key))

    def label(self, expected: ExpectedSet) -> int | None:
        """Return the label in its cls, or None if that is no label of the set."""
        cls = self.contents.get("cls", _NOTHING).data
        return int(cls) if _LABEL.fullmatch(cls) and int(cls) in expected.classes else None


def samples_of(members: Iterable[StoredMember], expected: ExpectedSet) -> Iterator[StoredSample]:
    """Yield the samples that the members belong to, each as soon as a member with another key follows."""
    fields = expected.fields
    sample: StoredSample | None = None
    for name, offset, content in members:
        key, _, its_field = name.partition(".")
        if sample is None or key != sample.key:
            if sample is not None:
                yield sample
            sample = StoredSample(key, offset, [], {})
        if len(sample.names) < _NAMES_LIMIT:
            sample.names.append(its_field)
        if its_field in fields:
            sample.contents[its_field] = content
    if sample is not None:
        yield sample


def faults_in_sample(sample: StoredSample, expected: ExpectedSet) -> Iterator[str]:
    """Yield what is wrong with a sample: ends of sentences whose subject is the sample."""
    if not sample.has_key:
        yield "is not the name of a sample"
        return
    if sample.names != expected.fields:
        yield f"has the members {', '.join(sample.names)}; expected were {', '.join(expected.fields)}"
    if not _KEYS_OF.get(expected.split, _KEY).fullmatch(sample.key):
        yield f"is not the key of an image of {expected.split}"
    if "jpg" in sample.contents and expected.on_bad != "keep" and (fault := fault_in_image(sample.image.data)):
        yield f"its image is broken, and should have been left out: {fault}"
    if "json" in sample.contents:
        yield from _faults_in_metadata(sample, expected)


def _faults_in_metadata(sample: StoredSample, expected: ExpectedSet) -> Iterator[str]:
    """Yield what is wrong with cls and json: each must be well-formed, and both have the class that is in the key."""
    metadata, fault = parsed(sample.json.data)
    if metadata is not None:
        fault = fault_in_form(sample.key, metadata, expected.annotations, expected.classes, expected.on_bad)
    if fault:
        yield f"its json {fault}"
    if metadata is None or not expected.classes:
        return
    label = sample.label(expected)
    if label is None:
        cls = sample.contents.get("cls", _NOTHING).data
        yield f"its cls is {cls[:40]!r}, which is no label in the manifest"
        return
    wnid, name = expected.classes[label]
    its_label, its_name = metadata.get("cls"), metadata.get("cname")
    if type(its_label) is not int or (its_label, its_name) != (label, name):
        yield f"its cls is {label} ({name}), and its json has the class {its_label} ({its_name})"
    if expected.split == "train" and sample.key.partition("_")[0] != wnid:
        yield f"its cls is {label}, which is the label of {wnid}"
