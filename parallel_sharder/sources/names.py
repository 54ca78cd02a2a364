"""Names: what a file of a source is by its name: an image, an annotation, junk of operating systems, or another file.

`NameRule` is the rule of one data set. Its source hands the rule to the functions that list places. The names of junk
and of archives are the same for all data sets. This code runs on the workers for each of a million names, so the usual
names are decided first.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from parallel_sharder.model import IMAGE_ENDINGS
from parallel_sharder.text import counted

_JUNK = frozenset((
    ".ds_store", ".localized", ".apdisk", "__macosx", ".appledouble", ".spotlight-v100", ".trashes", ".fseventsd",
    ".temporaryitems", ".documentrevisions-v100", "icon\r",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",
    "@eadir", "#recycle", "@recycle", ".snapshot", ".snapshots",
    ".ipynb_checkpoints", ".directory", "lost+found",
))  # fmt: skip
"""What macOS, Windows, network disks, notebooks, desktops and file systems leave in folders; names in lower case."""

_JUNK_BEGINNINGS = ("._", ".nfs", ".fuse_hidden", ".trash-")
"""How junk names begin: AppleDouble files, files that were removed while they were open, the trash of desktops."""

_ARCHIVE = re.compile(r"(.+?)(?: ?\([0-9]+\)| copy| - Copy)?\.(?:tar|tgz|tbz2|txz|zip|rar|7z)(?:\.\w+)*", re.IGNORECASE)
"""The names of archives, including second copies and unfinished downloads; the first group is the name inside."""


class NameKind(Enum):
    """What a file is by its name."""

    IMAGE = "image"
    ANNOTATION = "annotation"
    JUNK = "junk"
    OTHER = "other"


NO_KEYS = "(?!)"
"""The key pattern of a place that should hold only folders. It matches nothing."""


@dataclass(frozen=True, slots=True)
class NameRule:
    """How the files of a data set are named in some of its places. The rule crosses to workers.

    A file's name is its key and an ending: `image_suffix`, `annotation_suffix`, or another known ending of images and
    annotations. `key_pattern` matches the keys that belong in these places. `class_pattern` matches the names of
    classes, which folders and inner archives have as their names. Both are regular expressions.
    """

    image_suffix: str
    annotation_suffix: str
    class_pattern: str
    key_pattern: str = NO_KEYS

    def kind(self, name: str) -> NameKind:
        """Return what the file named `name` is."""
        if not name.startswith("."):
            if name.endswith(self.image_suffix):
                return NameKind.IMAGE
            if name.endswith(self.annotation_suffix):
                return NameKind.ANNOTATION
        if junk(name):
            return NameKind.JUNK
        ending = os.path.splitext(name)[1].lower()
        if ending in IMAGE_ENDINGS:
            return NameKind.IMAGE
        return NameKind.ANNOTATION if ending == self.annotation_suffix else NameKind.OTHER

    def misfits(self, keys: Sequence[str]) -> list[str]:
        """Return the keys among `keys` that do not belong in the rule's places."""
        lines = "".join(f"{key}\n" for key in keys)
        # In most folders all keys match. One match over all takes a third of the time of one match for each.
        if lines.count("\n") == len(keys) and re.fullmatch(f"(?:{self.key_pattern}\n)*+", lines):
            return []
        fits = re.compile(self.key_pattern).fullmatch
        return [key for key in keys if not fits(key)]

    def lost_images(self, names: Iterable[str], known: Collection[str]) -> set[str]:
        """Return the names that begin with a key that belongs here and is not among the `known` keys; one name a key.

        None of `names` has an image's ending. So `cat_1.jpg.part` is returned where no image cat_1 exists, and is not
        returned where one exists.
        """
        by_key = {name.lstrip(".").partition(".")[0]: name for name in sorted(names, reverse=True)}
        return {name for key, name in by_key.items() if key not in known and re.fullmatch(self.key_pattern, key)}


def junk(name: str) -> str:
    """Return the usual name of the junk that `name` is, such as `._*`; "" if `name` is not junk."""
    lower = name.lower()
    if lower in _JUNK:
        return name.rstrip("\r")
    return next((f"{beginning}*" for beginning in _JUNK_BEGINNINGS if lower.startswith(beginning)), "")


def junk_in(counts: Iterable[Iterable[tuple[str, int]]]) -> Counter[str]:
    """Return the junk of several places, counted by its usual names, from the counts of each place."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(dict(each))
    return total


def junk_told(counts: Counter[str]) -> Iterator[str]:
    """Yield the notice that junk was passed over, if there is some; `counts` are by its usual names."""
    if counts:
        some = counted(counts.total(), "file or folder was", "files and folders were")
        each = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
        yield f"{some} passed over, because systems leave them behind: {each}."


@functools.lru_cache(4096)
def junk_folder(folder: str) -> str:
    """Return the first folder on the path `folder`, including its last one, that is junk; "" if none is."""
    parts = folder.split("/")
    return next(("/".join(parts[:end]) for end, part in enumerate(parts, 1) if junk(part)), "")


class JunkCount:
    """The junk in an archive, counted as in a tree: a junk folder counts once, whatever it holds."""

    def __init__(self, rule: NameRule) -> None:
        self._rule = rule
        self._paths: set[str] = set()

    def kind(self, folder: str, name: str) -> NameKind:
        """Return what the file `name` in `folder` is, and count it if it is junk."""
        its_kind, left = self._rule.kind(name), junk_folder(folder)
        if left or its_kind is NameKind.JUNK:
            self._paths.add(left or f"{folder}/{name}")
            return NameKind.JUNK
        return its_kind

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """The usual names of the junk, sorted, each with its count."""
        return tuple(sorted(Counter(junk(os.path.basename(path)) for path in self._paths).items()))


def is_archive(name: str) -> bool:
    """Return whether `name` is the name of an archive."""
    return _ARCHIVE.fullmatch(name) is not None


def unpacked_name(name: str) -> str:
    """Return the name of what the archive `name` holds, which is `name` without its endings; other names unchanged."""
    match = _ARCHIVE.fullmatch(name)
    return match[1] if match else name
