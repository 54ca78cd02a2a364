"""The arrangement of a set in class folders: its splits and classes, from names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.class_folders.arrangement import arrangement_at
from tests.test_class_folders_listing import fill


def test_without_splits(tmp_path: Path) -> None:
    """The root is one set; its class folders are sorted bytewise, and hidden folders and junk are none."""
    fill(tmp_path, "b/1.jpg", "B/1.jpg", "ä/1.jpg", ".cache/1.jpg", "__MACOSX/b/1.jpg")
    found = arrangement_at(tmp_path, None)
    assert ({}, None, tmp_path) == (found.splits, found.split, found.folder)
    assert {None: ["B", "b", "ä"]} == found.classes


def test_splits(tmp_path: Path) -> None:
    """They are known by name in any case; folders beside them hold no image; each split has its class folders."""
    fill(tmp_path, "Train/a/1.jpg", "Train/b/1.jpg", "valid/b/1.jpg", "valid/c/x/1.jpg", "test/1.jpg", "docs/a.txt")
    found = arrangement_at(tmp_path, None)
    assert {"train": "Train", "val": "valid", "test": "test"} == found.splits
    assert ("train", tmp_path / "Train", ("docs",)) == (found.split, found.folder, found.beside)
    assert {"train": ["a", "b"], "val": ["b", "c"], "test": []} == found.classes
    assert tmp_path / "valid" == arrangement_at(tmp_path, "val").folder


def test_the_only_split(tmp_path: Path) -> None:
    """It is read without being named; of several without train, one has to be chosen."""
    fill(tmp_path, "validation/a/1.jpg")
    assert "val" == arrangement_at(tmp_path, None).split
    fill(tmp_path, "test/1.jpg")
    with pytest.raises(SourceError, match=r"has the splits val, test. Choose one with split"):
        arrangement_at(tmp_path, None)


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    """It is refused, with the names of those that are."""
    fill(tmp_path, "train/a/1.jpg", "test/1.jpg")
    with pytest.raises(SourceError, match=r"has no split val; it has train, test"):
        arrangement_at(tmp_path, "val")


def test_a_split_without_splits(tmp_path: Path) -> None:
    """It is refused."""
    fill(tmp_path, "roses/1.jpg")
    with pytest.raises(SourceError, match=r"has no splits, so there is no val in it: its folders are roses/, and"):
        arrangement_at(tmp_path, "val")


def test_folders_named_as_splits_can_be_classes(tmp_path: Path) -> None:
    """If a folder beside them holds images; and that is said."""
    fill(tmp_path, "test/1.jpg", "roses/a/1.jpg")
    found = arrangement_at(tmp_path, None)
    assert {None: ["roses", "test"]} == found.classes
    assert "Folders named as splits (test/) are taken for classes, since roses/ holds images." == found.why_none


def test_a_stray_folder_beside_splits(tmp_path: Path) -> None:
    """If two folders with names of splits share a class folder, they are splits, and the stray folder is refused."""
    fill(tmp_path, "train/oak/1.jpg", "val/rose/1.jpg", "misc/1.jpg", "docs/a.txt")
    assert {None: ["docs", "misc", "train", "val"]} == arrangement_at(tmp_path, None).classes
    fill(tmp_path, "val/oak/1.jpg")
    with pytest.raises(SourceError, match=r"class folders such as oak/, but images lie in misc/ beside them") as caught:
        arrangement_at(tmp_path, None)
    assert "Move misc/ away; or, if train/ and val/ are classes, rename them" in caught.value.in_one_line


def test_two_folders_of_one_split(tmp_path: Path) -> None:
    """They are refused, both named."""
    fill(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg")
    with pytest.raises(SourceError, match=r"/val and .*/valid both have a name of the split val"):
        arrangement_at(tmp_path, None)


def test_the_shape_of_tiny_imagenet(tmp_path: Path) -> None:
    """Classes with a folder `images`; val has its labels in a file, and neither val nor test has class folders."""
    fill(tmp_path, "train/n1/images/n1_0.JPEG", "train/n1/n1_boxes.txt", "val/images/val_0.JPEG")
    fill(tmp_path, "val/val_annotations.txt", "test/images/test_0.JPEG", "wnids.txt")
    found = arrangement_at(tmp_path, "val")
    assert {"train": ["n1"], "val": [], "test": []} == found.classes
    assert tmp_path / "val/val_annotations.txt" == found.labels_of("val")
    assert found.labels_of("train") is found.labels_of("test") is None


def test_links_in_a_circle(tmp_path: Path) -> None:
    """They end the search for images."""
    fill(tmp_path, "train/a/1.jpg", "docs/a.txt")
    (tmp_path / "docs/all").symlink_to(tmp_path / "docs")
    (tmp_path / "docs/self").symlink_to("self")
    assert ("docs",) == arrangement_at(tmp_path, None).beside
