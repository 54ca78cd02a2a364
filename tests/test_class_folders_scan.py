"""The scan of class folders: a tree becomes a Listing with labels, and nothing is left out in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.engines import open_engine
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import ImageClass, Listing
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.class_folders.source import ClassFoldersSource
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch
from tests.test_class_folders_listing import fill


def scanned(root: Path, **options: object) -> Listing:
    """Returns the Listing of the set at `root`."""
    source_options = SourceOptions(root=(str(root),), layout="folders", **options)  # type: ignore[arg-type]
    with open_engine(0, None) as engine, ClassFoldersSource(source_options) as source:
        return source.scan(engine, Silent(), Scratch())


def labels(listing: Listing) -> dict[str, int]:
    """Returns the label of each image by its path below the split."""
    image = listing.parts[0]
    return {listing.name_of(image, row): int(listing.class_index[row]) for row in range(len(listing))}


def names(listing: Listing) -> list[str]:
    """Returns the names of the classes, in the order of their labels."""
    assert [*range(len(listing.classes))] == [each.label for each in listing.classes]
    return [each.id for each in listing.classes]


def refusal(root: Path, **options: object) -> str:
    """Returns the message with which the set at `root` is refused."""
    with pytest.raises(SourceError) as caught:
        scanned(root, **options)
    return caught.value.in_one_line


def test_rows_and_labels(tmp_path: Path) -> None:
    """Rows are sorted by key; labels are by the bytewise order of the folders; sizes and paths are the files'."""
    fill(tmp_path, "rose red/ä.jpg", "b/2.PNG", "b/1/1.jpeg", "Ä/x.jpg", "B/x.jpg", "b-1/x.jpg")
    listing = scanned(tmp_path)
    assert ["B", "b", "b-1", "rose red", "Ä"] == names(listing)
    assert [b"=C3=84/x", b"B/x", b"b-1/x", b"b/1/1", b"b/2", b"rose=20red/=C3=A4"] == list(listing.keys)
    assert {"Ä/x.jpg": 4, "B/x.jpg": 0, "b-1/x.jpg": 2, "b/1/1.jpeg": 1, "b/2.PNG": 1, "rose red/ä.jpg": 3} == labels(
        listing
    )
    image = listing.parts[0]
    for row in range(len(listing)):
        path = Path(listing.path_of(image, row))
        assert path.stat().st_size == image.size[row]
        assert path.is_relative_to(tmp_path)
    assert {"key_rule": 1, "meta": None, "with": [], "image_field": None} == listing.selection


def test_joined_files(tmp_path: Path) -> None:
    """Each field is a part; a sample without a file has -1, and their count is told."""
    fill(tmp_path, "a/1.jpg", "a/1.txt", "a/2.jpg", "a/2.JSON", "b c/3.jpg", "b c/3.Txt")
    listing = scanned(tmp_path, with_=("txt", "json"))
    text, json = listing.part("txt"), listing.part("json")
    assert ["a/1.txt", "b c/3.Txt"] == [listing.name_of(text, row) for row in (0, 2)]
    assert ([7, -1, 9], [0, -1, 0]) == (text.size.tolist(), text.place.tolist())
    assert [-1, 8, -1] == json.size.tolist()
    assert "a/2.JSON" == listing.name_of(json, 1)
    told = "1 of 3 images lacks a file .txt of the same name. Such a sample is stored without the field txt."
    assert told in listing.notices
    assert ("json", "1 of 3 images have a file .json") in listing.found


def test_a_field_that_no_image_has(tmp_path: Path) -> None:
    """It is refused, with the endings that are there."""
    fill(tmp_path, "a/1.jpg", "a/1.txt", "a/2.tx")
    told = refusal(tmp_path, with_=("tx",))
    assert "no image has a file .tx of its own name beside it, as with tx asks for." in told
    assert "Other files that have an image's name: 1 .txt (the first a/1.txt)." in told


def test_splits_have_one_table(tmp_path: Path) -> None:
    """Train's classes are first; those that only val has follow, and are named."""
    fill(tmp_path, "train/b/1.jpg", "train/c/1.jpg", "val/a/1.jpg", "val/c/1.jpg", "test/1.jpg")
    train, val = scanned(tmp_path), scanned(tmp_path, split="val")
    assert ["b", "c", "a"] == names(train) == names(val)
    assert {"b/1.jpg": 0, "c/1.jpg": 1} == labels(train)
    assert {"a/1.jpg": 2, "c/1.jpg": 1} == labels(val)
    told = "1 class has no folder in train: a. Its label follows train's: 2."
    assert told in train.notices
    assert told in val.notices
    assert "1 class has no image in val, and images in another split: b. Each keeps its number." in val.notices
    assert () == train.problems == val.problems
    assert ("splits", "train in train/, val in val/, test in test/") in train.found


