"""The layout official archives: `ILSVRC2012_img_train.tar` and the others as they are downloaded, in one folder.

Annotations are unpacked, and archives of images that somebody has compressed. A devkit and annotations may also lie
unpacked beside the archives, as in the classic tree.
"""

from __future__ import annotations

import os
from pathlib import Path

from parallel_sharder.sources.downloads import downloaded, refuse_unfinished
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.published import MD5
from parallel_sharder.sources.imagenet.tree import layout_around

NAME = "official archives"

_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""The endings of archives as they are downloaded, and as users have compressed them."""

IMAGES = {
    "train": ("ILSVRC2012_img_train.tar",),
    "val": ("ILSVRC2012_img_val.tar",),
    "test": ("ILSVRC2012_img_test_v10102019.tar", "ILSVRC2012_img_test.tar"),
}
ANNOTATIONS = {
    "train": ("ILSVRC2012_bbox_train_v2.tar.gz", "ILSVRC2012_bbox_train_v2.tar", "bboxes_annotations.tar.gz"),
    "val": ("ILSVRC2012_bbox_val_v3.tgz", "ILSVRC2012_bbox_val_v3.tar.gz", "ILSVRC2012_bbox_val_v3.tar"),
    "test": (),
}

NAMES = frozenset(
    name.removesuffix(".tar") + ending for names in IMAGES.values() for name in names for ending in _ENDINGS
)
"""The names of archives of images, also of compressed ones."""


def places(root: Path, split: str) -> list[Path]:
    """Return the images' place: the first of the known archives that exists, or the first one if none does."""
    paths = downloaded(root, *(name.removesuffix(".tar") + ending for name in IMAGES[split] for ending in _ENDINGS))
    return [next((path for path in paths if os.path.isfile(path)), paths[0])]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """Return the layout with its images in the archive `images`. Raises SourceError if the class list is damaged."""
    annotations = downloaded(images.parent, *ANNOTATIONS[split])
    layout = layout_around(NAME, images, split, xml_root, meta, annotations)
    if layout.annotations is None:  # otherwise all images would count as not annotated
        for path in annotations:
            refuse_unfinished(path, MD5)
    return layout
