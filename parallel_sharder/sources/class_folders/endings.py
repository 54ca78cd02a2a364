"""Endings: what a file of a data set in class folders is by its name.

Names go in. The workers ask for each name of a listed folder, so this module does not import numpy. It opens no file:
what a file holds is found when it is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable

from parallel_sharder.model import IMAGE_ENDINGS
from parallel_sharder.samples.image_fields import FIELDS
from parallel_sharder.sources.downloads import finished_names
from parallel_sharder.sources.names import unpacked_name

NOT_READ = IMAGE_ENDINGS - FIELDS.keys()
"""Endings of images that are not converted: no reader knows a field of that name."""

_PACKED = (".gz", ".bz2", ".xz", ".zst")

_DIGIT = re.compile("[0-9]")

_SHOWN = re.compile(r"\.(?=[0-9]*[a-z])[a-z0-9]{1,10}")
"""Endings that messages tell apart. In other names, what follows the last dot is mostly a number."""


def split_name(name: str) -> tuple[str, str]:
    """Return the name without its ending, and the ending in lower case, as os.path.splitext cuts it."""
    stem, ending = os.path.splitext(name)
    return stem, ending.lower()


def is_image(name: str) -> bool:
    """Return whether a file named so is an image of the data set."""
    return split_name(name)[1] in FIELDS


def shown_ending(name: str) -> str:
    """Return the ending by which messages count files like `name`; "" if it has none, or one that is no word."""
    ending = split_name(name)[1]
    return ending if _SHOWN.fullmatch(ending) else ""


def unfinished_image(name: str) -> str:
    """Return the name of the image whose unfinished download the file `name` is; "" if it is none."""
    return next(filter(is_image, finished_names(name)), "")


def packed_classes(names: Iterable[str], folders: Collection[str], classes: Collection[str]) -> dict[str, str]:
    """Return the archives among the files `names` that lie beside class folders and are named as one that is not there.

    Each has the name of the class that it holds. That is one of `classes`, or differs from a folder's by digits alone,
    as n01440764 from n01443537: an archive named otherwise may well hold the folders that are there.
    """
    packed = {name: inside for name in names if (inside := unpacked_name(name)) != name and inside not in folders}
    alike = {_DIGIT.sub("0", folder) for folder in folders} if packed else set()
    return {name: inside for name, inside in packed.items() if inside in classes or _DIGIT.sub("0", inside) in alike}


def packed_image(name: str) -> str:
    """Return the name of the image that is compressed in the file `name`; "" if none is."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in _PACKED and is_image(stem) else ""
