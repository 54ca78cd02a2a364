"""Small files: the same by themselves, in a tar and in a zip; and bytes that are text, or are not."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.small_files import LIMIT_BYTES, InTar, InZip, SmallFile, decode_text, read_content
from tests import made

CONTENT = b"n01440764 tench\n"


def small_file(kind: str, folder: Path, name: str = "lists/classes.txt") -> SmallFile:
    """A file of that content, which is asked for under `name`."""
    if kind == "tar":
        with tarfile.open(folder / "x.tar.gz", "w:gz") as archive:
            made.add_bytes(archive, "devkit/lists/classes.txt", CONTENT)
        return InTar(folder / "x.tar.gz", name)
    if kind == "zip":
        with zipfile.ZipFile(folder / "x.zip", "w") as zipped:
            zipped.writestr("lists/classes.txt", CONTENT)
        return InZip(folder / "x.zip", name)
    (folder / "lists").mkdir()
    (folder / "lists" / "classes.txt").write_bytes(CONTENT)
    return folder / name


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_content_is_the_same_wherever_the_file_is(tmp_path: Path, kind: str) -> None:
    """Suffix and neighbours too."""
    path = small_file(kind, tmp_path)
    assert path.is_file()
    assert (CONTENT, ".txt") == (read_content(path), path.suffix)
    assert not path.with_name("other.txt").is_file()


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_missing_file_is_named(tmp_path: Path, kind: str) -> None:
    """Of an archive, what it holds instead."""
    path = small_file(kind, tmp_path, "none.txt")
    assert not path.is_file()
    with pytest.raises(SourceError, match="none.txt"):
        read_content(path)


def test_large_file_is_not_read(tmp_path: Path) -> None:
    """It is another file, and the message has its size and the limit."""
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(LIMIT_BYTES + 1)
    with pytest.raises(SourceError, match="has 67,108,865 bytes; .* under 67,108,864"):
        read_content(path)


def test_damaged_archive_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    path = small_file("tar", tmp_path)
    data = (tmp_path / "x.tar.gz").read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match="x.tar.gz cannot be read: .* Download or copy it again."):
        read_content(path)


def test_text_is_utf8_with_or_without_a_mark() -> None:
    """The mark is no part of the text."""
    assert (
        "tench, ä"
        == decode_text("tench, ä".encode(), Path("x"))
        == decode_text("tench, ä".encode("utf-8-sig"), Path("x"))
    )


def test_text_in_utf16_is_refused_with_the_command_that_converts_it() -> None:
    """For a path of any characters."""
    with pytest.raises(SourceError, match="iconv -f UTF-16 -t UTF-8 '/a b'"):
        decode_text("tench".encode("utf-16"), Path("/a b"))


@pytest.mark.parametrize(("content", "message"), [(b"ab\xff", "from byte 2 on"), (b"a\0b", "zero bytes")])
def test_what_is_no_text_is_an_error(content: bytes, message: str) -> None:
    """Which says where, or why."""
    with pytest.raises(ValueError, match=message):
        decode_text(content, Path("x"))
