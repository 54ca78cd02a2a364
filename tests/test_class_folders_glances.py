"""Glances at folders: which sub-folders there are, and whether an image lies in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.class_folders.glances import (
    first_folders,
    holds_image,
    holds_image_itself,
    sub_folders,
)


def test_sub_folders(tmp_path: Path) -> None:
    """They are sorted by their bytes; hidden ones, junk and links that lead nowhere are none."""
    for name in ("b", "é", "a", ".hidden", "__MACOSX"):
        (tmp_path / name).mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert ["a", "b", "linked", "é"] == sub_folders(tmp_path)


def test_images_are_found_at_any_depth(tmp_path: Path) -> None:
    """An image further down counts for the folder, but does not lie in the folder itself; links may form a circle."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert not holds_image(tmp_path)
    (tmp_path / "a" / "b" / "1.JPG").touch()
    assert holds_image(tmp_path)
    assert not holds_image_itself(tmp_path)
    assert holds_image_itself(tmp_path / "a" / "b")


def test_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    """It is an error that names it."""
    with pytest.raises(SourceError, match="gone: cannot be listed: No such file"):
        sub_folders(tmp_path / "gone")


def test_first_folders_in_words() -> None:
    """Three are named, and dots stand for more."""
    assert "a/, b/" == first_folders("ab")
    assert "a/, b/, c/, ..." == first_folders("abcd")
