"""Notices: what people should know of a set in class folders before it is written, and the rows of what was found.

The facts of a scan go in, and sentences come out. They say of all files that are passed over how many there are, which
is the first, and why. What is left out of the shards is a problem, and is not said here.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from parallel_sharder.errors import worded
from parallel_sharder.model import Listing
from parallel_sharder.sources.class_folders.arrangement import SPLIT_OF, Arrangement, class_folders, labels_file
from parallel_sharder.sources.class_folders.glances import first_folders
from parallel_sharder.sources.class_folders.labels import ClassTable
from parallel_sharder.sources.class_folders.listed import Listed, Passed, Why, passed_of
from parallel_sharder.sources.class_folders.not_found import each_ending
from parallel_sharder.sources.image_formats import formats_of
from parallel_sharder.sources.names import junk_in, junk_told
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.table.formats import is_table
from parallel_sharder.text import counted, first_few, shown

_NAMED = 5


@dataclass
class Facts:
    """What a scan has found besides the Listing.

    `elsewhere` are the classes without an image in the split, of which another split has some. `only_listed` are those
    that only a long class list has. `not_there` are the images that a file of labels names, and that are not there.
    """

    arrangement: Arrangement
    options: SourceOptions
    table: ClassTable
    listed: Sequence[Listed]
    elsewhere: list[str] = field(default_factory=list)
    only_listed: list[str] = field(default_factory=list)
    not_there: list[str] = field(default_factory=list)


def found_rows(facts: Facts, listing: Listing) -> tuple[tuple[str, str], ...]:
    """Return what was found and where, each with a name."""
    arrangement = facts.arrangement
    split = "" if arrangement.split is None else f"{arrangement.split} "
    rows = [("layout", f"class folders, {split}images in {arrangement.folder}")]
    if arrangement.splits:
        rows.append(("splits", ", ".join(f"{split} in {name}/" for split, name in arrangement.splits.items())))
    if listing.classes:
        present = len(np.unique(listing.class_index))
        order = "sorted by name" if facts.options.meta is None else f"as {facts.options.meta} lists them"
        labels = arrangement.labels_of(arrangement.split)
        by = "" if labels is None else f"; each image's class is in {labels}"
        rows.append(("classes", f"{present:,} of {len(listing.classes):,} with images, {order}{by}"))
    else:
        rows.append(("classes", "none: the images lie in no class folders"))
    for part in listing.parts[1:]:
        count = np.count_nonzero(part.size >= 0)
        rows.append((part.role, f"{count:,} of {counted(len(listing), 'image')} have a file .{part.role}"))
    return tuple(rows)


def notices_of(facts: Facts, listing: Listing) -> tuple[str, ...]:
    """Return all notices about the set, a sentence or two each."""
    said = (
        _arrangement(facts),
        _classes(facts, listing),
        formats_of(listing, facts.options.image_field),
        _joined(listing),
        _passed(facts),
        junk_told(junk_in(each.junk for each in facts.listed)),
    )
    return tuple(worded(sentence) for sentences in said for sentence in sentences)


def _arrangement(facts: Facts) -> Iterator[str]:
    arrangement = facts.arrangement
    if arrangement.why_none:
        yield arrangement.why_none
    root = arrangement.root.absolute()
    split = SPLIT_OF.get(root.name.lower())
    if arrangement.splits:
        yield from _unlabelled(arrangement)
    elif split is not None and not arrangement.classes[None] and labels_file(root).is_file():
        yield (
            f"{root} looks like the split {split} of {root.parent}, and the labels in {labels_file(root)} are not "
            f"read. --root {root.parent} --split {split} reads them."
        )
    elif split not in (None, "train") and (root.parent / "train").is_dir() and arrangement.classes[None]:
        yield (
            f"{root} looks like the split {split} of {root.parent}. Its classes are numbered by its own folders. "
            f"--root {root.parent} --split {split} numbers them as train's."
        )
    else:
        yield from _one_class(arrangement)


def _unlabelled(arrangement: Arrangement) -> Iterator[str]:
    """Yield a notice if the split has no labels, and train has classes."""
    split, classes = arrangement.split, arrangement.classes
    if split is not None and classes.get("train") and not classes[split] and arrangement.labels_of(split) is None:
        yield (
            f"The images of {split} have no labels, because {arrangement.folder} has no class folders and no "
            f"{labels_file(arrangement.folder).name}; train has {counted(len(classes['train']), 'class', 'classes')}."
        )


def _one_class(arrangement: Arrangement) -> Iterator[str]:
    """Yield a notice if the only class seems to be the folder of the class folders."""
    if len(arrangement.classes[None]) == 1:
        [name] = arrangement.classes[None]
        inside = class_folders(arrangement.root / name)
        if len(inside) > 1:
            yield (
                f"There is one class only, {shown(name)}, whose images lie in {counted(len(inside), 'folder')} in it: "
                f"{first_folders(map(shown, inside))}. Did you mean --root {arrangement.root / name}?"
            )


def _classes(facts: Facts, listing: Listing) -> Iterator[str]:
    if not listing.classes:
        return
    further = [*map(shown, facts.table.further)]
    if further:
        first = len(facts.table.words) - len(further)
        labels = f"Its label follows train's: {first:,}."
        if len(further) > 1:
            labels = f"Their labels follow train's, from {first:,} on."
        yield (
            f"{counted(len(further), 'class has', 'classes have')} no folder in train: {first_few(further, _NAMED)}. "
            f"{labels}"
        )
    told = {*further} if facts.arrangement.split == "train" else set()
    elsewhere = [name for name in facts.elsewhere if name not in told]
    if elsewhere:
        yield (
            f"{counted(len(elsewhere), 'class has', 'classes have')} no image in {facts.arrangement.split}, and images "
            f"in another split: {first_few(elsewhere, _NAMED)}. Each keeps its number."
        )
    if facts.only_listed:
        yield (
            f"The class list names {counted(len(facts.table.words), 'class', 'classes')}, of which "
            f"{len(facts.only_listed):,} have no folder: {first_few(facts.only_listed, _NAMED)}. Each keeps its "
            "number, so that the labels have gaps. A shorter list numbers only those that are there."
        )
    if facts.not_there:
        yield (
            f"{facts.arrangement.labels_of(facts.arrangement.split)} names {counted(len(facts.not_there), 'image')} "
            f"that {'is' if len(facts.not_there) == 1 else 'are'} not there: {first_few(facts.not_there, _NAMED)}."
        )


def _joined(listing: Listing) -> Iterator[str]:
    for part in listing.parts[1:]:
        missing = int(np.count_nonzero(part.size < 0))
        if missing:
            yield (
                f"{missing:,} of {counted(len(listing), 'image')} {'lacks' if missing == 1 else 'lack'} a file "
                f".{part.role} of the same name. Such a sample is stored without the field {part.role}."
            )


def _passed(facts: Facts) -> Iterator[str]:
    passed = passed_of(facts.listed)
    rows = {why: [row for row in passed if row.why is why] for why in Why}
    texts = {why: each_ending(some) for why, some in rows.items() if some}
    if Why.SIDE in texts:
        fields = [row.ending[1:] for row in rows[Why.SIDE] if row.ending]
        option = f" --with {','.join(fields)} stores them with the images." if fields else ""
        yield f"Files of the same name as an image are not stored: {texts[Why.SIDE]}.{option}"
    if Why.ORPHAN in texts:
        yield f"Files have the name of no image beside them, and are not stored: {texts[Why.ORPHAN]}."
    if Why.HIDDEN in texts:
        yield f"Hidden folders are no classes, and what is in them is not stored: {texts[Why.HIDDEN]}."
    if Why.BESIDE in texts:
        root = os.fspath(facts.arrangement.root)
        table = _table_in(rows[Why.BESIDE], root)
        yield f"Files in {root} lie in no folder of a split, and are not stored: {texts[Why.BESIDE]}.{table}"
    if Why.OTHER in texts:
        table = _table_in(rows[Why.OTHER], os.fspath(facts.arrangement.folder))
        yield f"Files that are no images are not stored: {texts[Why.OTHER]}.{table}"


def _table_in(rows: Iterable[Passed], folder: str) -> str:
    """Return a sentence on the option that reads the first table among files in `folder`; "" if none is a table."""
    table = next((row.first for row in rows if is_table(row.first)), None)
    if table is None:
        return ""
    return f" If {table} is a table of these images, --table {shlex.quote(os.path.join(folder, table))} reads it."
