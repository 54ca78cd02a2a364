"""The layout Kaggle tree: `ILSVRC/Data/CLS-LOC/` and `ILSVRC/Annotations/CLS-LOC/`, with two LOC_ files or a devkit.

Kaggle's zip unpacks to this tree and the two files. image-net.org's ILSVRC2017_CLS-LOC.tar.gz, and the archive patched
in 2019, unpack to this tree alone.
"""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.sources.imagenet.layout import Layout, annotation_place
from parallel_sharder.sources.imagenet.list_places import (
    MAPPING,
    VAL_SOLUTION,
    class_list,
    class_list_places,
    val_label_places,
)

NAME = "Kaggle tree"


def places(root: Path, split: str) -> list[Path]:
    """Return the images' place. `root` may be the folder of the unpacked zip, or a folder between it and the images."""
    way = ("ILSVRC", "Data", "CLS-LOC")
    rest = way[way.index(root.name) + 1 :] if root.name in way else way
    return [root.joinpath(*rest, split)]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """Return the layout with its images at `images`. Raises SourceError if the class list is damaged."""
    ilsvrc = images.parent.parent.parent  # the file system's root is its own parent
    top = ilsvrc.parent
    folders = [top, ilsvrc, top.parent, images.parent.parent, images.parent]
    lists = class_list_places([top / MAPPING, ilsvrc / MAPPING], folders)
    classes = class_list(split, meta, MAPPING, lists)
    annotations = annotation_place(xml_root, split, [ilsvrc / "Annotations" / "CLS-LOC" / split])
    labels = val_label_places([top / VAL_SOLUTION, ilsvrc / VAL_SOLUTION], folders, classes)
    return Layout(NAME, split, images, annotations, xml_root is not None, classes, labels)
