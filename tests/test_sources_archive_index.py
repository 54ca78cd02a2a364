"""The index of an archive: a file whose contents the archive cannot have is not used, even if its digest is right."""

from __future__ import annotations

import io
import os
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
import xxhash

from parallel_sharder import Options, convert
from parallel_sharder.sources.archive_index import ArchiveIndex
from parallel_sharder.sources.kept_index import archive_at
from tests import made

Values = list[Any]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official archives of a small set, and what a conversion of them has saved."""
    folder = tmp_path_factory.mktemp("archives")
    made.classic_train(folder / "raw", images=20)
    made.official_archives(folder / "root", folder / "raw")
    convert(Options(root=folder / "root", dest=str(folder / "out"), workers=0))
    return folder


def saved_values(archives: Path) -> Values:
    """The head, and each of the contents."""
    data = (archives / "out" / ".imagenet_train.index").read_bytes()[:-16]
    return list(msgpack.Unpacker(io.BytesIO(data), unicode_errors="surrogateescape"))


def put(*path: int, value: Any) -> Callable[[Values], None]:
    """Put a value at a place; one that is called gives it from what was there."""

    def change(values: Any) -> None:
        for step in path[:-1]:
            values = values[step]
        values[path[-1]] = value(values[path[-1]]) if callable(value) else value

    return change


def drop(values: Values) -> None:
    values.pop()


def signed(values: Values) -> bytes:
    payload = b"".join(msgpack.packb(value, unicode_errors="surrogateescape") for value in values)
    return payload + xxhash.xxh3_128_digest(payload)


def longs(*values: int) -> bytes:
    return array("q", values).tobytes()


PLACE, NAME, IMAGES, XMLS, FOLDERS, PROBLEMS, JUNK = range(7)
CHANGES: list[Callable[[Values], None]] = [
    put(0, 3, value=-1),
    put(0, 3, value=10**6),
    put(0, 3, value="5"),
    put(0, value=7),
    put(0, value=[]),
    drop,
    put(-1, value=7),
    put(-1, value=[]),
    put(-1, PLACE, value=["/etc/passwd", "x"]),
    put(-1, PLACE, value=[]),
    put(-1, PLACE, 1, value=7),
    put(-1, NAME, value=None),
    put(-1, IMAGES, value=[]),
    put(-1, IMAGES, 0, value=7),
    put(-1, IMAGES, 0, value="x"),
    put(-1, IMAGES, 0, value=lambda keys: keys + "\nn01440764_1"),
    put(-1, IMAGES, 0, value=lambda keys: keys.replace("n", "../n")),
    put(-1, IMAGES, 0, value=lambda keys: keys.replace("n", "é")),
    put(-1, IMAGES, 1, value=b"1234567"),
    put(-1, IMAGES, 1, value="text"),
    put(-1, IMAGES, 1, value=lambda sizes: longs(-1) + sizes[8:]),
    put(-1, IMAGES, 1, value=lambda sizes: sizes[8:]),
    put(-1, IMAGES, 2, value=b""),
    put(-1, IMAGES, 2, value=lambda extents: longs(-1) + extents[8:]),
    put(-1, IMAGES, 2, value=lambda extents: longs(2**62) + extents[8:]),
    put(-1, IMAGES, 2, value=lambda extents: extents * 2),
    put(-1, IMAGES, 3, value=".jpg"),
    put(-1, IMAGES, 3, value="/../x\n" * 3),
    put(-1, XMLS, 2, value=longs(1)),
    put(-1, FOLDERS, value=[7]),
    put(-1, PROBLEMS, value=[["no-kind", "a", "b", "c", False]]),
    put(-1, PROBLEMS, value=[["cmyk", 7, "b", "c", False]]),
    put(-1, PROBLEMS, value=[["cmyk", "a", "b", "c", "no"]]),
    put(-1, JUNK, value=[["x", "y"]]),
    put(-1, JUNK, value=[7]),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_cannot_be_is_made_again(archives: Path, tmp_path: Path, change: Callable[[Values], None]) -> None:
    """An index with a right digest, and values that no archive can have, is not used, and the shards are the same."""
    values = saved_values(archives)
    change(values)
    path = tmp_path / ".imagenet_train.index"
    path.write_bytes(signed(values))
    archive = archive_at(str(archives / "root" / "ILSVRC2012_img_train.tar"))
    assert ArchiveIndex(str(path), [archive], "train").found is None
    convert(Options(root=archives / "root", dest=str(tmp_path), workers=0))
    for name in ("imagenet_train-000000.tar", "imagenet_train.json"):
        assert (archives / "out" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_what_was_saved_is_taken(archives: Path, tmp_path: Path) -> None:
    """An index that is not changed is read as it was saved. A pipe of its name is not read or waited for."""
    path = tmp_path / "index"
    path.write_bytes(signed(saved_values(archives)))
    archive = archive_at(str(archives / "root" / "ILSVRC2012_img_train.tar"))
    contents = ArchiveIndex(str(path), [archive], "train").found
    assert 20 == sum(len(each.images) for each in contents or [])
    path.unlink()
    os.mkfifo(path)
    assert ArchiveIndex(str(path), [archive], "train").found is None