def test_a_split_without_classes(tmp_path: Path) -> None:
    """Its images have no label, and the set has no class table."""
    fill(tmp_path, "train/b/1.jpg", "test/1.jpg", "test/notes/a.doc")
    listing = scanned(tmp_path, split="test")
    assert ({"1.jpg": -1}, ()) == (labels(listing), listing.classes)
    assert "Files that are no images are not stored: 1 .doc (the first notes/a.doc)." in listing.notices


def test_a_folder_of_images(tmp_path: Path) -> None:
    """Without class folders, or in a folder `images` alone, images have no label."""
    fill(tmp_path, "a/x.jpg", "b/images/x.jpg")
    assert {"x.jpg": -1} == labels(scanned(tmp_path / "a"))
    assert {"images/x.jpg": -1} == labels(scanned(tmp_path / "b"))


def test_images_beside_class_folders(tmp_path: Path) -> None:
    """They are refused, with both counts."""
    fill(tmp_path, "x.jpg", "y z.jpg", "a/1.jpg", "b/2/3.jpg", "c/d.txt")
    told = refusal(tmp_path)
    assert f"{tmp_path} holds 2 images itself, the first x.jpg, and 2 images in 2 folders (a, b)." in told


def test_classes_without_images(tmp_path: Path) -> None:
    """They keep their numbers and are problems; one whose images are all left out one by one is none."""
    fill(tmp_path, "a/1.jpg", "b/notes.doc", "c/1.jpg", "d/1.jpg.part")
    listing = scanned(tmp_path)
    assert {"a/1.jpg": 0, "c/1.jpg": 2} == labels(listing)
    assert [(Kind.OTHER_ENDING, "d/1.jpg.part"), (Kind.EMPTY_CLASS, "b")] == [
        (problem.kind, os.path.relpath(problem.path, tmp_path)) for problem in listing.problems
    ]
    assert ("classes", "2 of 4 with images, sorted by name") in listing.found


def test_a_class_list(tmp_path: Path) -> None:
    """It decides the order and the words; a class that it alone has is a problem, and a missing one is refused."""
    fill(tmp_path / "set", "rose red/1.jpg", "b/1.jpg")
    (tmp_path / "list").write_text("b\tbee\nnone\nrose red\n")
    listing = scanned(tmp_path / "set", meta=tmp_path / "list")
    assert (ImageClass(0, "bee", "b"), ImageClass(1, "none", "none"), ImageClass(2, "rose red", "rose red")) == (
        listing.classes
    )
    assert {"b/1.jpg": 0, "rose red/1.jpg": 2} == labels(listing)
    assert [Kind.EMPTY_CLASS] == [problem.kind for problem in listing.problems]
    assert isinstance(listing.selection["meta"], str)
    (tmp_path / "list").write_text("b\tbee\n")
    assert "does not list the class rose red." in refusal(tmp_path / "set", meta=tmp_path / "list")


