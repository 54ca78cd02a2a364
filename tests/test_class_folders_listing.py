"""The listing of class folders: each file is a row, is joined to one, is counted with a reason, or is a problem."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.sources.class_folders.listed import FolderRule, Listed, Passed, Why
from parallel_sharder.sources.class_folders.listing import list_folders, list_top


def fill(folder: Path, *names: str) -> None:
    """Makes files of as many bytes as their names have."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * len(os.fsencode(name)))


def rows(listed: Listed) -> list[tuple[str, int, str]]:
    """Returns the path of each row as it is stored, its size and its key."""
    images = listed.images
    keys = images.keys.decode().split("\n") if len(images) else []
    names = images.names.split(b"\0") if images.names else [b""] * len(images)
    paths = [
        os.fsdecode(name) or key + images.endings[number]
        for name, key, number in zip(names, keys, images.ending, strict=True)
    ]
    return list(zip(paths, array("q", images.sizes), keys, strict=True))


def side(listed: Listed, column: int) -> list[tuple[int, str]]:
    """Returns the size and the stored name of each row's file in a column of joined files."""
    sizes, names = listed.images.sides[column]
    stored = names.decode().split("\0") if names else [""] * len(listed.images)
    return list(zip(array("q", sizes), stored, strict=True))


def test_images_are_rows(tmp_path: Path) -> None:
    """At any depth below the class, with any case of the ending; a name is stored where the key is not the name."""
    fill(tmp_path, "rose red/ä.jpg", "rose red/b/c/d.PNG", "tulip/x.jpeg", "tulip/x.webp", "tulip/.h.gif", "oak/y.jpg")
    listed = list_folders(str(tmp_path), ["rose red", "tulip", "oak"], FolderRule())
    assert (("rose red", 2), ("tulip", 3), ("oak", 1)) == listed.tops
    assert [
        ("rose red/ä.jpg", 15, "rose=20red/=C3=A4"),
        ("rose red/b/c/d.PNG", 18, "rose=20red/b/c/d"),
        ("tulip/.h.gif", 12, "tulip/=2Eh"),
        ("tulip/x.jpeg", 12, "tulip/x=2Ejpeg"),
        ("tulip/x.webp", 12, "tulip/x=2Ewebp"),
        ("oak/y.jpg", 9, "oak/y"),
    ] == rows(listed)
    assert b"" == list_folders(str(tmp_path), ["oak"], FolderRule()).images.names


def test_files_are_joined(tmp_path: Path) -> None:
    """By their stem, whatever the case of their ending; a row without one has -1, and one without an image is told."""
    fill(
        tmp_path, "c/a.jpg", "c/a.TXT", "c/b.jpg", "c/b.txt", "c/c.jpg", "c/d.txt", "c/a.json", "d d/e.jpg", "d d/e.txt"
    )
    listed = list_folders(str(tmp_path), ["c", "d d"], FolderRule(("txt", "xml")))
    assert [(7, "c/a.TXT"), (7, ""), (-1, ""), (9, "d d/e.txt")] == side(listed, 0)
    assert (b"", b"") == listed.images.sides[1]
    assert (Passed(Why.ORPHAN, ".txt", 1, "c/d.txt"), Passed(Why.SIDE, ".json", 1, "c/a.json")) == listed.passed


def test_twins_share_a_file(tmp_path: Path) -> None:
    """Both a.jpg and a.png have the text a.txt."""
    fill(tmp_path, "c/a.jpg", "c/a.png", "c/a.txt")
    assert [(7, "c/a.txt")] * 2 == side(list_folders(str(tmp_path), ["c"], FolderRule(("txt",))), 0)


def test_two_files_of_one_field(tmp_path: Path) -> None:
    """They are refused, because one would be lost."""
    fill(tmp_path, "c/a.jpg", "c/a.txt", "c/a.TXT")
    with pytest.raises(SourceError, match=r"c/a.TXT and .*c/a.txt would be one field of one sample"):
        list_folders(str(tmp_path), ["c"], FolderRule(("txt",)))


def test_other_files_are_counted(tmp_path: Path) -> None:
    """By reason and ending, with the first of each; junk by its usual name; a number is no ending."""
    fill(tmp_path, "c/a.jpg", "c/b.Doc", "c/a.doc", "c/c.doc", "c/README", "c/x.001", "c/Thumbs.db", "c/._a.jpg")
    listed = list_folders(str(tmp_path), ["c"], FolderRule())
    assert (
        Passed(Why.OTHER, "", 2, "c/README"),
        Passed(Why.OTHER, ".doc", 2, "c/b.Doc"),
        Passed(Why.SIDE, ".doc", 1, "c/a.doc"),
    ) == listed.passed
    assert (("._*", 1), ("Thumbs.db", 1)) == listed.junk
    assert () == listed.problems


