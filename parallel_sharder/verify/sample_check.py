"""The check of a sample in a shard: its members' names, its key, image, class and JSON, and whether these agree.

Takes the members that tar_check yields, and groups them into samples. Yields what is wrong with each sample, by what
the manifest says of the set. This module has the members' names and order of its own, foreign_sample divides names as
readers do, and json_form knows the JSON. None imports a module that writes shards, so that no mistake of the writer can
hide here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import xxhash

from parallel_sharder.verify.foreign_sample import parted
from parallel_sharder.verify.json_form import (
    IMAGE_FORMATS,
    fault_in_form,
    fault_in_image,
    faults_in_files_json,
    parsed,
)
from parallel_sharder.verify.shard_reader import Content
from parallel_sharder.verify.tar_check import StoredMember

_KEY = re.compile(r"[!-~]{1,99}")
_KEYS_OF = {
    "train": re.compile("n[0-9]{8}_[0-9]{1,20}"),
    "val": re.compile("ILSVRC2012_val_[0-9]{8}"),
    "test": re.compile("ILSVRC2012_test_[0-9]{8}"),
}
_KEY_OF_BOTH = re.compile("n[0-9]{8}_[0-9]{1,20}|ILSVRC2012_val_[0-9]{8}")
"""The keys where ImageNet's train and val are divided in another way than officially, as in Imagenette."""

_ROW_KEY = re.compile("(?:train|val|validation|test)-[A-Za-z0-9_-]{1,60}_[0-9]{1,15}")
"""The keys where a table of ImageNet has rows that do not name their images."""

_LABEL = re.compile(rb"0|[1-9][0-9]{0,9}")
_NOTHING = Content(b"", xxhash.xxh3_128_digest(b""))

_PATH_KEY = re.compile(r"[A-Za-z0-9_/=~-]{1,99}")

_IMAGENET_FORMS = frozenset(("original", "boxes", "none"))
FILES_FORMS = frozenset(("folders", "table"))

_NAMES_LIMIT = 100
"""How many names of a sample's members are kept; few samples have more than five members."""


@dataclass(frozen=True, slots=True)
class ExpectedSet:
    """What the manifest says of every sample of a set, and of their order.

    `classes` has ID and name of each label, and is empty for a set without classes. `annotations` is the form of the
    samples. `on_bad` says how broken samples were handled. `seed` is the seed of the order, or None if the samples are
    in the order of their keys. `selection` is the manifest's.
    """

    classes: Mapping[int, tuple[str, str]]
    split: str | None
    annotations: str
    on_bad: str
    seed: int | None
    selection: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_labelled(self) -> bool:
        """Whether each sample has a label."""
        return bool(self.classes) or bool(self.selection.get("has_row_labels"))

    @property
    def is_ordered(self) -> bool:
        """Whether the keys alone say in which order the samples are."""
        return self.annotations != "shards" or self.seed is not None

    @property
    def kept(self) -> frozenset[str]:
        """The fields whose contents are looked at."""
        if self.annotations == "shards":
            return frozenset()
        return frozenset({"cls", "json", *self.image_fields})

    @property
    def image_fields(self) -> tuple[str, ...]:
        """The fields that an image can have."""
        if self.annotations not in FILES_FORMS:
            return ("jpg",)
        its_field = self.selection.get("image_field")
        return (its_field,) if its_field else IMAGE_FORMATS


class StoredSample(NamedTuple):
    """Adjacent members that have the same key; `offset` is the offset of the first member's header.

    `names` has the names of its members without the key, and at most _NAMES_LIMIT of them. `contents` has the contents
    of the members that are looked at, by name. `others` has a digest of the name and the digest of what is compared
    besides image and JSON; it is empty if no digests were asked for.
    """

    key: str
    offset: int
    names: list[str]
    contents: dict[str, Content]
    others: list[bytes]

    def image(self, expected: ExpectedSet) -> Content:
        """Return the content of the image, which is empty if there is none."""
        found = (self.contents[field] for field in expected.image_fields if field in self.contents)
        return next(found, _NOTHING)

    @property
    def json(self) -> Content:
        """The content of the JSON, which is empty if there is none."""
        return self.contents.get("json", _NOTHING)

    @property
    def cls(self) -> bytes:
        """The content of its cls, which is empty if there is none."""
        return self.contents.get("cls", _NOTHING).data

    @property
    def digest_of_others(self) -> bytes:
        """The digest of `others`."""
        return xxhash.xxh3_128_digest(b"".join(self.others))

    @property
    def has_key(self) -> bool:
        """Whether a sample can have its key."""
        return bool(_KEY.fullmatch(self.key))

    def label(self, expected: ExpectedSet) -> int | None:
        """Return the label in its cls, or None if that is no label of the set."""
        cls = self.cls
        if not _LABEL.fullmatch(cls):
            return None
        return int(cls) if int(cls) in expected.classes or not expected.classes else None


