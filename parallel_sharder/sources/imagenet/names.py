"""The names of ImageNet's files: a key contains the split or, in train, the class, whose name is its WordNet ID."""

from __future__ import annotations

import re

from parallel_sharder.model import IMAGE_SUFFIX, XML_SUFFIX
from parallel_sharder.sources.names import NO_KEYS, NameRule, unpacked_name

WNID = re.compile("n[0-9]{8}")
"""A WordNet ID, the name of a class folder."""

_FLAT_KEYS = {"val": "ILSVRC2012_val_[0-9]{8}", "test": "ILSVRC2012_test_[0-9]{8}"}
"""The keys of val and test, which do not contain the class. Keys of train are `<wnid>_<number>`."""

_TRAIN_KEY = "{}_[0-9]{{1,20}}"
"""The keys of a class of train. Longer keys would not fit in a tar header."""

EXPECTED = {
    "train": f"train/<wnid>/<wnid>_<number>{IMAGE_SUFFIX}",
    "val": f"val/[<wnid>/]ILSVRC2012_val_<8 digits>{IMAGE_SUFFIX}",
    "test": f"test/ILSVRC2012_test_<8 digits>{IMAGE_SUFFIX}",
}
"""The names and folders of each split's images, as messages show them."""


def name_rule(split: str, wnid: str = WNID.pattern) -> NameRule:
    """Return the rule for the files of `split`; in train, for the files of the class `wnid`, or of any class."""
    return _rule(_FLAT_KEYS.get(split, _TRAIN_KEY.format(wnid)))


def name_rule_of_both(wnid: str) -> NameRule:
    """Return the rule for the files of the class `wnid` where train and val are divided in another way."""
    return _rule(f"(?:{_TRAIN_KEY.format(wnid)}|{_FLAT_KEYS['val']})")


def name_rule_beside_classes(split: str) -> NameRule:
    """Return the rule for the folder of class folders, where images of val and test may lie, and none of train."""
    return _rule(_FLAT_KEYS.get(split, NO_KEYS))


def packed_class(name: str) -> str:
    """Return the wnid in `name`, if `name` is a wnid, or an archive's name that begins with one; "" for others."""
    stem = unpacked_name(name)
    return stem if WNID.fullmatch(stem) else ""


def _rule(key_pattern: str) -> NameRule:
    return NameRule(IMAGE_SUFFIX, XML_SUFFIX, WNID.pattern, key_pattern)
