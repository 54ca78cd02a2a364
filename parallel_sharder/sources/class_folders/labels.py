"""Labels: the class table of a set in class folders, and the labels of images that lie in no class folder.

The class folders of each split and a class list go in, and a ClassTable comes out. Without a list, train's classes are
0 to N-1 in the bytewise order of their names, and those that only other splits have follow. So all splits of a set have
one table. A file of labels, as tiny-imagenet's val has one, names the class of each image of a split.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from parallel_sharder.errors import SourceError
from parallel_sharder.model import ImageClass
from parallel_sharder.sources.small_files import decode_text, read_content
from parallel_sharder.text import first_few, shown

_NAMED = 10


@dataclass(frozen=True)
class ClassTable:
    """The classes in the order of their labels: the names of their folders, each with its words.

    `further` are the names of those that train's folder has not, if there is one, and that no class list has ordered.
    """

    words: Mapping[str, str]
    further: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, int]:
        """The label of each class, by its name."""
        return {name: label for label, name in enumerate(self.words)}

    @property
    def classes(self) -> tuple[ImageClass, ...]:
        """The classes for the Listing. A byte of a name that is no UTF-8 is shown as in our lists."""
        rows = enumerate(self.words.items())
        named = ((label, shown(name), "" if words == name else words) for label, (name, words) in rows)
        return tuple(ImageClass(label, words or name, name) for label, name, words in named)


def class_table(
    folders: Mapping[str | None, Sequence[str]], listed: Mapping[str, str] | None, meta: object
) -> ClassTable:
    """Return the table of the classes that the splits have in `folders`; None is the split of a set without splits.

    `listed` is the class list that was read from `meta`. Raises SourceError if it lacks a class.
    """
    every = sorted({name for names in folders.values() for name in names}, key=os.fsencode)
    if listed is not None:
        unknown = [name for name in every if name not in listed]
        if unknown:
            raise SourceError(
                f"{meta} does not list the class{'es' if len(unknown) > 1 else ''} {first_few(unknown, _NAMED)}. Add "
                "lines for all classes, or leave --meta out, which orders the classes by their names."
            )
        return ClassTable(listed)
    _refuse_alike(every)
    first = folders.get("train", [])
    known = {*first}
    further = tuple(name for name in every if name not in known)
    return ClassTable({name: name for name in (*first, *further)}, further if first else ())


def _refuse_alike(names: Sequence[str]) -> None:
    """Raise SourceError if two names are shown alike: one has the hex digits of the other's byte that is no UTF-8."""
    by_shown: dict[str, str] = {}
    for name in names:
        other = by_shown.setdefault(shown(name), name)
        if other != name:
            raise SourceError(f"two class folders are both shown as {shown(name)}. Rename one of them.")


def read_labels(path: Path) -> dict[str, str]:
    """Return the class of each image that the file of labels at `path` names; further columns are passed over.

    Each line is the name of an image's file, a tab, and the name of a class. Raises SourceError for another line, and
    for an image with two classes.
    """
    try:
        lines = decode_text(read_content(path), path).splitlines()
    except ValueError as error:
        raise SourceError(f"{path}: {error}. Download it again.") from error
    labels: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        image, name, *_ = (*line.split("\t"), "")
        if not image or not name:
            raise SourceError(f"{path}: line {number} is not an image's name, a tab and a class. Download it again.")
        if labels.setdefault(image, name) != name:
            raise SourceError(f"{path}: line {number} gives {image} another class than an earlier line. Mend it.")
    return labels