def samples_of(members: Iterable[StoredMember], expected: ExpectedSet) -> Iterator[StoredSample]:
    """Yield the samples that the members belong to, each as soon as a member with another key follows."""
    kept, ours = expected.kept, expected.annotations in _IMAGENET_FORMS
    sample: StoredSample | None = None
    for name, offset, content in members:
        key, its_field = parted(name)
        if sample is None or key != sample.key:
            if sample is not None:
                yield sample
            sample = StoredSample(key, offset, [], {}, [])
        if len(sample.names) < _NAMES_LIMIT:
            sample.names.append(its_field)
        if its_field in kept:
            sample.contents[its_field] = content
        if content.digest and not ours and (its_field not in kept or its_field == "cls"):
            entry = its_field.encode("utf-8", "surrogateescape") + b"\0" + content.digest
            sample.others.append(xxhash.xxh3_128_digest(entry))
    if sample is not None:
        yield sample


def faults_in_sample(sample: StoredSample, expected: ExpectedSet) -> Iterator[str]:
    """Yield what is wrong with a sample: ends of sentences whose subject is the sample."""
    if not sample.has_key:
        yield "is not the name of a sample"
    elif expected.annotations == "shards":
        yield from _faults_in_names(sample)
    elif expected.annotations in FILES_FORMS:
        yield from _faults_in_files(sample, expected)
    else:
        yield from _faults_in_annotated(sample, expected)


def _faults_in_names(sample: StoredSample) -> Iterator[str]:
    """Yield the field that a sample of other shards has twice; what its members hold is whose it was before."""
    twice = [name for name, count in Counter(sample.names).items() if count > 1]
    if twice:
        yield f"has the member {twice[0]} twice"


def _faults_in_annotated(sample: StoredSample, expected: ExpectedSet) -> Iterator[str]:
    fields = ["cls", "jpg", "json"] if expected.classes else ["jpg", "json"]
    if sample.names != fields:
        yield f"has the members {', '.join(sample.names)}; expected were {', '.join(fields)}"
    its_keys = _KEY_OF_BOTH if expected.selection.get("another_split") else _KEYS_OF.get(expected.split or "", _KEY)
    is_row_key = expected.selection.get("row_keys") and _ROW_KEY.fullmatch(sample.key)
    if not (its_keys.fullmatch(sample.key) or is_row_key):
        yield f"is not the key of an image of {expected.split}"
    image = sample.contents.get("jpg")
    if image is not None and expected.on_bad != "keep" and (fault := fault_in_image(image.data)):
        yield f"its image is broken, and should have been left out: {fault}"
    if "json" in sample.contents:
        yield from _faults_in_metadata(sample, expected)


def _faults_in_files(sample: StoredSample, expected: ExpectedSet) -> Iterator[str]:
    """Yield what is wrong with a sample of class folders or of a table: its members, key, image, label and JSON."""
    selection = expected.selection
    sides = [name for name in selection.get("with", ()) if name != "json"]
    sides += ["txt"] if selection.get("caption") else []
    image = next((name for name in sample.names if name in expected.image_fields), "")
    fields = [
        *(["cls"] if expected.is_labelled else []),
        *([image] if image else ["an image"]),
        *(side for side in sides if side in sample.names),
        "json",
    ]
    if sample.names != fields:
        yield f"has the members {', '.join(sample.names)}; expected were {', '.join(fields)}"
    if selection.get("key") is None and not _PATH_KEY.fullmatch(sample.key):
        yield "is not a key that the rule makes of a path"
    if image and expected.on_bad != "keep" and (fault := fault_in_image(sample.contents[image].data)):
        yield f"its image is broken, and should have been left out: {fault}"
    label = sample.label(expected) if expected.is_labelled else None
    if expected.is_labelled and label is None:
        yield _no_label(sample)
    if "json" in sample.contents and "json" not in selection.get("with", ()):
        yield from faults_in_files_json(
            sample.json.data,
            label,
            expected.classes,
            is_labelled=expected.is_labelled,
            is_table=expected.annotations == "table",
        )


def _no_label(sample: StoredSample) -> str:
    return f"its cls is {sample.cls[:40]!r}, which is no label in the manifest"


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
        yield _no_label(sample)
        return
    wnid, name = expected.classes[label]
    its_label, its_name = metadata.get("cls"), metadata.get("cname")
    if type(its_label) is not int or (its_label, its_name) != (label, name):
        yield f"its cls is {label} ({name}), and its json has the class {its_label} ({its_name})"
    named, _, _ = sample.key.partition("_")
    if named.startswith("n") and named != wnid:
        yield f"its cls is {label}, which is the label of {wnid}"
