"""Paths: cells become names of files, or are refused."""

from __future__ import annotations

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table.paths import Paths


def names(*cells: str | None, folder: str = "") -> list[bytes]:
    return Paths("t.csv", "image", "/raw", folder).names(1, cells)


def test_plain_paths_stay() -> None:
    """They are bytes in UTF-8."""
    assert [b"a.jpg", b"b/ \xc3\xa4.jpg", b"../c.jpg"] == names("a.jpg", "b/ \u00e4.jpg", "../c.jpg")


def test_paths_are_relative_to_the_root() -> None:
    """Needless dots and slashes are dropped; a file elsewhere keeps its absolute path."""
    assert [b"a/b.jpg", b"c.jpg", b"/raw2/d.jpg"] == names("./a//b.jpg", "/raw/c.jpg", "/raw2/d.jpg")


def test_rows_of_another_folder_have_no_name() -> None:
    """With a folder, names are relative to it."""
    assert [b"a.jpg", b"", b"", b"d.jpg"] == names(
        "train/a.jpg", "val/b.jpg", "train.jpg", "/raw/train/d.jpg", folder="train"
    )


@pytest.mark.parametrize("url", ["https://x.org/a.jpg", "s3://b/a.jpg", "data:image/png;base64,AA"])
def test_urls_are_refused(url: str) -> None:
    """The message says that nothing is downloaded."""
    with pytest.raises(SourceError, match="row 2, column 'image' is a URL, .*This tool downloads nothing"):
        names("a.jpg", url)


@pytest.mark.parametrize("cell", ["", None])
def test_empty_cells_are_refused(cell: str | None) -> None:
    """Each row names an image."""
    with pytest.raises(SourceError, match="row 2, column 'image' is empty"):
        names("a.jpg", cell, "c.jpg")


@pytest.mark.parametrize("cell", ["a\0b", "\ud800.jpg", "/", "./"])
def test_cells_that_are_no_paths_are_refused(cell: str) -> None:
    """The cell is shown."""
    with pytest.raises(SourceError, match="row 1, column 'image' is .* which is no path"):
        names(cell)
