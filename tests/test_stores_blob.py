"""Blobs: bytes of the source, as many as were planned or a problem."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from parallel_sharder.errors import SampleError
from parallel_sharder.model import PackedPart, Place, Role
from parallel_sharder.stores.blob import LooseFile, Stretch, ZipEntry, make_blob, packed_blobs

PLACES = (Place("/a", "a"), Place("/b.tar", "b.tar"))


def packed(numbers: list[int], kind: str) -> bytes:
    return array(kind, numbers).tobytes()


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [("none", 5, "unreadable"), ("image", 4999, "changed"), ("image", 5001, "changed"), ("image", 10**6, "changed"),
     (".", 5, "unreadable")],
)  # fmt: skip
def test_file_that_is_not_as_it_was(tmp_path: Path, name: str, size: int, kind: str) -> None:
    """One that is missing, longer or shorter than planned, or a folder, is a SampleError, however it is read."""
    (tmp_path / "image").write_bytes(b"x" * 5000)
    blob = LooseFile(str(tmp_path / name), size)
    with pytest.raises(SampleError) as caught:
        blob.read_into(memoryview(bytearray(size)))
    assert kind == caught.value.kind
    with pytest.raises(SampleError) as again:
        blob.read()
    assert (kind, caught.value.detail) == (again.value.kind, again.value.detail)


def test_file_that_is_as_it_was(tmp_path: Path) -> None:
    """Its bytes are read into their place, or given; an empty file has none."""
    (tmp_path / "image").write_bytes(b"x" * 5000)
    (tmp_path / "empty").touch()
    view = memoryview(bytearray(5000))
    LooseFile(str(tmp_path / "image"), 5000).read_into(view)
    assert b"x" * 5000 == view
    assert b"x" * 5000 == LooseFile(str(tmp_path / "image"), 5000).read()
    LooseFile(str(tmp_path / "empty"), 0).read_into(view[:0])
    assert b"" == LooseFile(str(tmp_path / "empty"), 0).read()


def test_files_of_a_part() -> None:
    """They are named by key and ending, and a sample without one has None."""
    part = PackedPart(Role.ANNOTATION, (".xml",), packed([0, -1, 0], "i"), packed([5, -1, 7], "q"))
    assert [LooseFile("/a/x.xml", 5), None, LooseFile("/a/z.xml", 7)] == [
        *packed_blobs(part, ["x", "y", "z"], 3, PLACES)
    ]
    part = PackedPart(Role.IMAGE, (".JPEG", ".png"), packed([0, 0], "i"), packed([5, 6], "q"), ending=b"\1\0")
    assert [LooseFile("/a/x.png", 5), LooseFile("/a/y.JPEG", 6)] == [*packed_blobs(part, ["x", "y"], 2, PLACES)]


def test_entries_of_archives() -> None:
    """Where they are in an archive is told by one number for a tar, and by three for a zip."""
    part = PackedPart(Role.IMAGE, (".JPEG",), packed([1, 1], "i"), packed([5, 6], "q"), packed([512, 2048], "q"))
    assert [Stretch("/b.tar", 512, 5, "b.tar:x.JPEG"), Stretch("/b.tar", 2048, 6, "b.tar:y.JPEG")] == [
        *packed_blobs(part, ["x", "y"], 2, PLACES)
    ]
    assert ZipEntry("/b.tar", 1, 2, 3, 4, "b.tar:x") == make_blob(PLACES[1], "x", 4, (1, 2, 3))
