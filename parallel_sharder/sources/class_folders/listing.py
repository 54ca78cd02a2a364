"""Listing: some folders of a split, with all that is below them, become a Listed. This is a task of the scan.

The path of the split's folder, the names of folders in it and a FolderRule go in. Each file that is found is a row, is
joined to a row, is counted under the reason why it is passed over, or is a problem. Links are followed, but for those
that lead to a folder above them. Workers run this module, so it does not import numpy.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.sources.class_folders.endings import (
    NOT_READ,
    packed_classes,
    packed_image,
    shown_ending,
    split_name,
    unfinished_image,
)
from parallel_sharder.sources.class_folders.folders import Found, look_into
from parallel_sharder.sources.class_folders.listed import FolderRule, Listed, PassedCount, Why
from parallel_sharder.sources.class_folders.rows import Folder, Rows
from parallel_sharder.sources.folders import UNREADABLE, why_unreadable
from parallel_sharder.sources.key_rule import keys_of

CIRCLE = "a link to a folder above it, which is not followed"
NO_FIELD = "images that end in {} are not converted; give it the ending of its format, or convert it"


def list_folders(path: str, tops: Sequence[str], rule: FolderRule) -> Listed:
    """Return what is in and below the folders `tops` of the folder `path`.

    Raises SourceError if a folder cannot be listed, and if two files of one field belong to one image.
    """
    lister = _Lister(path, rule)
    return lister.listed(tuple((top, lister.walk(top)) for top in tops))


def list_top(path: str, rule: FolderRule) -> Listed:
    """Return what is in the folder `path`, as `list_folders`; the folders in it are named, and not looked into."""
    lister = _Lister(path, rule)
    found = look_into(path, rule.fields)
    packed = packed_classes(found.others, {*found.folders}, rule.classes) if rule.passes is None else {}
    for name, inside in packed.items():
        lister.add_packed_class(name, inside)
    found.others[:] = [name for name in found.others if name != rule.labels and name not in packed]
    for column in found.columns:
        column.pop(rule.labels, None)
    return lister.listed((("", lister.add("", found)),), tuple(sorted(found.folders)))


class _Lister:
    """The rows and counts of a Listed, which grow folder by folder."""

    def __init__(self, path: str, rule: FolderRule) -> None:
        self._path, self._rule = path, rule
        self._rows = Rows(rule.fields)
        self._problems: list[Problem] = []
        self._junk: Counter[str] = Counter()
        self._passed = PassedCount()

    def walk(self, top: str) -> int:
        """Add the folder `top` and all below it; return the count of rows."""
        count = 0
        waiting = [(top, self._rule.above)]
        while waiting:
            inner, above = waiting.pop()
            found = look_into(os.path.join(self._path, inner), self._rule.fields)
            if found.identity in above:
                self._problem(Kind.NOT_AN_IMAGE, inner, CIRCLE)
                continue
            count += self.add(inner, found)
            below = above | {found.identity}
            waiting += [(f"{inner}/{name}", below) for name in sorted(found.folders, reverse=True)]
        return count

    def add(self, inner: str, found: Found) -> int:
        """Add what was found in the folder at the path `inner` below the split; return the count of rows."""
        prefix = f"{inner}/" if inner else ""
        self._junk.update(found.junk)
        for name in found.broken:
            self._problem(Kind.NOT_AN_IMAGE, prefix + name, why_unreadable(f"{self._path}/{prefix}{name}"))
        if self._rule.passes is not None:
            for name in (*found.others, *(name for column in found.columns for name in column)):
                self._passed.add(self._rule.passes, shown_ending(name), prefix + name)
            return 0
        images, *columns = found.columns
        stems = {os.path.splitext(name)[0] for name in images} if found.others or any(columns) else set()
        self._add_others(prefix, found.others, images, stems)
        sides = [self._side_files(prefix, column, stems) for column in columns]
        return self._add_images(prefix, found, sides) if images else 0

    def add_packed_class(self, name: str, inside: str) -> None:
        """Note that the file `name` in the split's own folder is the archive of the class `inside`."""
        self._problem(Kind.PACKED_CLASS, name, f"unpack it into a folder {inside}, or move it away")

    def listed(self, tops: tuple[tuple[str, int], ...], folders: tuple[str, ...] = ()) -> Listed:
        """Return all that was added."""
        return Listed(
            tops,
            self._rows.columns(),
            folders,
            tuple(sorted(self._problems, key=lambda problem: problem.path)),
            tuple(sorted(self._junk.items())),
            self._passed.rows,
        )

    def _add_images(self, prefix: str, found: Found, sides: Sequence[Mapping[str, str]]) -> int:
        """Add a row for each image that can be read with all its files; return the count of rows.

        `sides` has the joined files of each field by their stems.
        """
        images, *columns = found.columns
        names = sorted(images)
        paths = os.fsencode(prefix + f"\0{prefix}".join(names)).split(b"\0")
        joined = [[by_stem.get(split_name(name)[0], "") for name in names] if by_stem else [] for by_stem in sides]
        folder = Folder(prefix, names, paths, keys_of(paths), joined)
        lost = _unreadable_rows(folder, found)
        for row, name in lost.items():
            reason = why_unreadable(f"{self._path}/{prefix}{name}")
            self._problem(Kind.UNREADABLE, prefix + name, reason, folder.keys[row].decode())
        folder = folder.without(lost) if lost else folder
        self._rows.add(folder, images, columns)
        return len(folder.names)

    def _side_files(self, prefix: str, column: Mapping[str, int], stems: Container[str]) -> dict[str, str]:
        """Return the names of one field's files by their stems, which are images'; the others are passed over.

        Raises SourceError for two files of one stem.
        """
        by_stem: dict[str, str] = {}
        for name in sorted(column):
            stem, ending = split_name(name)
            if stem not in stems:
                self._passed.add(Why.ORPHAN, ending, prefix + name)
            elif stem in by_stem:
                one, other = (f"{self._path}/{prefix}{each}" for each in (by_stem[stem], name))
                raise SourceError(
                    f"{one} and {other} would be one field of one sample. Remove or rename the wrong one."
                )
            else:
                by_stem[stem] = name
        return by_stem

    def _add_others(self, prefix: str, others: Iterable[str], images: Container[str], stems: Container[str]) -> None:
        """Count files that are neither images nor joined, and find the images that they should have been."""
        for name in others:
            stem, ending = split_name(name)
            inside = unfinished_image(name)
            packed = packed_image(name)
            if inside and inside not in images:
                self._problem(Kind.OTHER_ENDING, prefix + name, "no image's ending; it may be unfinished")
            elif ending in NOT_READ:
                self._problem(Kind.OTHER_ENDING, prefix + name, NO_FIELD.format(ending))
            elif packed and packed not in images:
                self._problem(Kind.PACKED_IMAGE, prefix + name, "unpack it, or remove it")
            else:
                self._passed.add(Why.SIDE if stem in stems else Why.OTHER, shown_ending(name), prefix + name)

    def _problem(self, kind: Kind, inner: str, detail: str, key: str = "") -> None:
        self._problems.append(Problem(kind, os.path.join(self._path, inner), key, detail))


def _unreadable_rows(folder: Folder, found: Found) -> dict[int, str]:
    """Return the rows of which a file cannot be read, each with the name of that file."""
    lost: dict[int, str] = {}
    for names, sizes in zip([folder.names, *folder.joined], found.columns, strict=True):
        if UNREADABLE in sizes.values():
            lost = {row: name for row, name in enumerate(names) if sizes.get(name) == UNREADABLE} | lost
    return lost