def test_classes_of_a_finished_set(tmp_path: Path) -> None:
    """They number the classes as they were, whatever the names on the disk."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    fill(Path(folder), "1.jpg")
    fill(tmp_path, "a/1.jpg")
    known = (ImageClass(0, "last", "\\xff"), ImageClass(1, "first", "a"))
    listing = scanned(tmp_path, known_classes=known)
    assert known == listing.classes
    assert {"a/1.jpg": 1, os.fsdecode(b"\xff/1.jpg"): 0} == labels(listing)


def test_a_finished_set_without_labels(tmp_path: Path) -> None:
    """It has no classes, and those of other splits are not held against it."""
    fill(tmp_path, "train/b/1.jpg", "test/1.jpg")
    assert {"1.jpg": -1} == labels(scanned(tmp_path, split="test", known_classes=()))


def test_the_shape_of_tiny_imagenet(tmp_path: Path) -> None:
    """Train has its labels by folders, val by its file, and test has none; the file is not counted among others."""
    fill(tmp_path, "train/n2/images/n2_0.JPEG", "train/n2/n2_boxes.txt", "train/n1/images/n1_0.JPEG", "wnids.txt")
    fill(tmp_path, "val/images/val_0.JPEG", "val/images/val_1.JPEG", "test/images/test_0.JPEG")
    (tmp_path / "val/val_annotations.txt").write_text("val_0.JPEG\tn2\t0\t0\nval_1.JPEG\tn3\t0\t0\nval_2.JPEG\tn1\t0\n")
    train, val, test = (scanned(tmp_path, split=split) for split in ("train", "val", "test"))
    assert {"n1/images/n1_0.JPEG": 0, "n2/images/n2_0.JPEG": 1} == labels(train)
    assert {"images/val_0.JPEG": 1, "images/val_1.JPEG": 2} == labels(val)
    assert {"images/test_0.JPEG": -1} == labels(test)
    assert ["n1", "n2", "n3"] == names(train) == names(val)
    assert f"{tmp_path}/val/val_annotations.txt names 1 image that is not there: val_2.JPEG." in val.notices
    assert not [notice for notice in val.notices if "Files that are no images" in notice]
    assert f"Files in {tmp_path} lie in no folder of a split, and are not stored: 1 .txt (the first wnids.txt)." in (
        val.notices
    )


def test_labels_that_a_file_lacks(tmp_path: Path) -> None:
    """An image without a label is refused."""
    fill(tmp_path, "train/n1/1.jpg", "val/images/a.jpg", "val/images/b.jpg")
    (tmp_path / "val/val_annotations.txt").write_text("a.jpg\tn1\n")
    assert "has no label for 1 of 2 images, the first b.jpg" in refusal(tmp_path, split="val")


def test_no_image(tmp_path: Path) -> None:
    """It is said what is there instead."""
    fill(tmp_path, "a/1.doc", "a/2.doc", "b/1.jpg.part", "c")
    told = refusal(tmp_path)
    assert f"{tmp_path} holds no image that can be read." in told
    assert "It holds 2 folders (a, b), and in all 2 .doc (the first a/1.doc), 1 with other endings or none" in told
    assert "1 file is an image that is unfinished" in told


def test_hidden_folders(tmp_path: Path) -> None:
    """They are no classes, and their files are counted."""
    fill(tmp_path, "a/1.jpg", ".cache/2.jpg", ".cache/x")
    listing = scanned(tmp_path)
    assert ["a"] == names(listing)
    told = "Hidden folders are no classes, and what is in them is not stored: 1 with other endings or none (the first "
    assert [f"{told}.cache/x), 1 .jpg (the first .cache/2.jpg)."] == list(listing.notices)


def test_classes_that_are_packed(tmp_path: Path) -> None:
    """An archive that is named as a class that is not there leaves out a class; one of unpacked folders is passed."""
    fill(
        tmp_path,
        "train/n01/1.jpg",
        "train/n02.tar",
        "train/n01.tar",
        "train/rose.tgz",
        "train/all.tar",
        "val/rose/1.jpg",
    )
    listing = scanned(tmp_path)
    assert [(Kind.PACKED_CLASS, "n02.tar"), (Kind.PACKED_CLASS, "rose.tgz")] == [
        (problem.kind, os.path.basename(problem.path)) for problem in listing.problems
    ]
    assert "Files that are no images are not stored: 2 .tar (the first all.tar)." in listing.notices


def test_many_folders_on_workers(tmp_path: Path) -> None:
    """Many folders make one task, and the rows are those of one process."""
    fill(tmp_path, *(f"c{number:03}/{number}.jpg" for number in range(600)))
    options = SourceOptions(root=(str(tmp_path),), layout="folders")
    told: list[tuple[int, int, int, str]] = []

    class Telling(Silent):
        def scanning(self, done: int, total: int, images: int, unit: str = "folder") -> None:
            told.append((done, total, images, unit))

    with open_engine(2, None) as engine, ClassFoldersSource(options) as source:
        listing = source.scan(engine, Telling(), Scratch())
    assert labels(scanned(tmp_path)) == labels(listing)
    assert (600, 600, 600, "folder") == told[-1]


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    """It is refused."""
    assert "is no folder. Name the folder that holds the class folders" in refusal(tmp_path / "none")


def test_the_kind(tmp_path: Path) -> None:
    """The name of the set is its folder's, made safe."""
    fill(tmp_path, "my set/train/a/1.jpg")
    source = ClassFoldersSource(SourceOptions(root=(str(tmp_path / "my set"),)))
    kind = source.kind
    assert ("folders", "folders", "train", "my=20set") == (kind.layout, kind.form, kind.split, kind.name)


def test_class_folders_that_are_links(tmp_path: Path) -> None:
    """They belong to the data set's folders, in which no shard may be written, and so does what they lead to."""
    fill(tmp_path, "real/rose/1.jpg", "set/oak/1.jpg")
    (tmp_path / "set" / "rose").symlink_to(tmp_path / "real" / "rose")
    with pytest.raises(DestinationError, match="where files of the data set belong"):
        convert(Options(root=tmp_path / "set", dest=tmp_path / "real" / "rose" / "shards", workers=0))
    assert ["1.jpg"] == [path.name for path in (tmp_path / "real" / "rose").iterdir()]
