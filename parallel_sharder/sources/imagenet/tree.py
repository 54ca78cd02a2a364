"""The layout classic tree: `train/<wnid>/*.JPEG`, `val/` in class folders or flat, `test/` flat, and the devkit.

Annotations lie beside the images, or in a tree of their own. A folder of images alone, under any name, and the official
archives use the places of this tree too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from parallel_sharder.sources.imagenet.layout import Layout, annotation_place
from parallel_sharder.sources.imagenet.list_places import (
    DEVKIT,
    GROUND_TRUTH,
    META,
    class_list,
    class_list_places,
    devkit_classes,
    val_label_places,
)
from parallel_sharder.sources.small_files import InTar, SmallFile

NAME = "classic tree"


def places(root: Path, split: str) -> list[Path]:
    """Return the images' place."""
    return [root / split]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """Return the layout with its images at `images`. Raises SourceError if the class list is damaged."""
    return layout_around(NAME, images, split, xml_root, meta)


def find_alone(shape: str, images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """Return the layout of a folder of images under any name. Its name is `shape`, the images' arrangement."""
    return layout_around(shape, images, split, xml_root, meta)


def layout_around(
    name: str, images: Path, split: str, xml_root: Path | None, meta: Path | None, annotations: Sequence[Path] = ()
) -> Layout:
    """Return the layout `name` with its images at `images`, and with a devkit and annotations beside them.

    Both may be packed. `annotations` are places that are looked at before the tree's. Raises SourceError if the class
    list is damaged.
    """
    root, above = images.parent, images.parent.parent
    folders = [*images.parents[:3], root / DEVKIT, *([images] if images.is_dir() else [])]
    devkits = [root / DEVKIT / "data", above / DEVKIT / "data", root / "data", root]
    packed = [root / f"{DEVKIT}.tar.gz", above / f"{DEVKIT}.tar.gz"]
    metas: list[SmallFile] = [
        *(devkit / "meta.mat" for devkit in devkits),
        *(devkit_classes(archive) for archive in packed),
    ]
    classes = class_list(split, meta, "the devkit's meta.mat", class_list_places(metas, folders))
    if isinstance(classes, Path):
        devkits.insert(0, classes.parent)
    elif isinstance(classes, InTar) and classes.name == META:
        packed.insert(0, classes.archive)
    ground_truths: list[SmallFile] = [
        *(devkit / GROUND_TRUTH for devkit in devkits),
        *(InTar(archive, f"data/{GROUND_TRUTH}") for archive in packed),
    ]
    in_trees = [root / "Annotations" / "CLS-LOC" / split, root / "Annotations" / split]
    return Layout(
        name,
        split,
        images,
        annotation_place(xml_root, split, [*annotations, *in_trees]),
        xml_root is not None,
        classes,
        val_label_places(ground_truths, folders, classes),
    )
