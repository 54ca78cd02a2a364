"""Signs of ImageNet: what leaves no doubt, what is likely, and what is another data set."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from parallel_sharder.sources.imagenet.signs import signs_at
from tests import made
from tests.made import JPEG


def words(root: Path, split: str = "train") -> tuple[list[str], bool, bool]:
    signs = signs_at(root, split)
    return [place.word for place in signs.places], signs.is_sure, signs.is_mistaken


def test_class_lists_leave_no_doubt(tmp_path: Path) -> None:
    """A class list in the set's folder, and Kaggle's tree, are sure signs; without a list, class folders are likely."""
    made.classic_train(tmp_path / "a")
    assert (["tree"], True, False) == words(tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / "ILSVRC2012_devkit_t12")
    assert (["tree"], False, False) == words(tmp_path / "a")
    made.kaggle(tmp_path / "b")
    (tmp_path / "b" / "LOC_synset_mapping.txt").unlink()
    assert (["kaggle"], True, False) == words(tmp_path / "b")


@pytest.mark.parametrize("split", ["train", "val"])
def test_another_split_is_a_mistake(tmp_path: Path, split: str) -> None:
    """Images of another split than the wanted one, or in a folder with another name, are ImageNet's, not found."""
    made.classic_train(tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / "ILSVRC2012_devkit_t12")
    if split == "train":
        (tmp_path / "a" / "train").rename(tmp_path / "a" / "pictures of train")
    assert ([], False, True) == words(tmp_path / "a", split)


def test_other_images(tmp_path: Path) -> None:
    """Flowers in class folders are neither ImageNet nor a mistake, and neither are the 21,841 classes."""
    for name in ("train/daisy/a.jpg", "val/daisy/b.jpg", "21k/n00000001/n00000001_1.JPEG"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(JPEG)
    assert ([], False, False) == words(tmp_path)
    assert ([], False, False) == words(tmp_path / "21k")
