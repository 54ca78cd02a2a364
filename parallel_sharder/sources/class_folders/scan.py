"""The scan of class folders: an Arrangement becomes a Listing.

The folders are listed on the workers, many at a time where there are many. The scan numbers the classes, labels each
image by its folder or by a file of labels, and says of every file below the root what has become of it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from parallel_sharder.columns import Int32s
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.model import Listing, Place, Problem
from parallel_sharder.sources.class_folders.absent import absent_classes
from parallel_sharder.sources.class_folders.arrangement import Arrangement
from parallel_sharder.sources.class_folders.assembled import Assembled, assemble
from parallel_sharder.sources.class_folders.labels import ClassTable, class_table, read_labels
from parallel_sharder.sources.class_folders.listed import FolderRule, Identity, Listed, Why, passed_of
from parallel_sharder.sources.class_folders.listing import list_folders, list_top
from parallel_sharder.sources.class_folders.not_found import each_ending, no_image
from parallel_sharder.sources.class_folders.notices import Facts, found_rows, notices_of
from parallel_sharder.sources.class_folders.rows import Columns
from parallel_sharder.sources.class_list import digest_of_class_list, read_class_list
from parallel_sharder.sources.key_rule import RULE
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.survey import ScanProgress, results_of
from parallel_sharder.text import counted, first_few, shown

_TASKS, _MOST_FOLDERS = 256, 64
"""With fewer tasks, a worker may be left with a large folder in the end. With more small folders in one task, progress
would be told too seldom."""

_NAMED = 5


class _Tree(NamedTuple):
    """What was listed: the folder of the split itself, the folders with its images, and what is passed over."""

    top: Listed
    below: list[Listed]
    beside: list[Listed]

    @property
    def all(self) -> list[Listed]:
        """All of it."""
        return [self.top, *self.below, *self.beside]

    def without_rows(self) -> tuple[_Tree, list[Columns]]:
        """Return the tree without the rows, and the rows."""
        top, *below = (dataclasses.replace(each, images=Columns()) for each in (self.top, *self.below))
        return _Tree(top, below, self.beside), [each.images for each in (self.top, *self.below)]


def scan(arrangement: Arrangement, options: SourceOptions, engine: Engine, progress: ScanProgress) -> Listing:
    """Return the Listing of the split at `arrangement`.

    Raises SourceError if there is no image, for images both in and beside class folders, for a field that no image has
    a file of, for a class list or a file of labels that lacks a class or an image, and for a folder that cannot be
    listed.
    """
    files = {split: arrangement.labels_of(split) for split in arrangement.classes}
    labels = {split: read_labels(path) for split, path in files.items() if path is not None}
    table = _class_table(arrangement, options, labels)
    tree = _list(arrangement, options.with_, engine, progress)
    _refuse_both(arrangement, tree)
    tops = [top for each in (tree.top, *tree.below) for top in each.tops]
    tree, columns = tree.without_rows()
    found = assemble(tops, columns, options.with_)
    if not len(found.keys):
        raise SourceError(*no_image(arrangement, tree.all))
    _refuse_unjoined(found, tree, options.with_)
    place = Place(str(arrangement.folder), str(arrangement.folder))
    unlabelled = np.full(len(found.keys), -1, np.int32)
    listing = Listing((), (place,), (), found.keys, unlabelled, found.parts, _problems(tree))
    facts = Facts(arrangement, options, table, tree.all)
    if arrangement.split in labels:
        listing = _labelled(listing, _by_file(listing, labels[arrangement.split], facts), facts)
    elif arrangement.classes[arrangement.split]:
        listing = _labelled(listing, _by_folder(found, table), facts)
    return dataclasses.replace(
        listing, found=found_rows(facts, listing), notices=notices_of(facts, listing), selection=_selection(options)
    )


def _problems(tree: _Tree) -> tuple[Problem, ...]:
    return tuple(problem for each in tree.all for problem in each.problems)


def _labelled(listing: Listing, index: Int32s, facts: Facts) -> Listing:
    """Return the listing with these labels and the class table, and with a problem for each class without images.

    Classes of which another split has images are noted in `facts`.
    """
    names = [*facts.table.words]
    present = {names[row] for row in np.unique(index).tolist()}
    absent = absent_classes(facts.arrangement, names, present, listing.problems)
    facts.elsewhere, facts.only_listed = absent.elsewhere, absent.only_listed
    problems = (*listing.problems, *absent.problems)
    return dataclasses.replace(listing, classes=facts.table.classes, class_index=index, problems=problems)


def _class_table(
    arrangement: Arrangement, options: SourceOptions, labels: Mapping[str | None, Mapping[str, str]]
) -> ClassTable:
    """Return the classes of all splits, in the order of the class list or of the finished set, if there is one."""
    folders = {split: names or [*labels.get(split, {}).values()] for split, names in arrangement.classes.items()}
    known = {name for names in folders.values() for name in names}
    if options.known_classes:  # a set without labels has none
        by_shown = {shown(name): name for name in known}
        of_set = {by_shown.get(each.id, each.id): each.name for each in options.known_classes}
        return class_table(folders, of_set, "the finished set")
    if options.meta is not None:
        return class_table(folders, read_class_list(Path(options.meta), known), options.meta)
    return class_table(folders, None, "")


def _list(arrangement: Arrangement, fields: tuple[str, ...], engine: Engine, progress: ScanProgress) -> _Tree:
    """List the split's folder, all below it, and what lies beside the splits' folders."""
    folder, labels = str(arrangement.folder), arrangement.labels_of(arrangement.split)
    rule = FolderRule(fields, _folders_above(arrangement.folder), labels="" if labels is None else labels.name)
    classes = frozenset(name for names in arrangement.classes.values() for name in names)
    top_rule = dataclasses.replace(rule, classes=classes)
    [top] = results_of([partial(list_top, folder, top_rule)], engine, folder)
    names = arrangement.classes[arrangement.split] or [name for name in top.folders if not name.startswith(".")]
    hidden = [name for name in top.folders if name.startswith(".")]
    tasks = _tasks(folder, names, rule)
    tasks += _tasks(folder, hidden, dataclasses.replace(rule, passes=Why.HIDDEN))
    count = len(names) + len(hidden)  # a task lists several
    below = results_of(tasks, engine, folder, lambda done, of, images: progress(count * done // of, count, images))
    if arrangement.split is None:
        return _Tree(top, below, [])
    root, passing = str(arrangement.root), dataclasses.replace(rule, passes=Why.BESIDE, labels="")
    [files] = results_of([partial(list_top, root, passing)], engine, root)
    others = sorted({*files.folders}.difference(arrangement.splits.values()))
    return _Tree(top, below, [files, *results_of(_tasks(root, others, passing), engine, root)])


def _tasks(path: str, names: Sequence[str], rule: FolderRule) -> list[partial[Listed]]:
    """Return the tasks that list the folders `names` of the folder `path`."""
    size = max(1, min(_MOST_FOLDERS, len(names) // _TASKS))
    return [partial(list_folders, path, names[start : start + size], rule) for start in range(0, len(names), size)]


def _folders_above(folder: Path) -> frozenset[Identity]:
    """Return the folder and all folders that it lies in, to which no link in it may lead."""
    path = folder.resolve()
    found = (os.stat(each) for each in (path, *path.parents))
    return frozenset((status.st_dev, status.st_ino) for status in found)


def _refuse_both(arrangement: Arrangement, tree: _Tree) -> None:
    """Raise SourceError if images lie both in the split's folder itself and in folders in it."""
    beside, inside = len(tree.top.images), sum(len(each.images) for each in tree.below)
    if beside and inside:
        folders = [name for each in tree.below for name, count in each.tops if count]
        first = os.fsdecode(tree.top.images.first_path)
        raise SourceError(
            f"{arrangement.folder} holds {counted(beside, 'image')} itself, the first {first}, and "
            f"{counted(inside, 'image')} in {counted(len(folders), 'folder')} ({first_few(folders, _NAMED)}).",
            "Move the images into the folders of their classes, or move the folders away, which leaves a set without "
            "labels. A single class is named by --root with its folder.",
        )


