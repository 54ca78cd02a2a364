"""Contents: files as columns, on their way from a worker to the scan, and what is said of those that are none of it."""

from __future__ import annotations

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.sources.contents import NO_FILES, FileColumns, names_at_top, refuse_repeat, strangers
from parallel_sharder.sources.names import NameRule

NAMES = NameRule(".jpg", ".txt", "[a-z]+", "[a-z]+-[0-9]{3}")


def test_files_are_sorted_by_key() -> None:
    """Each column has a row a file, in that order."""
    columns = FileColumns.of({"b": 2, "a": 1}, ".jpg", {"a": (10, 11), "b": (20, 21)}, {"b": ".png"})
    assert (2, ["a.jpg", "b.png"]) == (len(columns), columns.names(".jpg"))
    assert ([1, 2], [10, 11, 20, 21]) == (
        [*memoryview(columns.sizes).cast("q")],
        [*memoryview(columns.extents).cast("q")],
    )


def test_columns_without_unusual_endings_have_none() -> None:
    """The usual one need not be sent a million times."""
    columns = FileColumns.of({"b": 2, "a": 1}, ".jpg")
    assert ("", [".jpg", ".jpg"]) == (columns.endings, columns.endings_or(".jpg"))


def test_no_files() -> None:
    """Columns of none have no names."""
    assert (0, []) == (len(NO_FILES), NO_FILES.names(".jpg"))
    assert NO_FILES == FileColumns.of({}, ".jpg")


def test_a_stranger_that_may_be_an_unfinished_image_is_left_out() -> None:
    """But for one whose image is known; all others are reported only."""
    files = ["cat-001.jpg.part", "cat-002.jpg.part", "notes"]
    found = {problem.path: (problem.kind, problem.key) for problem in strangers("/raw/", files, NAMES, {"cat-001"})}
    assert {
        "/raw/cat-001.jpg.part": (Kind.NOT_AN_IMAGE, ""),
        "/raw/cat-002.jpg.part": (Kind.OTHER_ENDING, "cat-002"),
        "/raw/notes": (Kind.NOT_AN_IMAGE, ""),
    } == found


def test_two_files_of_one_key_are_refused() -> None:
    """Both are named."""
    with pytest.raises(SourceError, match="^a.jpg and a.png have one key"):
        refuse_repeat("a.jpg", "a.png")


def test_the_first_names_of_an_archive_stand_for_it() -> None:
    """Each folder once; of an empty archive it is said."""
    assert "a/, b, c/" == names_at_top(["./a/1", "a/2", "b", "c/d/e"])
    assert "x0, x1, x2, x3, x4 and 5 more" == names_at_top(f"x{number}" for number in range(10))
    assert "nothing" == names_at_top([])
