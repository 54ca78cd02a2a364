"""A glance at a folder: the names in it, in a few words, and the split whose images it seems to hold.

It serves messages, and folders of images with unusual names. Only names are looked at, and at most ENTRIES_LIMIT of
them in each folder, so that a glance at any folder of any disk is quick.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from parallel_sharder.sources.folders import is_folder
from parallel_sharder.sources.imagenet.names import WNID, name_rule, packed_class
from parallel_sharder.sources.names import NameKind
from parallel_sharder.text import counted

ENTRIES_LIMIT = 10_000
"""With more, a glance is slow on a network's disk; with fewer, it misses images behind a thousand annotations."""

CLASSES_LIMIT = 20
"""How many class folders are looked into until one shows the split; in most sets the first one does."""

SHOWN_LIMIT = 3

CLASS_FOLDERS, FLAT, PACKED = "class folders", "flat folder", "packed classes"

_KEY = re.compile(rf"ILSVRC2012_(?P<split>val|test)_[0-9]{{8}}|{WNID.pattern}_[0-9]+")


class Seen(NamedTuple):
    """The images that a folder seems to hold: their split, and their arrangement in the folder."""

    split: str
    shape: str

    @property
    def is_usable(self) -> bool:
        """Whether the images can be read in this arrangement; train's must be in class folders or packed classes."""
        return self != ("train", FLAT)


class Glance(NamedTuple):
    """The names in a folder, sorted, of which some are missing if `is_whole` is False; none if it cannot be listed."""

    folders: tuple[str, ...]
    files: tuple[str, ...]
    is_whole: bool

    @classmethod
    def at(cls, path: Path) -> Glance:
        """Return a glance at the folder `path`."""
        try:
            with os.scandir(path) as entries:
                some = list(itertools.islice(entries, ENTRIES_LIMIT + 1))
        except OSError:
            some = []
        folders = {entry.name for entry in some if is_folder(entry)}
        files = {entry.name for entry in some}.difference(folders)
        return cls(tuple(sorted(folders)), tuple(sorted(files)), len(some) <= ENTRIES_LIMIT)

    @property
    def classes(self) -> list[str]:
        """The folders whose name is a WordNet ID."""
        return [name for name in self.folders if WNID.fullmatch(name)]

    @property
    def others(self) -> list[str]:
        """The folders whose name is no WordNet ID, without hidden ones."""
        return [name for name in self.folders if not name.startswith(".") and not WNID.fullmatch(name)]

    def __str__(self) -> str:
        endings = Counter(map(_ending, self.files))
        parts = []
        if self.folders:
            parts.append(f"{counted(len(self.folders), 'folder')} ({_first(self.folders)})")
        if self.files:
            kinds = ", ".join(f"{count:,} {ending}" for ending, count in endings.most_common(SHOWN_LIMIT))
            more = ", and others" if len(endings) > SHOWN_LIMIT else ""
            parts.append(f"{counted(len(self.files), 'file')} ({kinds}{more}; the first: {_first(self.files)})")
        at_least = "" if self.is_whole else "at least "
        return at_least + " and ".join(parts) if parts else "nothing"


def seen_in(path: Path) -> Seen | None:
    """Return the images that the folder at `path` seems to hold; None if it seems to hold none."""
    glance = Glance.at(path)
    for wnid in glance.classes[:CLASSES_LIMIT]:
        split = _split(Glance.at(path / wnid).files) or _split(Glance.at(path / wnid / wnid).files)
        if split is not None and split != "test":
            return Seen(split, CLASS_FOLDERS)
    split = _split(glance.files)
    if split is not None:
        return Seen(split, FLAT)
    return Seen("train", PACKED) if any(map(packed_class, glance.files)) else None


def leads_up(folder: Path) -> bool:
    """Return whether the path is a link to a folder that it lies in, at whatever level; such a link is not followed."""
    return os.path.islink(folder) and folder.parent.resolve().is_relative_to(folder.resolve())


def _ending(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return (".tar" * stem.endswith(".tar") + ending) or "without ending"


def _split(names: Iterable[str]) -> str | None:
    """Return the split of the first image among `names`; None if there is none."""
    kind = name_rule("train").kind  # a name's kind is the same in each split
    stems = (os.path.splitext(name)[0] for name in names if kind(name) is NameKind.IMAGE)
    match = next(filter(None, map(_KEY.fullmatch, stems)), None)
    return match["split"] or "train" if match else None


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN_LIMIT]) + (", ..." if len(names) > SHOWN_LIMIT else "")
