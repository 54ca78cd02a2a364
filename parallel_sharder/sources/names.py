"""What a file of a source is, by its name alone: an image, an annotation, one that systems leave behind, or another.

`Names` is the rule of one data set, which the source hands to whatever lists its places; what systems leave behind and
what archives are called is the same for all. Runs on the workers for each of a million names, so the usual ones are
told apart at once.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from parallel_sharder.model import IMAGE_ENDINGS

_JUNK = frozenset((
    ".ds_store", ".localized", ".apdisk", "__macosx", ".appledouble", ".spotlight-v100", ".trashes", ".fseventsd",
    ".temporaryitems", ".documentrevisions-v100", "icon\r",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",
    "@eadir", "#recycle", "@recycle", ".snapshot", ".snapshots",
    ".ipynb_checkpoints", ".directory", "lost+found",
))  # fmt: skip
"""In lower case: what macOS, Windows, network disks, notebooks, desktops and file systems leave in folders."""

_JUNK_BEGINNINGS = ("._", ".nfs", ".fuse_hidden", ".trash-")
"""AppleDouble files, files that were removed while they were open, and the trash of desktops."""

_ARCHIVE = re.compile(r"(.+?)(?: ?\([0-9]+\)| copy| - Copy)?\.(?:tar|tgz|tbz2|txz|zip|rar|7z)(?:\.\w+)*", re.IGNORECASE)
"""Archives by their names, second copies and unfinished downloads included."""


class Role(Enum):
    """What a name is that of."""

    IMAGE = "image"
    ANNOTATION = "annotation"
    JUNK = "junk"
    OTHER = "other"


NO_KEYS = "(?!)"
"""The key pattern of a place that should hold only folders: matches nothing."""


@dataclass(frozen=True, slots=True)
class Names:
    """How the files of a data set are called, in the places to which this rule is handed; it crosses to workers.

    A file is called by its key and an ending: `image_suffix` or `annotation_suffix`, or another that images and
    annotations are known to have. `key_pattern` matches the keys that belong there, `class_pattern` the names of
    classes, by which folders and inner archives are called. Both are regular expressions.
    """

    image_suffix: str
    annotation_suffix: str
    class_pattern: str
    key_pattern: str = NO_KEYS

    def role(self, name: str) -> Role:
        """Return what the file of this name is."""
        if not name.startswith("."):
            if name.endswith(self.image_suffix):
                return Role.IMAGE
            if name.endswith(self.annotation_suffix):
                return Role.ANNOTATION
        if junk(name):
            return Role.JUNK
        ending = os.path.splitext(name)[1].lower()
        if ending in IMAGE_ENDINGS:
            return Role.IMAGE
        return Role.ANNOTATION if ending == self.annotation_suffix else Role.OTHER

    def misfits(self, keys: Sequence[str]) -> list[str]:
        """Return those of `keys` that do not belong there."""
        lines = "".join(f"{key}\n" for key in keys)
        # All at once, as in most folders all match: a third of what one by one takes.
        if lines.count("\n") == len(keys) and re.fullmatch(f"(?:{self.key_pattern}\n)*+", lines):
            return []
        fits = re.compile(self.key_pattern).fullmatch
        return [key for key in keys if not fits(key)]

    def lost_images(self, names: Iterable[str], known: Collection[str]) -> set[str]:
        """Return those of `names`, none an image's, that begin as one that is not `known` does; one for each such key.

        So `cat_1.jpg.part` counts where there is no image cat_1, and does not where there is.
        """
        by_key = {name.lstrip(".").partition(".")[0]: name for name in sorted(names, reverse=True)}
        return {name for key, name in by_key.items() if key not in known and re.fullmatch(self.key_pattern, key)}


def junk(name: str) -> str:
    """What people know such files or folders by, such as `._*`, if systems leave them behind; "" for others."""
    lower = name.lower()
    if lower in _JUNK:
        return name.rstrip("\r")
    return next((f"{beginning}*" for beginning in _JUNK_BEGINNINGS if lower.startswith(beginning)), "")


@functools.lru_cache(4096)
def junk_folder(folder: str) -> str:
    """The first folder on the way to `folder`, itself included, that systems leave behind; "" if there is none."""
    parts = folder.split("/")
    return next(("/".join(parts[:end]) for end, part in enumerate(parts, 1) if junk(part)), "")


class JunkCount:
    """What systems have left in an archive, counted as in a tree: a folder once, whatever it holds."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._paths: set[str] = set()

    def role(self, folder: str, name: str) -> Role:
        """What the file of this name in this folder is; what systems have left is counted."""
        its_role, left = self._names.role(name), junk_folder(folder)
        if left or its_role is Role.JUNK:
            self._paths.add(left or f"{folder}/{name}")
            return Role.JUNK
        return its_role

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """How many there are of each, by the names that people know them by."""
        return tuple(sorted(Counter(junk(os.path.basename(path)) for path in self._paths).items()))


def is_archive(name: str) -> bool:
    """Whether a file of this name seems to be an archive."""
    return _ARCHIVE.fullmatch(name) is not None


def unpacked_name(name: str) -> str:
    """What an archive of this name holds, by that name; for another file, its name as it is."""
    match = _ARCHIVE.fullmatch(name)
    return match[1] if match else name
