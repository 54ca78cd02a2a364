"""Labels of class folders: train's order first, and one table for all splits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.model import ImageClass
from parallel_sharder.sources.class_folders.labels import class_table, read_labels


def test_train_comes_first() -> None:
    """Classes that only other splits have follow, sorted, and are named."""
    table = class_table({"val": ["0", "b", "z"], "train": ["a", "b"], "test": ["A"]}, None, "")
    assert {"a": 0, "b": 1, "0": 2, "A": 3, "z": 4} == table.labels
    assert ("0", "A", "z") == table.further


def test_without_train() -> None:
    """The classes of all splits are sorted, and none is a further one."""
    table = class_table({"val": ["b"], "test": ["a"]}, None, "")
    assert ({"a": 0, "b": 1}, ()) == (table.labels, table.further)


def test_a_list_decides() -> None:
    """It orders the classes and gives them words; one that it lacks is refused."""
    table = class_table({None: ["a", "b"]}, {"b": "bee", "c": "c", "a": "a"}, "list.txt")
    assert (ImageClass(0, "bee", "b"), ImageClass(1, "c", "c"), ImageClass(2, "a", "a")) == table.classes
    with pytest.raises(SourceError, match=r"list.txt does not list the class a\. Add"):
        class_table({None: ["a", "b"]}, {"b": "bee"}, "list.txt")


def test_names_that_are_no_text() -> None:
    """Their bytes are shown in hex, and umlauts stay."""
    name = os.fsdecode("ä".encode() + b"\xff")
    assert (ImageClass(0, "ä\\xff", "ä\\xff"),) == class_table({None: [name]}, None, "").classes


def test_labels_in_a_file(tmp_path: Path) -> None:
    """The first two columns are read."""
    (tmp_path / "labels").write_text("val_0.JPEG\tn1\t0\t32\t44\t62\nval_1.JPEG\tn2\n\n")
    assert {"val_0.JPEG": "n1", "val_1.JPEG": "n2"} == read_labels(tmp_path / "labels")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a.jpg n1\n", "line 1 is not an image's name, a tab and a class"),
        (b"a.jpg\tn1\na.jpg\tn2\n", "line 2 gives a.jpg another class than an earlier line"),
        (b"\xff\xff", "not text in UTF-8"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, content: bytes, told: str) -> None:
    """They are refused, with the line."""
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(SourceError, match=told):
        read_labels(tmp_path / "labels")
