"""The Kaggle tree: `ILSVRC/Data/CLS-LOC/`, `ILSVRC/Annotations/CLS-LOC/`, and two LOC_ files instead of a devkit."""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.sources.layout import Layout, annotation_place, class_list

NAME = "Kaggle tree"
MAPPING = "LOC_synset_mapping.txt"
VAL_SOLUTION = "LOC_val_solution.csv"


def places(root: Path, split: str) -> list[Path]:
    """Where this layout has its images: `root` may be the unpacked zip's folder, or one on the way to them."""
    way = ("ILSVRC", "Data", "CLS-LOC")
    rest = way[way.index(root.name) + 1 :] if root.name in way else way
    return [root.joinpath(*rest, split)]


def find(images: Path, split: str, xml_root: Path | None, meta: Path | None) -> Layout:
    """The layout with its images at `images`; SourceError if the class list is missing."""
    ilsvrc = images.parents[2]
    tops = [ilsvrc.parent, ilsvrc]
    remedy = "It is in imagenet-object-localization-challenge.zip; unpack it there, or name it with --meta."
    classes = class_list(split, meta, MAPPING, [top / MAPPING for top in tops], remedy)
    annotations = annotation_place(xml_root, split, [ilsvrc / "Annotations" / "CLS-LOC" / split])
    val_labels = tuple(top / VAL_SOLUTION for top in tops)
    return Layout(NAME, split, images, annotations, xml_root is not None, classes, val_labels)
