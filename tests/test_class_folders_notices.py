"""Notices of class folders: mixed formats, files that are passed over, and roots that are a split."""

from __future__ import annotations

from pathlib import Path

from tests.test_class_folders_listing import fill
from tests.test_class_folders_scan import scanned


def test_mixed_formats(tmp_path: Path) -> None:
    """They are counted by field, with the option that stores all in one; one format under two endings is not mixed."""
    fill(tmp_path, "a/1.jpg", "a/2.JPEG", "a/3.png")
    [said] = scanned(tmp_path).notices
    assert "stored in a field for each: 2 jpg, 1 png. Readers" in said
    assert "image_field jpg stores all images in one field." in said
    told = "The images are of several formats, and are all stored in the field png: 2 jpg, 1 png."
    assert (told,) == scanned(tmp_path, image_field="png").notices
    (tmp_path / "a/3.png").unlink()
    assert () == scanned(tmp_path).notices


def test_files_that_could_be_joined(tmp_path: Path) -> None:
    """They are counted once by ending, with the option that joins them."""
    fill(tmp_path, "a/1.jpg", "a/1.txt", "a/2.jpg", "a/2.txt", "a/2.json", "a/Thumbs.db")
    assert (
        "Files of the same name as an image are not stored: 2 .txt (the first a/1.txt), 1 .json (the first a/2.json). "
        "with txt,json stores them with the images.",
        "1 file or folder was passed over, because systems leave them behind: 1 Thumbs.db.",
    ) == scanned(tmp_path).notices


def test_files_without_an_image(tmp_path: Path) -> None:
    """Those that were asked for are told apart from others."""
    fill(tmp_path, "a/1.jpg", "a/1.txt", "a/2.txt")
    told = "Files have the name of no image beside them, and are not stored: 1 .txt (the first a/2.txt)."
    assert (told,) == scanned(tmp_path, with_=("txt",)).notices


def test_a_root_that_is_a_split(tmp_path: Path) -> None:
    """Its classes may be numbered differently from train's, and that is said."""
    fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/b/1.jpg")
    [said] = scanned(tmp_path / "val").notices
    assert f"{tmp_path / 'val'} looks like the split val of {tmp_path}." in said


def test_folders_named_as_splits(tmp_path: Path) -> None:
    """If they are taken for classes, that is said."""
    fill(tmp_path, "train/1.jpg", "oak/1.jpg")
    assert ("Folders named as splits (train/) are taken for classes, since oak/ holds images.",) == (
        scanned(tmp_path).notices
    )


def test_labels_that_are_not_read(tmp_path: Path) -> None:
    """A root that is a split, and has its labels in a file, is told with the root that reads them."""
    fill(tmp_path, "tiny/val/images/1.jpg", "tiny/val/val_annotations.txt")
    root = tmp_path / "tiny"
    said = scanned(root / "val").notices[0]
    assert f"the labels in {root}/val/val_annotations.txt are not read. root {root} split val reads them." in said


def test_a_split_without_labels(tmp_path: Path) -> None:
    """It is told if train has classes."""
    fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/images/1.jpg")
    told = (
        f"The images of val have no labels, because {tmp_path}/val has no class folders and no val_annotations.txt; "
        "train has 2 classes."
    )
    assert (told,) == scanned(tmp_path, split="val").notices
    assert () == scanned(tmp_path).notices


def test_one_class_that_holds_folders(tmp_path: Path) -> None:
    """It is told, because the root may be one folder too high; a class with images of its own is none."""
    fill(tmp_path, "up/flowers/oak/1.jpg", "up/flowers/rose/1.jpg")
    told = (
        "There is one class only, flowers, whose images lie in 2 folders in it: oak/, rose/. Did you mean root "
        f"{tmp_path}/up/flowers?"
    )
    assert (told,) == scanned(tmp_path / "up").notices
    fill(tmp_path, "up/flowers/1.jpg")
    assert () == scanned(tmp_path / "up").notices


def test_a_class_list_of_a_larger_set(tmp_path: Path) -> None:
    """One notice counts the classes that only it has; an empty folder is a problem still."""
    fill(tmp_path / "set", "c1/1.jpg", "c2/notes.doc")
    (tmp_path / "list").write_text("".join(f"c{number}\n" for number in range(21)))
    listing = scanned(tmp_path / "set", meta=tmp_path / "list")
    told = "The class list names 21 classes, of which 19 have no folder: c0, c3, c4, c5, c6 and 14 more. Each keeps its"
    assert told in listing.notices[0]
    assert [str(tmp_path / "set/c2")] == [problem.path for problem in listing.problems]
    assert 21 == len(listing.classes)


def test_a_table_beside_the_images(tmp_path: Path) -> None:
    """A table that nobody named is passed over, and the notice has the option that reads it; in or beside a split."""
    fill(tmp_path, "a/1.jpg", "captions of.csv")
    remedy = f"If captions of.csv is a table of these images, table '{tmp_path}/captions of.csv' reads it."
    [said] = scanned(tmp_path).notices
    assert f"Files that are no images are not stored: 1 .csv (the first captions of.csv). {remedy}" == said
    (tmp_path / "a").rename(tmp_path / "train")
    [said] = scanned(tmp_path).notices
    assert said.endswith(f"are not stored: 1 .csv (the first captions of.csv). {remedy}")
