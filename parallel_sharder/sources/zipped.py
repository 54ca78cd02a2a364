"""Kaggle's zip, as it is downloaded: `imagenet-object-localization-challenge.zip`, with all splits in it."""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.sources.inside import InZip
from parallel_sharder.sources.kaggle import MAPPING, VAL_SOLUTION
from parallel_sharder.sources.layout import Layout, annotation_place, class_list

NAME = "Kaggle zip"
ZIP = "imagenet-object-localization-challenge.zip"


def places(root: Path, split: str) -> list[Path]:
    """Where this layout has its images, those of every `split`."""
    del split
    return [root / ZIP]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """The layout with its images in the zip `images`; SourceError if the class list is missing."""
    classes = class_list(split, meta, MAPPING, [InZip(images, MAPPING)], "It is in the zip; download that again.")
    annotations = annotation_place(xml_root, split, [images])
    labels = (InZip(images, VAL_SOLUTION),)
    return Layout(NAME, split, images, annotations, xml_root is not None, classes, labels)
