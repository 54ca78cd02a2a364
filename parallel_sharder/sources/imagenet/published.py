"""The official numbers: how many images ILSVRC2012 has, in all and of each class, and the sizes of its archives."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

IMAGE_COUNTS = {"train": 1_281_167, "val": 50_000, "test": 100_000}
"""Of ILSVRC2012."""

USUAL_COUNT = 1300
"""Images of train that a class has; the classes that have fewer are in ilsvrc2012_train_counts.txt."""

ARCHIVE_BYTES = {"ILSVRC2012_img_train.tar": 147_897_477_120, "ILSVRC2012_img_val.tar": 6_744_924_160}
"""Of the official archives whose size is known."""


def train_counts() -> Callable[[str], int]:
    """The images that a class of the official training set has, by its wnid.

    Source: the listing of ILSVRC2012_img_train.tar, whose 1,000 counts sum to 1,281,167.
    """
    table = (
        resources.files("parallel_sharder.sources.imagenet").joinpath("ilsvrc2012_train_counts.txt").read_text("ascii")
    )
    fewer = {wnid: int(count) for wnid, count in map(str.split, table.splitlines())}
    return lambda wnid: fewer.get(wnid, USUAL_COUNT)
