"""Absent classes: those that have no image in the split that is read.

A class that has no image anywhere is a problem, because the set lacks a class. One that has images in another split is
worth a notice: it keeps its number, and another set has its images. So are all that only a long class list names.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.sources.class_folders.arrangement import Arrangement
from parallel_sharder.sources.class_folders.glances import holds_image
from parallel_sharder.text import shown

LONG_LIST = 10
"""A class list with more than this many times the classes that have folders is one of a larger set."""


class Absent(NamedTuple):
    """The classes without an image in the split: `elsewhere` are those of which another split has images.

    `only_listed` are those without a folder where the class list is that of a larger set; they are no problems.
    """

    problems: list[Problem]
    elsewhere: list[str]
    only_listed: list[str]


def absent_classes(
    arrangement: Arrangement, names: Collection[str], present: Collection[str], problems: Iterable[Problem]
) -> Absent:
    """Return the classes among `names` that are not `present`.

    A class whose images are all left out one by one, by `problems`, is not among them.
    """
    folder = str(arrangement.folder)
    lost = {os.path.relpath(each.path, folder).split("/")[0] for each in problems if each.leaves_out_sample}
    found = Absent([], [], [])
    folders = {split: {*classes} for split, classes in arrangement.classes.items()}
    known = {*present, *lost}.union(*folders.values())
    is_long = len(names) > LONG_LIST * len(known)
    for name in names:
        if name in present or name in lost:
            continue
        if is_long and name not in known:
            found.only_listed.append(shown(name))
        elif _is_elsewhere(arrangement, folders, name):
            found.elsewhere.append(shown(name))
        else:
            path = os.path.join(folder, name)
            detail = "the class keeps its number, and no sample has it"
            found.problems.append(Problem(Kind.EMPTY_CLASS, path, "", detail))
    return found


def _is_elsewhere(arrangement: Arrangement, folders: Mapping[str | None, set[str]], name: str) -> bool:
    """Return whether another split has an image of the class; train must have images of its own classes.

    `folders` has the class folders of each split.
    """
    split = arrangement.split
    if split == "train" and name in folders[split]:
        return False
    others = [each for each in arrangement.splits if each != split and name in folders[each]]
    return any(holds_image(arrangement.folder_of(each) / name) for each in others)
