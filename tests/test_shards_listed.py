"""The listing of a shard has every sample once, with its stretch; what would be lost is an error with its offset."""

from __future__ import annotations

import os
import tarfile
from array import array
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.shards.listed import ListedShard, list_shard
from parallel_sharder.sources.shards.rows import rows_of
from parallel_sharder.tar.ustar import member_bytes
from tests.shard_files import samples, tar_bytes, write_shard


def rows(shard: ListedShard) -> list[tuple[str, int, int, int, tuple[str, ...]]]:
    found = rows_of([shard])
    columns = (column.tolist() for column in (found.offset, found.size, found.written, found.shape))
    keys = shard.keys.decode("utf-8", "surrogateescape").split("\0")[:-1]
    return [(*row[:4], found.shapes[row[4]]) for row in zip(keys, *columns, strict=True)]


@pytest.mark.parametrize(("dialect", "mtime", "extra"), [("ustar", 0, 0), ("gnu", 1e9, 0), ("pax", 1e9 + 0.5, 1024)])
def test_stretches(tmp_path: Path, dialect: str, mtime: float, extra: int) -> None:
    """A stretch begins at the sample's first header and ends behind its last padding; PAX headers are not written."""
    path = write_shard(tmp_path / "a.tar", samples("x/a", "x/b", fields="cls seg.png jpg"), dialect, mtime)
    written = sum(member_bytes(len(content)) for _, content in samples("x/a", fields="cls seg.png jpg"))
    size = written + 3 * extra
    shape = ("cls", "seg.png", "jpg")
    assert [("x/a", 0, size, written, shape), ("x/b", size, size, written, shape)] == rows(
        list_shard(path, rename_keys=False)
    )


def test_long_names(tmp_path: Path) -> None:
    """Names over 100 bytes are read in each dialect, and are unfit or renamed."""
    key = "k" * 120
    for dialect in ("gnu", "pax"):
        path = write_shard(tmp_path / "a.tar", samples(key, "b", fields="jpg"), dialect)
        shard = list_shard(path, rename_keys=False)
        assert {0: "has a name of 124 bytes, and the limit is 100"} == shard.unfit
        shard = list_shard(path, rename_keys=True)
        assert {0: key.encode()} == shard.renamed
        assert {} == shard.unfit
        assert 80 == len(rows(shard)[0][0])
        assert "b" == rows(shard)[1][0]


@pytest.mark.parametrize(
    ("key", "fault", "renamed"),
    [
        ("a b", "is not ASCII without white space", "a=20b"),
        ("ä", "is not ASCII without white space", "=C3=A4"),
        ("a\x01", "is not ASCII without white space", "a=01"),
        ("x/__a", "has a base name that begins with two underscores", "x/=5F_a"),
        ("k" * 97, "has a name of 101 bytes, and the limit is 100", "k" * 63 + "~"),
    ],
)
def test_unfit_names(tmp_path: Path, key: str, fault: str, renamed: str) -> None:
    """Keys that no reader takes are named with the fault, or follow the key rule."""
    path = write_shard(tmp_path / "a.tar", samples("fine", key, fields="jpg"), "gnu")
    shard = list_shard(path, rename_keys=False)
    assert {1: fault} == shard.unfit
    assert rows(list_shard(path, rename_keys=True))[1][0].startswith(renamed)


def test_renamed_name_too_long(tmp_path: Path) -> None:
    """A field so long that no key fits before it is an error, with --rename-keys too."""
    path = write_shard(tmp_path / "a.tar", samples("k" * 90, fields="f" * 30), "gnu")
    with pytest.raises(SourceError, match=r"at offset 0: .* has 111 bytes even with the key renamed, and readers take"):
        list_shard(path, rename_keys=True)


@pytest.mark.parametrize("field", ["j g", "", "jpé"])
def test_unfit_fields(tmp_path: Path, field: str) -> None:
    """Field names must be fine; --rename-keys does not change them."""
    path = write_shard(tmp_path / "a.tar", [("a.jpg", b""), (f"b.{field}", b"")], "gnu")
    with pytest.raises(SourceError, match="at offset 512: b.* has a field name that is not ASCII without white space"):
        list_shard(path, rename_keys=True)


def test_field_twice(tmp_path: Path) -> None:
    """A field that is twice under one key is an error with both offsets; readers do not tell JPG from jpg."""
    for again in ("jpg", "JPG"):
        path = write_shard(tmp_path / "a.tar", [("a.jpg", b""), ("a.cls", b""), (f"a.{again}", b"")])
        words = "at offset 1,024: the key a has the field jpg twice, the first at offset 0"
        with pytest.raises(SourceError, match=words):
            list_shard(path, rename_keys=False)


