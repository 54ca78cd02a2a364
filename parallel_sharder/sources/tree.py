"""The classic tree: `train/<wnid>/*.JPEG`, `val/` in class folders or flat, `test/` flat, and the devkit.

Annotations stand beside the images, or in a tree of their own.
"""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.sources.layout import Layout, annotation_folder, given_file, require_file

DEVKIT = "ILSVRC2012_devkit_t12"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def places(root: Path, split: str) -> list[Path]:
    """Where this layout has its images."""
    return [root / split]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """The layout with its images at `images`; SourceError if the class list is missing."""
    root = images.parent
    devkits = [root / DEVKIT / "data", root.parent / DEVKIT / "data", root / "data", root]
    class_list = None
    if split != "test":
        class_list = (
            given_file(meta, "--meta")
            if meta is not None
            else require_file(
                "class list (the devkit's meta.mat)",
                [devkit / "meta.mat" for devkit in devkits],
                f"Unpack {DEVKIT}.tar.gz into {root}, or name the file with --meta.",
            )
        )
        devkits.insert(0, class_list.parent)
    annotations = annotation_folder(
        xml_root, split, [root / "Annotations" / "CLS-LOC" / split, root / "Annotations" / split]
    )
    val_labels = tuple(dict.fromkeys(devkit / GROUND_TRUTH for devkit in devkits))
    return Layout("classic tree", split, images, annotations, xml_root is not None, class_list, val_labels)
