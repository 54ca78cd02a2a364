"""Files: sizes of what rows name, and what lies in folders."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table.files import NO_FILE, UNREADABLE, look_into, sizes_of


def test_sizes(tmp_path: Path) -> None:
    """A file that is not there, and what is no file, have numbers of their own; links are followed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.jpg").write_bytes(b"12345")
    (tmp_path / "link.jpg").symlink_to("a/b.jpg")
    names = b"\0".join((b"a/b.jpg", b"no.jpg", b"a", b"link.jpg", os.fsencode(tmp_path / "a/b.jpg"), b"a/b.jpg/c"))
    sizes = [*array("q", sizes_of(os.fsencode(tmp_path), names))]
    assert [5, NO_FILE, UNREADABLE, 5, 5, NO_FILE] == sizes


def test_a_root_that_cannot_be_read(tmp_path: Path) -> None:
    """It is an error that names it."""
    with pytest.raises(SourceError, match="/no cannot be read: No such file"):
        sizes_of(os.fsencode(tmp_path / "no"), b"a")


def test_what_lies_in_a_folder(tmp_path: Path) -> None:
    """Images by their endings, folders, and all others counted; junk is passed over."""
    for name in ("b.JPG", "a.png", "t.txt", "u.txt", "README", ".DS_Store", "._a.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "sub.jpg").mkdir()
    (looked,) = look_into(os.fsencode(tmp_path), (b"",))
    assert (b"a.png\0b.JPG", (b"sub.jpg",)) == (looked.images, looked.folders)
    assert {".txt": 2, "": 1} == dict(looked.others)
