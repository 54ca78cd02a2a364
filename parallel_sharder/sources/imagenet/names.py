"""The names of ImageNet's files: keys tell the split, and in train the class, which is called by its WordNet ID."""

from __future__ import annotations

from parallel_sharder.model import IMAGE_SUFFIX, WNID, XML_SUFFIX
from parallel_sharder.sources.names import NO_KEYS, NameRule, unpacked_name

_FLAT_KEYS = {"val": "ILSVRC2012_val_[0-9]{8}", "test": "ILSVRC2012_test_[0-9]{8}"}
"""The keys of splits whose file names do not tell the class; those of train are `<wnid>_<number>`."""

_TRAIN_KEY = "{}_[0-9]{{1,20}}"
"""The keys of a class of train; longer ones would not fit a tar header."""

EXPECTED = {
    "train": f"train/<wnid>/<wnid>_<number>{IMAGE_SUFFIX}",
    "val": f"val/[<wnid>/]ILSVRC2012_val_<8 digits>{IMAGE_SUFFIX}",
    "test": f"test/ILSVRC2012_test_<8 digits>{IMAGE_SUFFIX}",
}
"""How the images of each split are called and lie, for people."""


def name_rule(split: str, wnid: str = WNID.pattern) -> NameRule:
    """Return the rule for the images and annotations of `split`, in train those of the class `wnid` or of any."""
    return _rule(_FLAT_KEYS.get(split, _TRAIN_KEY.format(wnid)))


def name_rule_beside_classes(split: str) -> NameRule:
    """Return the rule for the folder of class folders: images of val may lie there, flat, and none of train."""
    return _rule(_FLAT_KEYS.get(split, NO_KEYS))


def packed_class(name: str) -> str:
    """The WordNet ID of the class that an archive of this name, or a file without ending, holds; "" for others."""
    stem = unpacked_name(name)
    return stem if WNID.fullmatch(stem) else ""


def _rule(key_pattern: str) -> NameRule:
    return NameRule(IMAGE_SUFFIX, XML_SUFFIX, WNID.pattern, key_pattern)
