"""The classic tree: `train/<wnid>/*.JPEG`, `val/` in class folders or flat, `test/` flat, and the devkit.

Annotations stand beside the images, or in a tree of their own.
"""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.sources.layout import Layout, annotation_folder, class_list

NAME = "classic tree"
DEVKIT = "ILSVRC2012_devkit_t12"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def places(root: Path, split: str) -> list[Path]:
    """Where this layout has its images."""
    return [root / split]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """The layout with its images at `images`; SourceError if the class list is missing."""
    root = images.parent
    devkits = [root / DEVKIT / "data", root.parent / DEVKIT / "data", root / "data", root]
    remedy = f"Unpack {DEVKIT}.tar.gz into {root}, or name the file with --meta."
    classes = class_list(split, meta, "the devkit's meta.mat", [devkit / "meta.mat" for devkit in devkits], remedy)
    if classes is not None:
        devkits.insert(0, classes.parent)
    annotations = annotation_folder(
        xml_root, split, [root / "Annotations" / "CLS-LOC" / split, root / "Annotations" / split]
    )
    val_labels = tuple(dict.fromkeys(devkit / GROUND_TRUTH for devkit in devkits))
    return Layout(NAME, split, images, annotations, xml_root is not None, classes, val_labels)
