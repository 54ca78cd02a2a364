"""Val labels: the class of each image in a flat val folder, from a devkit's ground truth or Kaggle's solution file.

Keys and the places of the files go in, and wnids come out. A file of the wrong length or form is a SourceError, because
every label after a missing line would be wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.imagenet.classes import Synset
from parallel_sharder.sources.imagenet.list_places import CLASS_MAP, DEVKIT, GROUND_TRUTH, VAL_SOLUTION, ListPlaces
from parallel_sharder.sources.imagenet.names import WNID
from parallel_sharder.sources.small_files import SmallFile, decode_text, read_content
from parallel_sharder.text import counted

VAL_IMAGE_COUNT = 50_000
"""The count of ILSVRC2012's validation images, which are numbered from 1. The ground truth has a line for each."""


def wnids_of(keys: Sequence[str], places: ListPlaces, classes: Sequence[Synset]) -> list[str]:
    """Return the wnid of each of `keys` (`ILSVRC2012_val_<8 digits>`), from the first of `places` that is a file.

    Raises SourceError if there is no file, if it has the wrong length or form, and if it lacks a key.
    """
    path = places.require(
        "labels for the flat val folder",
        f"Put {DEVKIT}.tar.gz, which holds them, or Kaggle's {VAL_SOLUTION} into {places.folder}, or sort the images "
        "into class folders.",
    )
    labels = read_labels(path, classes)
    missing = [key for key in keys if key not in labels]
    if missing and path.suffix == ".csv":
        raise SourceError(
            f"{path} has {counted(len(labels), 'label')}, and none for {len(missing):,} of the images, the first "
            f"{missing[0]}. Unpack Kaggle's zip again."
        )
    if missing:
        raise SourceError(
            f"{path} has labels 1 to {VAL_IMAGE_COUNT:,}; there is an image numbered {int(missing[0][-8:]):,}. Remove "
            "that image."
        )
    return [labels[key] for key in keys]


def read_labels(path: SmallFile, classes: Sequence[Synset]) -> dict[str, str]:
    """Return the wnid of each image in the file of labels at `path`, by key.

    Raises SourceError if the file has the wrong length or form.
    """
    if path.suffix == ".csv":
        return _from_solution(path)
    if str(path).endswith(GROUND_TRUTH):
        ids = {str(row.ilsvrc_id): row.wnid for row in classes if row.ilsvrc_id is not None}
        return _from_ground_truth(path, ids, "class's ILSVRC2012_ID")
    class_map = path.with_name(CLASS_MAP)
    return _from_ground_truth(path, _read_class_map(class_map), f"number in {class_map}")


def _from_ground_truth(path: SmallFile, wnids: dict[str, str], known: str) -> dict[str, str]:
    """Return the wnids by the lines of a ground truth. `wnids` maps its labels, and `known` names them in messages."""
    lines = _text(path).split()
    if len(lines) != VAL_IMAGE_COUNT:
        raise SourceError(
            f"{path} has {counted(len(lines), 'label')}; the validation set has {VAL_IMAGE_COUNT:,}. "
            f"Unpack the devkit again: every label after a missing line would be wrong."
        )
    for number, label in enumerate(lines, 1):
        if label not in wnids:
            raise SourceError(f"{path}: label {number} is {label[:60]!r}, which is no {known}.")
    return {f"ILSVRC2012_val_{number:08}": wnids[label] for number, label in enumerate(lines, 1)}


def _read_class_map(path: SmallFile) -> dict[str, str]:
    """Return the wnid of each number in a later devkit's list of classes, whose lines are `wnid number name`."""
    rows = [line.split() for line in _text(path).splitlines() if line.strip()]
    wnids = {row[1]: row[0] for row in rows if len(row) > 1 and row[1].isdecimal() and WNID.fullmatch(row[0])}
    if not wnids or len(wnids) != len(rows):
        raise SourceError(
            f"{path} is not a list of '<wnid> <number> <name>' with each number once, and the ground truth beside it "
            "means these numbers. Unpack the devkit again."
        )
    return wnids


def _from_solution(path: SmallFile) -> dict[str, str]:
    labels: dict[str, str] = {}
    rows = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        if next(rows, None) != ["ImageId", "PredictionString"]:
            raise SourceError(f"{path}: the first line is not 'ImageId,PredictionString'. Unpack Kaggle's zip again.")
        for row in filter(None, rows):
            if len(row) != 2 or not row[1].split():
                raise SourceError(
                    f"{path}: line {rows.line_num} is not an image's name and its boxes. Unpack Kaggle's zip again."
                )
            if labels.setdefault(row[0], row[1].split()[0]) != row[1].split()[0]:
                raise SourceError(
                    f"{path}: line {rows.line_num} gives {row[0]} another class than an earlier line. Unpack Kaggle's "
                    "zip again."
                )
    except csv.Error as error:
        raise SourceError(f"{path}: cannot be read: {error}. Unpack Kaggle's zip again.") from error
    return labels


def _text(path: SmallFile) -> str:
    try:
        return decode_text(read_content(path), path)
    except ValueError as error:
        raise SourceError(f"{path}: cannot be read: {error}. Unpack it again.") from error
