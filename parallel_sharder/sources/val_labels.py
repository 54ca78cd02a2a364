"""Labels of a flat val folder: the devkit's ground truth, or Kaggle's solution file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from parallel_sharder.errors import SourceError
from parallel_sharder.model import ImageClass
from parallel_sharder.sources.inside import SmallFile
from parallel_sharder.sources.layout import require_file

VAL_IMAGE_COUNT = 50_000
"""Images of ILSVRC2012's validation set, numbered from 1; the ground truth has one line for each."""


def wnids_of(keys: Sequence[str], places: Sequence[SmallFile], classes: Sequence[ImageClass]) -> list[str]:
    """The wnid of each of `keys` (`ILSVRC2012_val_<8 digits>`), from the first of `places` that is a file.

    Raises SourceError for no such file, one of the wrong length or form, or one that lacks a key.
    """
    path = require_file(
        "labels for the flat val folder",
        places,
        "The devkit holds the ground truth, Kaggle's zip LOC_val_solution.csv; or sort the images into class folders.",
    )
    try:
        return _from_solution(path, keys) if path.suffix == ".csv" else _from_ground_truth(path, keys, classes)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def _from_ground_truth(path: SmallFile, keys: Sequence[str], classes: Sequence[ImageClass]) -> list[str]:
    lines = path.read_bytes().decode("ascii", "replace").split()
    if len(lines) != VAL_IMAGE_COUNT:
        raise SourceError(
            f"{path} has {len(lines):,} labels; the validation set has {VAL_IMAGE_COUNT:,}. "
            f"Unpack the devkit again: every label after a missing line would be wrong."
        )
    wnids = {str(row.ilsvrc_id): row.wnid for row in classes if row.ilsvrc_id is not None}
    for number, label in enumerate(lines, 1):
        if label not in wnids:
            raise SourceError(f"{path}: label {number} is {label!r}, which is no class's ILSVRC2012_ID")
    numbers = [int(key[-8:]) for key in keys]
    for number in numbers:
        if not 1 <= number <= VAL_IMAGE_COUNT:
            raise SourceError(f"{path} has labels 1 to {VAL_IMAGE_COUNT:,}; there is an image numbered {number:,}")
    return [wnids[lines[number - 1]] for number in numbers]


def _from_solution(path: SmallFile, keys: Sequence[str]) -> list[str]:
    labels: dict[str, str] = {}
    rows = csv.reader(io.StringIO(path.read_bytes().decode("utf-8"), newline=""))
    if next(rows, None) != ["ImageId", "PredictionString"]:
        raise SourceError(f"{path}: the first line is not 'ImageId,PredictionString'; unpack Kaggle's zip again")
    for row in rows:
        if len(row) != 2 or not row[1].split():
            raise SourceError(f"{path}: line {rows.line_num} is not an image's name and its boxes")
        if labels.setdefault(row[0], row[1].split()[0]) != row[1].split()[0]:
            raise SourceError(f"{path}: line {rows.line_num} gives {row[0]} another class than an earlier line")
    missing = [key for key in keys if key not in labels]
    if missing:
        raise SourceError(
            f"{path} has {len(labels):,} labels, and none for {len(missing):,} of the images, the first {missing[0]}. "
            f"Unpack Kaggle's zip again."
        )
    return [labels[key] for key in keys]
