"""Listed: what the workers have found in folders of a split, and the rule by which they look.

A FolderRule crosses to the workers, and a Listed comes back: a row for each image, and all other files counted. The
coordinator makes arrays of the columns. Workers do without numpy, so this module does not import it. It reads nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from parallel_sharder.model import Problem
from parallel_sharder.sources.class_folders.rows import Columns

Identity = tuple[int, int]
"""A folder, whatever the links that lead to it: the number of its device and its own."""


class Why(enum.StrEnum):
    """Why a file is no image of the set, and is not joined to one."""

    SIDE = "side"
    ORPHAN = "orphan"
    HIDDEN = "hidden"
    BESIDE = "beside"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Passed:
    """Files that are passed over for one reason: how many have the ending ("" for no word), and the first path."""

    why: Why
    ending: str
    count: int
    first: str


@dataclass(frozen=True, slots=True)
class FolderRule:
    """How folders are read: the fields of joined files, in lower case, and the folders that no link may lead back to.

    With `passes`, no image counts: all files are passed over for this reason. `labels` is the name of the file of
    labels in the split's own folder, "" if there is none. `classes` are the names of all splits' class folders.
    """

    fields: tuple[str, ...] = ()
    above: frozenset[Identity] = frozenset()
    passes: Why | None = None
    labels: str = ""
    classes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Listed:
    """The images in some folders of a split, in the order of the folders, and what else is there.

    `tops` has each of these folders with the count of its rows, which follow each other. `folders` are the names of
    sub-folders that were not looked into. `junk` lists the usual names of the junk, each with its count.
    """

    tops: tuple[tuple[str, int], ...]
    images: Columns
    folders: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    junk: tuple[tuple[str, int], ...] = ()
    passed: tuple[Passed, ...] = ()


@dataclass
class PassedCount:
    """Files that are passed over, counted by reason and ending; of each, the first path in sorted order is kept."""

    _found: dict[tuple[Why, str], tuple[int, str]] = field(default_factory=dict)

    def add(self, why: Why, ending: str, path: str, count: int = 1) -> None:
        """Count files with this ending, of which `path` is the first."""
        before, first = self._found.get((why, ending), (0, path))
        self._found[why, ending] = before + count, min(first, path)

    def add_all(self, some: Iterable[Passed]) -> None:
        """Count files that were counted elsewhere."""
        for each in some:
            self.add(each.why, each.ending, each.first, each.count)

    @property
    def rows(self) -> tuple[Passed, ...]:
        """The counts, by reason; those with the most files first."""
        rows = (Passed(*key, *found) for key, found in self._found.items())
        return tuple(sorted(rows, key=lambda row: (row.why, -row.count, row.ending)))


def passed_of(some: Iterable[Listed]) -> tuple[Passed, ...]:
    """Return the files that are passed over in all of these, by reason and ending."""
    count = PassedCount()
    for each in some:
        count.add_all(each.passed)
    return count.rows