def test_what_is_no_sample(tmp_path: Path) -> None:
    """Folders and members without a key are counted and named; a link is named, and is left out."""
    members = [
        ("./", b""), ("a.jpg", b"1"), ("README", b"2"), ("sub/", b""), (".hidden.jpg", b"3"), ("a.cls", b"4"),
        ("__meta__/x.json", b"5"), ("a.png", b"->a.jpg"), ("b.jpg", b"6"),
    ]  # fmt: skip
    path = write_shard(tmp_path / "a.tar", members, "gnu")
    shard = list_shard(path, rename_keys=False)
    assert [("a", 512, 4608, 2048, ("jpg", "cls")), ("b", 6656, 1024, 1024, ("jpg",))] == rows(shard)
    assert [
        ("no-sample", f"{path}:.", "", "2 folders, the first at offset 0"),
        ("no-sample", f"{path}:README", "", "3 members without a key, the first at offset 1,536"),
        ("linked-member", f"{path}:a.png", "", "at offset 6,144: a link to a.jpg, which no reader follows"),
    ] == [(problem.kind, problem.path, problem.key, problem.detail) for problem in shard.problems]
    assert [False, False, True] == [problem.leaves_out for problem in shard.problems]


def test_damage(tmp_path: Path) -> None:
    """Cuts, bad headers, data behind the end and a second archive are errors that name the offset."""
    whole = tar_bytes(samples("a", "b"))
    path = tmp_path / "a.tar"
    bad = bytearray(whole)
    bad[1024 + 3] ^= 1
    for data, words in (
        (whole[:512], "at offset 0: it is cut short"),
        (whole[:2048], "at offset 2,048: it is cut short: there is no end of archive behind a.jpg"),
        (bytes(bad), "at offset 1,024: there is no tar header behind a.cls"),
        (whole + b"junk", "at offset 6,144: data follows the end of the archive, at offset 10,240"),
        (whole + whole, "at offset 6,144: data follows the end of the archive, at offset 10,240"),
        (b"", "at offset 0: it is cut short"),
    ):
        path.write_bytes(data)
        with pytest.raises(SourceError, match=words):
            list_shard(str(path), rename_keys=False)


def test_sparse_file(tmp_path: Path) -> None:
    """A file with holes, which readers take and whose bytes are not in one piece, is an error."""
    path = tmp_path / "a.tar"
    member = tarfile.TarInfo("a.jpg")
    member.type = tarfile.GNUTYPE_SPARSE
    data = bytearray(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    data[386:398] = data[398:410] = data[483:495] = b"%011o\0" % 0
    total = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    data[148:156] = b"%06o\0 " % total
    path.write_bytes(bytes(data))
    with pytest.raises(SourceError, match="at offset 0: a.jpg is no plain file, but a sparse file"):
        list_shard(str(path), rename_keys=False)


def test_unreadable(tmp_path: Path) -> None:
    """A shard that is gone is an error."""
    with pytest.raises(SourceError, match=r"a.tar cannot be read: No such file"):
        list_shard(str(tmp_path / "a.tar"), rename_keys=False)


def test_few_bytes(tmp_path: Path) -> None:
    """Columns that follow from others are not kept: of common shards only keys and sizes are."""
    shard = list_shard(write_shard(tmp_path / "a.tar", samples("a", "b")), rename_keys=False)
    assert (b"a\0b\0", b"", array("I", [3072, 3072]).tobytes(), b"", b"") == shard[2:7]
    assert [("a", 0, 3072, 3072, ("cls", "jpg", "json")), ("b", 3072, 3072, 3072, ("cls", "jpg", "json"))] == rows(
        shard
    )


def test_large_members(tmp_path: Path) -> None:
    """Samples of 4 GB and more are listed; a member of 8 GB or more is an error, because readers do not take it."""
    path = tmp_path / "a.tar"
    for size in (5 << 30, 8 << 30):
        member = tarfile.TarInfo("a.jpg")
        member.size = size
        path.write_bytes(member.tobuf(tarfile.GNU_FORMAT))
        os.truncate(path, 512 + size + 1024)
        if size < 8 << 30:
            assert [("a", 0, 512 + size, 512 + size, ("jpg",))] == rows(list_shard(str(path), rename_keys=False))
        else:
            with pytest.raises(SourceError, match="a.jpg has 8,589,934,592 bytes; readers take members below"):
                list_shard(str(path), rename_keys=False)
