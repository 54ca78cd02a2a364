"""Another split: images of ImageNet that somebody has divided anew into train and val, as in Imagenette.

There, class folders of val hold images with train's names, and those of train hold some with val's. Which split is
meant is decided by val: it is another split where more than half of the images in its class folders are named after
the folder's class. Elsewhere such images are in the wrong place, as the rules of the official splits say.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from parallel_sharder.columns import Texts
from parallel_sharder.kinds import Kind
from parallel_sharder.sources.contents import MISPLACED, Contents
from parallel_sharder.sources.imagenet.glance import Glance
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.names import name_rule
from parallel_sharder.sources.names import NameKind
from parallel_sharder.text import counted

_FIRST_OF_TRAIN, _BEHIND_TRAIN = b"n", b"o"
"""Keys of val begin with a capital, so they are sorted before those of train. Behind these are keys made of the name of
a split's table, and the number of a row."""


def is_another_split(layout: Layout, folders: Sequence[Contents]) -> bool:
    """Return whether the class `folders` at `layout.images` are part of another split than the official one.

    Names alone are looked at, and only where images are misplaced by the official rule. For train, the class folders of
    val beside it decide.
    """
    if layout.split == "val":
        own = sum(_fits("train", each.name, name) for each in folders for name in _misplaced(each))
        count = sum(len(each.images) + len(_misplaced(each)) for each in folders)
        return own * 2 > count
    if not any(_fits("val", each.name, name) for each in folders for name in _misplaced(each)):
        return False
    return _is_divided_anew(layout.images.parent / "val")


def selection_of(split: str, keys: Texts) -> dict[str, bool]:
    """Return what the Listing's selection says of its keys: nothing if they are those of the official split.

    "row_keys" says that some are made of the numbers of rows, because the rows of a table do not name their images.
    """
    has_row_keys = bisect_left(keys, _BEHIND_TRAIN) < len(keys)
    return {
        **({"another_split": True} if _count_of_others(split, keys) else {}),
        **({"row_keys": True} if has_row_keys else {}),
    }


def notice_of(split: str, keys: Texts) -> Iterator[str]:
    """Yield a notice if images with names of the other split are among those with these keys."""
    count, other = _count_of_others(split, keys), "val" if split == "train" else "train"
    if count:
        yield (
            f"{count:,} of {counted(len(keys), 'image')} of {split} have names of {other}: this is another split than "
            "the official one."
        )


def _count_of_others(split: str, keys: Texts) -> int:
    vals = bisect_left(keys, _FIRST_OF_TRAIN)
    return {"train": vals, "val": bisect_left(keys, _BEHIND_TRAIN) - vals}.get(split, 0)


def _misplaced(contents: Contents) -> list[str]:
    """Return the names of the images in a class folder whose names do not fit the official rule."""
    return [
        os.path.basename(problem.path)
        for problem in contents.problems
        if problem.kind is Kind.MISPLACED_IMAGE and problem.detail == MISPLACED
    ]


def _fits(split: str, wnid: str, name: str) -> bool:
    """Return whether `name` is that of an image of the official `split` and of the class `wnid`, as far as it says."""
    return bool(re.fullmatch(name_rule(split, wnid).key_pattern, os.path.splitext(name)[0]))


def _is_divided_anew(val: Path) -> bool:
    is_image = name_rule("val").kind
    own = count = 0
    for wnid in Glance.at(val).classes:
        names = [name for name in Glance.at(val / wnid).files if is_image(name) is NameKind.IMAGE]
        own += sum(_fits("train", wnid, name) for name in names)
        count += len(names)
    return own * 2 > count