def _refuse_unjoined(found: Assembled, tree: _Tree, fields: tuple[str, ...]) -> None:
    """Raise SourceError if no image has a file of one of the fields that are to be joined."""
    for part, field in zip(found.parts[1:], fields, strict=True):
        if not (part.size >= 0).any():
            there = each_ending(row for row in passed_of(tree.all) if row.why is Why.SIDE) or "none"
            raise SourceError(
                f"no image has a file .{field} of its own name beside it, as --with {field} asks for. Other "
                f"files that have an image's name: {there}. Name an ending that is there, or leave it out."
            )


def _by_folder(found: Assembled, table: ClassTable) -> Int32s:
    """Return the label of each row by the folder that it was listed in."""
    labels = table.labels
    by_top: Int32s = np.array([labels.get(name, -1) for name in found.tops], np.int32)[found.top]
    return by_top


def _by_file(listing: Listing, labels: Mapping[str, str], facts: Facts) -> Int32s:
    """Return the label of each row by the split's file of labels; note how many images of that are not there.

    Raises SourceError for images that the file does not name.
    """
    image, numbers = listing.parts[0], facts.table.labels
    names = [os.path.basename(listing.name_of(image, row)) for row in range(len(listing))]
    missing = [name for name in names if name not in labels]
    if missing:
        raise SourceError(
            f"{facts.arrangement.labels_of(facts.arrangement.split)} has no label for {len(missing):,} of "
            f"{counted(len(names), 'image')}, the first {missing[0]}. Add their lines, or move these images away."
        )
    facts.not_there = sorted({*labels}.difference(names))
    return np.array([numbers[labels[name]] for name in names], np.int32)


def _selection(options: SourceOptions) -> dict[str, Any]:
    """Return what decides which files are read and how they are labelled, as Listing.selection says."""
    return {
        "key_rule": RULE,
        "meta": digest_of_class_list(options.meta),
        "with": list(options.with_),
        "image_field": options.image_field,
    }
