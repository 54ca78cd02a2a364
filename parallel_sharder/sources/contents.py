"""Contents: what was found in one place of the source, a folder or an archive or a part of one, on its way to the scan.

Crosses from the workers, which list places side by side, to the coordinator; so no numpy here.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parallel_sharder.model import IMAGE_SUFFIX, Kind, Place, Problem, printable

FLAT_KEYS = {"val": "ILSVRC2012_val_[0-9]{8}", "test": "ILSVRC2012_test_[0-9]{8}"}
"""The keys of splits whose file names do not tell the class; those of train are `<wnid>_<number>`."""

TRAIN_KEY = "{}_[0-9]{{1,20}}"
"""The keys of a class of train; longer ones would not fit a tar header."""

MISPLACED = "no image of this name belongs in this folder"
STRANGER = f"not named like an image, *{IMAGE_SUFFIX}"


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Files of one kind, sorted by key: the keys joined by newlines, and the sizes as native int64.

    `extents` are rows of native int64 as in columns.Extents; empty for loose files.
    """

    keys: str
    sizes: bytes
    extents: bytes = b""

    @classmethod
    def of(cls, sizes: Mapping[str, int], extents: Mapping[str, Sequence[int]] | None = None) -> FileColumns:
        """The columns of files given by their keys."""
        keys = sorted(sizes)
        rows = b"" if extents is None else array("q", (each for key in keys for each in extents[key])).tobytes()
        return cls("\n".join(keys), array("q", map(sizes.__getitem__, keys)).tobytes(), rows)

    def __len__(self) -> int:
        return len(self.sizes) // 8


NO_FILES = FileColumns("", b"")


@dataclass(frozen=True, slots=True)
class Contents:
    """What `place` holds; `name` is the folder's or inner archive's own, a wnid if it is a class's.

    `folders` are the names of sub-folders, sorted.
    """

    place: Place
    name: str
    images: FileColumns
    xmls: FileColumns
    folders: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def stranger(path: str) -> Problem:
    """What is said of the file at `path`, in a folder or an archive, that is nothing of the set."""
    return Problem(Kind.NOT_AN_IMAGE, printable(path), "", STRANGER)


def misfits(keys: Sequence[str], key_pattern: str) -> list[str]:
    """Those of `keys` that do not match."""
    lines = "".join(f"{key}\n" for key in keys)
    # All at once, as in most folders all match: a third of what one by one takes.
    if lines.count("\n") == len(keys) and re.fullmatch(f"(?:{key_pattern}\n)*+", lines):
        return []
    fits = re.compile(key_pattern).fullmatch
    return [key for key in keys if not fits(key)]
