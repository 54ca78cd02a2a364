"""Signs of ImageNet under a root: where its layouts seem to be, and how sure that is, from names alone.

A root and a split go in, and Signs come out. A class list beside the images, and Kaggle's tree, leave no doubt. Without
them, class folders are ImageNet's if all are among its 1,000 classes and hold images with its names; other class
folders may have names like WordNet IDs too. Nothing is refused here.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from parallel_sharder.errors import SourceError
from parallel_sharder.options import IMAGENET_LAYOUTS, SPLITS
from parallel_sharder.sources.imagenet import hub_tables
from parallel_sharder.sources.imagenet.classes import PACKAGE_TABLE, ilsvrc_ids
from parallel_sharder.sources.imagenet.glance import CLASS_FOLDERS, Glance, seen_in
from parallel_sharder.sources.imagenet.image_places import ImagePlace, existing_places, place_itself
from parallel_sharder.sources.imagenet.not_found import has_only_classes, is_misplaced, refuse_unlike
from parallel_sharder.sources.names import junk


class Signs(NamedTuple):
    """The `places` where images of ImageNet seem to be; `is_sure` if nothing else can be meant.

    `is_mistaken` if there is none, and images of ImageNet seem to be below the root in another way.
    """

    places: tuple[ImagePlace, ...]
    is_sure: bool
    is_mistaken: bool


def signs_at(root: Path, split: str) -> Signs:
    """Return the signs at the folder `root`."""
    there = existing_places(root, split, IMAGENET_LAYOUTS) or place_itself(root, split, IMAGENET_LAYOUTS)
    likely = tuple(place for place in there if _is_imagenet(place, split))
    is_sure = any(place.word == "kaggle" or _list_beside(place) for place in likely)
    return Signs(likely, is_sure, not likely and _is_mistaken(root, split))


def strangers_at(root: Path, split: str) -> list[str]:
    """Return the folders beside ImageNet's class folders that are none of its classes, at `root` or in its split.

    There are none where they are at least as many as those of ImageNet, because the set is another one then.
    """
    for folder in (root / split, root):
        names = [name for name in Glance.at(folder).folders if not name.startswith(".") and not junk(name)]
        others = sorted({*names}.difference(ilsvrc_ids()))
        if 2 * len(others) < len(names) and seen_in(folder) is not None:
            return others
    return []


def _is_imagenet(place: ImagePlace, split: str) -> bool:
    """Return whether what is at `place` is ImageNet's, as far as names say; of Parquet, its first row."""
    if not place.is_folder:
        return place.word != "parquet" or hub_tables.is_imagenet(place.path, split)
    if place.word == "kaggle" or _list_beside(place):
        return True
    glance = Glance.at(place.path)
    if glance.classes:
        return has_only_classes(glance) and seen_in(place.path) is not None
    if seen_in(place.path) is not None:
        return True
    try:
        refuse_unlike(place.path, split)
    except SourceError:  # images of ImageNet lie near it, or in another arrangement
        return True
    return False


def _list_beside(place: ImagePlace) -> bool:
    """Return whether a class list lies in the folder of the set, or is there and damaged."""
    if not place.path.parent.parts[1:]:  # the root of the file system is nobody's set
        return False
    try:
        found = place.find("train", None, None).class_list
    except SourceError:
        return True
    return found != PACKAGE_TABLE and place.path.parent in Path(str(found)).parents


def _is_mistaken(root: Path, split: str) -> bool:
    """Return whether images of ImageNet lie below `root` in a way in which they are not found, or of another split."""
    seen = seen_in(root / split)
    if seen is not None and seen.shape == CLASS_FOLDERS and not strangers_at(root, split):
        return False  # most of its classes are none of ImageNet's, as in ImageNet-21k
    for other in SPLITS:
        places = existing_places(root, other, IMAGENET_LAYOUTS)
        if any(_is_imagenet(place, other) for place in places):
            return True
    return is_misplaced(root, split) or (seen_in(root) is not None and has_only_classes(Glance.at(root)))
