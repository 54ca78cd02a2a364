"""Published facts about ILSVRC2012: counts of images, in all and in each class, and the archives' sizes and MD5."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

IMAGE_COUNTS = {"train": 1_281_167, "val": 50_000, "test": 100_000}
"""The count of images in each split of ILSVRC2012."""

USUAL_COUNT = 1300
"""The count of train's images in most classes. The classes that have fewer are in ilsvrc2012_train_counts.txt."""

ARCHIVE_BYTES = {"ILSVRC2012_img_train.tar": 147_897_477_120, "ILSVRC2012_img_val.tar": 6_744_924_160}
"""The sizes of the official archives, where they are known."""

MD5 = {
    "ILSVRC2012_img_train.tar": "1d675b47d978889d74fa0da5fadfb00e",
    "ILSVRC2012_img_val.tar": "29b22e2961454d5413ddabcf34fc5622",
    "ILSVRC2012_img_test_v10102019.tar": "e1b8681fff3d63731c599df9b4b6fc02",
    "ILSVRC2012_bbox_train_v2.tar.gz": "9271167e2176350e65cfe4e546f14b17",
    "ILSVRC2012_bbox_val_v3.tgz": "f4cd18b5ea29fe6bbea62ec9c20d80f0",
    "ILSVRC2012_devkit_t12.tar.gz": "fa75699e90414af021442c21a62c3abf",
}
"""The MD5 of the official archives. Source: image-net.org's page of downloads."""


def train_counts() -> Callable[[str], int]:
    """Return a function from a wnid to the count of images that the official training set has in that class.

    Source: the listing of ILSVRC2012_img_train.tar, whose 1,000 counts sum to 1,281,167.
    """
    table = (
        resources.files("parallel_sharder.sources.imagenet").joinpath("ilsvrc2012_train_counts.txt").read_text("ascii")
    )
    fewer = {wnid: int(count) for wnid, count in map(str.split, table.splitlines())}
    return lambda wnid: fewer.get(wnid, USUAL_COUNT)
