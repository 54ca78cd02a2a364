"""The layout Hub archives: `train_images_0.tar.gz` to `_4`, `val_images.tar.gz` and `test_images.tar.gz`.

The Hugging Face hub gives ImageNet so. The archives are flat, and the last part of each image's name is its class.
There are no annotations, and no devkit is needed. The folder may be the hub's cache, where the archives are links.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from parallel_sharder.sources.downloads import downloaded
from parallel_sharder.sources.imagenet.layout import Layout, annotation_place
from parallel_sharder.sources.imagenet.list_places import class_list, class_list_places, val_label_places

NAME = "hub archives"

TRAIN_ARCHIVES = 5

_STEMS = {
    "train": [f"train_images_{number}" for number in range(TRAIN_ARCHIVES)],
    "val": ["val_images"],
    "test": ["test_images"],
}
_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""As they are downloaded, and as users pack them anew."""

NAMES = frozenset(stem + ending for stems in _STEMS.values() for stem in stems for ending in _ENDINGS)


def places(root: Path, split: str) -> list[Path]:
    """Return the place of the first archive that exists, in each folder that has one; else the usual place."""
    found = [archives[0] for folder in folders(root) if (archives := archives_in(folder, split))]
    return found or [root / "data" / f"{_STEMS[split][0]}.tar.gz"]


def archives_in(folder: Path, split: str) -> list[Path]:
    """Return the archives of a split that exist in `folder`, in order."""
    found = []
    for stem in _STEMS[split]:
        names = downloaded(folder, *(stem + ending for ending in _ENDINGS))
        found += [path for path in names if os.path.isfile(path)][:1]
    return found


def missing_archives(images: Path, split: str) -> list[str]:
    """Return the names of the archives of a split that do not exist beside `images`."""
    there = {re.sub(r"\.t.*", "", path.name) for path in archives_in(images.parent, split)}
    return [f"{stem}.tar.gz" for stem in _STEMS[split] if stem not in there]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """Return the layout with its first archive at `images`. Raises SourceError if the class list is damaged."""
    return layout_of(NAME, images, archives_in(images.parent, split), split, xml_root, meta)


def layout_of(
    name: str, images: Path, archives: Sequence[Path], split: str, xml_root: Path | None, meta: Path | None
) -> Layout:
    """Return the layout `name` with these archives, the first of which is `images`; annotations only where named."""
    around = [images.parent, images.parent.parent]
    classes = class_list(split, meta, "classes", class_list_places([], around))
    return Layout(
        name,
        split,
        images,
        annotation_place(xml_root, split, []),
        xml_root is not None,
        classes,
        val_label_places([], around, classes),
        archive_form="named",
        further_archives=tuple(path for path in archives if path != images),
    )


def folders(root: Path) -> list[Path]:
    """Return the folders in which the archives may lie: the data set's, or of its snapshots in the hub's cache."""
    snapshots = sorted(root.glob("snapshots/*")) if os.path.isdir(root / "snapshots") else []
    return [folder for each in (root, *snapshots) for folder in (each / "data", each) if os.path.isdir(folder)]
