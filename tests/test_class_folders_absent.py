"""Classes without an image in the split that is read: problems, those of another split, those of a longer list."""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.sources.class_folders.absent import absent_classes
from parallel_sharder.sources.class_folders.arrangement import arrangement_at
from tests.test_class_folders_listing import fill


def test_a_class_of_another_split(tmp_path: Path) -> None:
    """It is no problem if that split has an image of it; train must have images of its own classes."""
    fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/c/notes.doc", "val/a/1.jpg", "val/c/1.jpg", "val/d/x.doc")
    val = absent_classes(arrangement_at(tmp_path, "val"), "abcd", {"a", "c"}, [])
    assert (["b"], [f"{tmp_path}/val/d"]) == (val.elsewhere, [problem.path for problem in val.problems])
    train = absent_classes(arrangement_at(tmp_path, "train"), "abcd", {"a", "b"}, [])
    assert [(Kind.EMPTY_CLASS, f"{tmp_path}/train/{name}") for name in "cd"] == [
        (problem.kind, problem.path) for problem in train.problems
    ]


def test_a_class_whose_images_are_left_out(tmp_path: Path) -> None:
    """It is not absent, because each of its images is a problem."""
    fill(tmp_path, "a/1.jpg", "b/1.jpg.part")
    lost = Problem(Kind.OTHER_ENDING, f"{tmp_path}/b/1.jpg.part", "", "")
    assert ([], [], []) == absent_classes(arrangement_at(tmp_path, None), "ab", {"a"}, [lost])


def test_a_list_of_a_larger_set(tmp_path: Path) -> None:
    """Of more than ten times the classes that are there, those without a folder are no problems."""
    fill(tmp_path, "a/1.jpg", "b/notes.doc")
    names = [*"ab", *map(str, range(19))]
    found = absent_classes(arrangement_at(tmp_path, None), names, {"a"}, [])
    assert (names[2:], [f"{tmp_path}/b"]) == (found.only_listed, [problem.path for problem in found.problems])
    found = absent_classes(arrangement_at(tmp_path, None), names[:-1], {"a"}, [])
    assert ([], 19) == (found.only_listed, len(found.problems))
