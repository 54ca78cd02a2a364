"""The writer: samples whole or not there, shards whole or not there, limits kept, foreign readers content."""

from __future__ import annotations

import errno
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.stores import store_of
from parallel_sharder.stores.direct import BUFFER_BYTES
from parallel_sharder.tar import ustar
from parallel_sharder.tar.writer import Member, ShardFile
from tests.reference import members_of


def shard_file(path: str, **choices: Any) -> ShardFile:
    return ShardFile(store_of(path).create(path), path, **choices)


def sample(number: int, size: int = 1000) -> dict[str, Any]:
    return {"__key__": f"s{number:04}", "jpg": bytes([number % 256]) * size, "cls": number, "json": {"n": number}}


@given(contents=st.lists(st.binary(max_size=2000), min_size=1, max_size=40))
def test_tarfile_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    """Whatever the contents, Python's tarfile gives back names, bytes and metadata, and the record counts the file."""
    path = tmp_path_factory.mktemp("t") / "x.tar"
    with shard_file(str(path)) as shard:
        for number, content in enumerate(contents):
            shard.write([Member(f"{number}.bin", content)])
        record = shard.finish()
    with tarfile.open(path) as archive:
        infos = archive.getmembers()
        read = [archive.extractfile(info).read() for info in infos]  # type: ignore[union-attr]
    assert contents == read
    assert {(0o444, 0, 0, "bigdata", "bigdata", 0)} == {
        (info.mode, info.uid, info.gid, info.uname, info.gname, info.mtime) for info in infos
    }
    data = path.read_bytes()
    assert (len(contents), len(data), len(data), xxhash.xxh3_128_hexdigest(data)) == (
        record.samples,
        record.tar_bytes,
        record.file_bytes,
        record.xxh3_128,
    )


@pytest.mark.parametrize("size", [BUFFER_BYTES - 1024, BUFFER_BYTES - 512, BUFFER_BYTES, 3 * BUFFER_BYTES + 1])
def test_samples_as_large_as_the_buffer(tmp_path: Path, size: int) -> None:
    """Samples that just fit the buffer, just do not, and pass it by far, follow each other unharmed."""
    contents = [b"a" * 10, b"b" * size, b"c" * 700, os.urandom(size)]
    with shard_file(str(tmp_path / "x.tar")) as shard:
        for number, content in enumerate(contents):
            shard.write([Member(f"{number}.bin", content)])
        shard.finish()
    assert contents == list(members_of([tmp_path / "x.tar"]).values())


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("size", [1024, 3 * BUFFER_BYTES])
def test_failed_sample_leaves_no_trace(tmp_path: Path, size: int, compression: str) -> None:
    """What is laid out in the room is in the shard when it is taken, and not otherwise."""
    whole = ustar.HeaderTemplate().header("2.jpg", size) + b"x" * size
    with shard_file(str(tmp_path / "x.tar"), compression=compression) as shard:
        shard.write([Member("1.cls", b"1")])
        shard.room(size)[:size] = b"y" * size
        room = shard.room(len(whole) + 7)
        room[: len(whole)] = whole
        shard.take(len(whole))
        shard.room(size)[:size] = b"z" * size
        shard.write([Member("3.cls", b"3")])
        record = shard.finish()
    assert {"1.cls": b"1", "2.jpg": b"x" * size, "3.cls": b"3"} == members_of([tmp_path / "x.tar"])
    assert (3, 512 * 6 + len(whole)) == (record.samples, record.tar_bytes)


def test_unfinished_shard_leaves_no_file(tmp_path: Path) -> None:
    """Leaving the context without finish(), by an error or not, leaves nothing, under any name."""
    for compression in ("none", "gzip", "zstd"):
        with (
            pytest.raises(RuntimeError, match="stop"),
            shard_file(str(tmp_path / "x"), compression=compression) as shard,
        ):
            shard.write([Member("1.bin", os.urandom(3 * BUFFER_BYTES))])
            raise RuntimeError("stop")
        with shard_file(str(tmp_path / "x"), compression=compression) as shard:
            shard.write([Member("1.bin", b"1")])
    assert [] == os.listdir(tmp_path)


def test_final_name_appears_only_when_whole(tmp_path: Path) -> None:
    """While a shard is written its final name does not exist, and its temporary name matches no shard pattern."""
    with shard_file(str(tmp_path / "x-000000.tar")) as shard:
        shard.write([Member("1.bin", b"1" * BUFFER_BYTES)])
        [name] = os.listdir(tmp_path)
        assert name.startswith(".x-000000.tar.")
        assert name.endswith(".partial")
        shard.finish()
    assert ["x-000000.tar"] == os.listdir(tmp_path)


SUFFIXES = [".tar", ".tgz", ".tar.gz", ".tar.zst"]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_failed_write_gives_the_shard_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    """After a write that failed half-way nothing can follow: no torn shard is published, whatever the caller does."""
    real_write = os.write
    room = [BUFFER_BYTES // 2]

    def write(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real_write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    with shard_file(str(tmp_path / "x.tar"), compression=compression) as shard:
        monkeypatch.setattr("os.write", write)
        with pytest.raises(OSError, match="No space left"):
            for number in range(300):
                shard.write([Member(f"{number}.bin", os.urandom(100_000))])
        with pytest.raises(ValueError, match=r"x.tar: the shard has been finished or given up"):
            shard.write([Member("more.bin", b"1")])
        with pytest.raises(ValueError, match="given up"):
            shard.finish()
    assert [] == os.listdir(tmp_path)


def test_name_that_is_taken_meanwhile(tmp_path: Path) -> None:
    """A file that appeared under the final name while the shard was written is not overwritten."""
    with shard_file(str(tmp_path / "x.tar")) as shard:
        shard.write([Member("1.bin", b"1")])
        (tmp_path / "x.tar").write_bytes(b"precious")
        with pytest.raises(FileExistsError):
            shard.finish()
    assert ["x.tar"] == os.listdir(tmp_path)
    assert b"precious" == (tmp_path / "x.tar").read_bytes()
