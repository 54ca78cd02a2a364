"""The layout Kaggle zip: `imagenet-object-localization-challenge.zip` as it is downloaded, with all splits in it."""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.sources.downloads import downloaded
from parallel_sharder.sources.imagenet.kaggle_contents import InKaggleZip, refuse_another
from parallel_sharder.sources.imagenet.layout import Layout, annotation_place
from parallel_sharder.sources.imagenet.list_places import (
    KAGGLE_ZIP,
    MAPPING,
    VAL_SOLUTION,
    class_list,
    class_list_places,
    kaggle_classes,
    val_label_places,
)

NAME = "Kaggle zip"


def places(root: Path, split: str) -> list[Path]:
    """Return the images' place, which is the same for every `split`."""
    del split
    return downloaded(root, KAGGLE_ZIP)


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """Return the layout with its images in the zip `images`. Raises SourceError if the class list is damaged."""
    refuse_another(str(images))
    folders = images.parents[:3]
    classes = class_list(split, meta, MAPPING, class_list_places([kaggle_classes(images)], folders))
    annotations = annotation_place(xml_root, split, [images])
    labels = val_label_places([InKaggleZip(images, VAL_SOLUTION)], folders, classes)
    return Layout(NAME, split, images, annotations, xml_root is not None, classes, labels)