def test_images_that_are_no_rows(tmp_path: Path) -> None:
    """Unfinished, packed, broken and unreadable ones, and those in formats without a field, are problems."""
    fill(tmp_path, "c/a.jpg", "c/a.jpg.part", "c/b.jpg.crdownload", "c/c.Xy12z.png.part", "c/d.jxl", "c/e.jpg.gz")
    (tmp_path / "c/f.jpg").symlink_to("nowhere")
    (tmp_path / "c/g").symlink_to("nowhere")
    (tmp_path / "c/h.txt").symlink_to("nowhere")
    os.mkfifo(tmp_path / "c/h.jpg")
    fill(tmp_path, "c/i.jpg")
    (tmp_path / "c/i.txt").symlink_to("nowhere")
    listed = list_folders(str(tmp_path), ["c"], FolderRule(("txt",)))
    assert [
        ("b.jpg.crdownload", Kind.OTHER_ENDING, ""),
        ("c.Xy12z.png.part", Kind.OTHER_ENDING, ""),
        ("d.jxl", Kind.OTHER_ENDING, ""),
        ("e.jpg.gz", Kind.PACKED_IMAGE, ""),
        ("f.jpg", Kind.UNREADABLE, "c/f"),
        ("g", Kind.NOT_AN_IMAGE, ""),
        ("h.jpg", Kind.UNREADABLE, "c/h"),
        ("i.txt", Kind.UNREADABLE, "c/i"),
    ] == [(os.path.basename(problem.path), problem.kind, problem.key) for problem in listed.problems]
    assert ["c/a.jpg"] == [path for path, _, _ in rows(listed)]


def test_folders_named_like_images(tmp_path: Path) -> None:
    """They are folders."""
    fill(tmp_path, "c/a.jpg/b.jpg", "c/x.txt/c.jpg")
    listed = list_folders(str(tmp_path), ["c"], FolderRule(("txt",)))
    assert ["c/a=2Ejpg/b", "c/x=2Etxt/c"] == [key for _, _, key in rows(listed)]


def test_links_are_followed(tmp_path: Path) -> None:
    """Those to a folder above them are problems, and are not followed."""
    fill(tmp_path, "set/c/a.jpg", "far/b.jpg")
    (tmp_path / "set/d").symlink_to(tmp_path / "far")
    (tmp_path / "far/e").symlink_to(tmp_path / "far")
    (tmp_path / "set/c/up").symlink_to(tmp_path / "set")
    status = (tmp_path / "set").stat()
    rule = FolderRule(above=frozenset({(status.st_dev, status.st_ino)}))
    listed = list_folders(str(tmp_path / "set"), ["c", "d"], rule)
    assert ["c/a.jpg", "d/b.jpg"] == [path for path, _, _ in rows(listed)]
    assert ["c/up", "d/e"] == [os.path.relpath(problem.path, tmp_path / "set") for problem in listed.problems]


def test_the_top_alone(tmp_path: Path) -> None:
    """The files in a folder are rows, and its folders are named."""
    fill(tmp_path, "a.jpg", "d/b.jpg", "c/b.jpg")
    listed = list_top(str(tmp_path), FolderRule())
    assert (("", 1),) == listed.tops
    assert ("c", "d") == listed.folders
    assert [("a.jpg", 5, "a")] == rows(listed)


def test_all_is_passed_over(tmp_path: Path) -> None:
    """By a rule that says why, images and all."""
    fill(tmp_path, ".cache/a.jpg", ".cache/b/c.txt", ".cache/d")
    listed = list_folders(str(tmp_path), [".cache"], FolderRule(("txt",), passes=Why.HIDDEN))
    assert [("", 1), (".jpg", 1), (".txt", 1)] == [(each.ending, each.count) for each in listed.passed]
    assert 0 == len(listed.images)


def test_unlisted_folders_are_named(tmp_path: Path) -> None:
    """A folder that is not there, or cannot be listed, stops the scan."""
    with pytest.raises(SourceError, match=r"c: cannot be listed: No such file"):
        list_folders(str(tmp_path), ["c"], FolderRule())


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A name keeps them."""
    (tmp_path / "c").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/c/\xff\n.jpg")).write_bytes(b"1")
    listed = list_folders(str(tmp_path), ["c"], FolderRule())
    assert [(os.fsdecode(b"c/\xff\n.jpg"), 1, "c/=FF=0A")] == rows(listed)
