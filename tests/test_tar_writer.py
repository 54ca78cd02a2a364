"""The writer: samples whole or not there, shards whole or not there, limits kept, foreign readers content."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import webdataset
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel_sharder import ShardWriter
from parallel_sharder.errors import DestinationError
from parallel_sharder.stores import store_of
from parallel_sharder.stores.direct import BUFFER_BYTES
from parallel_sharder.tar import ustar
from parallel_sharder.tar.writer import Member, ShardFile
from tests.conftest import needs
from tests.reference import members_of, read_with_webdataset


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


def test_mode_of_shards_follows_umask(tmp_path: Path) -> None:
    """A shard is as public as any file its user makes."""
    old = os.umask(0o027)
    try:
        with ShardWriter(str(tmp_path / "x-%06d.tar")) as shards:
            shards.write(sample(1))
    finally:
        os.umask(old)
    assert 0o640 == (tmp_path / "x-000000.tar").stat().st_mode & 0o777


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_bytes_do_not_depend_on_threads(tmp_path: Path, compression: str) -> None:
    """Any number of threads gives the same single member or frame, whose content is the plain tar."""
    contents = [os.urandom(400_000), bytes(3_000_000), b"abc" * 500_000, *[os.urandom(900) for _ in range(2000)]]
    outputs = []
    for threads in (0, 1, 2, 5):
        path = tmp_path / f"x{threads}"
        kind = "none" if threads == 0 else compression
        with shard_file(str(path), compression=kind, compression_threads=threads) as shard:
            for number, content in enumerate(contents):
                shard.write([Member(f"{number}.bin", content)])
            record = shard.finish()
        outputs.append(path.read_bytes())
        assert (len(outputs[0]), len(outputs[-1])) == (record.tar_bytes, record.file_bytes)
        assert xxhash.xxh3_128_hexdigest(outputs[-1]) == record.xxh3_128
    plain, one, two, five = outputs
    assert one == two == five
    if compression == "gzip":
        decompressor = zlib.decompressobj(wbits=31)
        assert plain == decompressor.decompress(one)
        assert decompressor.eof
        assert b"" == decompressor.unused_data
        assert bytes.fromhex("1f8b0800000000") == one[:7]  # no name, no time
    else:
        assert plain == zstandard.ZstdDecompressor().decompressobj().decompress(one)
        assert 0x04 == one[4] & 0x04  # the frame carries a checksum (RFC 8878, frame header descriptor)


SUFFIXES = [".tar", ".tgz", ".tar.gz", ".tar.zst"]


def shards_of_each_kind(tmp_path: Path, suffix: str) -> list[Path]:
    with ShardWriter(str(tmp_path / f"x-%06d{suffix}"), maxcount=7) as shards:
        for number in range(20):
            shards.write(sample(number, 100 * number))
    return [tmp_path / f"x-{number:06}{suffix}" for number in range(3)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_foreign_tars(tmp_path: Path, program: str, suffix: str) -> None:
    """GNU tar and bsdtar list and read each sample of each kind of shard."""
    if suffix == ".tar.zst":
        needs("zstd")  # GNU tar calls it
    paths = shards_of_each_kind(tmp_path, suffix)
    listed = [
        name
        for path in paths
        for name in subprocess.run(
            [needs(program), "-tf", path], check=True, capture_output=True, text=True
        ).stdout.splitlines()
    ]
    assert [f"s{number:04}.{field}" for number in range(20) for field in ("cls", "jpg", "json")] == listed
    last = subprocess.run([needs(program), "-xOf", paths[2], "s0019.jpg"], check=True, capture_output=True).stdout
    assert bytes([19]) * 1900 == last


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_webdataset_reads(tmp_path: Path, suffix: str) -> None:
    """The webdataset library reads each sample of each kind of shard."""
    through = f"pipe:{needs('zstd')} -dc " if suffix == ".tar.zst" else ""
    read = read_with_webdataset(f"{through}{path}" for path in shards_of_each_kind(tmp_path, suffix))
    assert [(f"s{n:04}", n, {"n": n}, 100 * n) for n in range(20)] == [
        (each["__key__"], each["cls"], each["json"], len(each["jpg"])) for each in read
    ]


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


def test_gzip_is_read_by_the_standard_tools(tmp_path: Path) -> None:
    """Gzip -t and Python's gzip accept the single member."""
    with ShardWriter(str(tmp_path / "x-%06d.tgz"), compression_threads=3) as shards:
        for number in range(50):
            shards.write({"__key__": f"{number}", "bin": os.urandom(100_000)})
    path = tmp_path / "x-000000.tgz"
    subprocess.run([needs("gzip"), "-t", path], check=True)
    assert 150 > len(members_of([path])) == 50
    assert gzip.decompress(path.read_bytes()).endswith(bytes(1024))


@settings(deadline=None)  # each shard is synced
@given(st.integers(5_000, 40_000), st.integers(1, 9) | st.none(), st.lists(st.integers(0, 1000), max_size=60))
def test_rotation(
    tmp_path_factory: pytest.TempPathFactory, maxsize: int, maxcount: int | None, sizes: list[int]
) -> None:
    """No shard passes maxsize or maxcount, none is closed before it must be, and all samples are there in order."""
    folder = tmp_path_factory.mktemp("r")
    with ShardWriter(str(folder / "x-%04d.tar"), maxsize=maxsize, maxcount=maxcount, start_shard=3) as shards:
        for number, size in enumerate(sizes):
            shards.write(sample(number, size))
    paths = sorted(folder.iterdir())
    assert [folder / f"x-{number:04}.tar" for number in range(3, 3 + len(paths))] == paths
    assert [record.tar_bytes for record in shards.records] == [path.stat().st_size for path in paths]
    assert all(record.tar_bytes <= maxsize and record.samples <= (maxcount or 99) for record in shards.records)
    for record, following in zip(shards.records, paths[1:], strict=False):
        with tarfile.open(following) as archive:
            first = [archive.next() for _ in range(3)]
        more = sum(512 + info.size + -info.size % 512 for info in first if info)
        assert record.samples == maxcount or record.tar_bytes + more > maxsize
    assert len(sizes) * 3 == len(members_of(paths))


def test_equals_webdatasets_own_writer(tmp_path: Path) -> None:
    """For the values that people store, the members are those of webdataset's ShardWriter, in its order."""
    samples: list[dict[str, Any]] = [
        {"__key__": "a/b1", "jpg": b"\xff\xd8", "cls": 7, "json": {"b": [1, None], "a": "\xe4"}, "txt": "gr\xfc\xdfe"},
        {"__key__": "a/b2", "left.png": b"12", "right.png": b"34", "index": 12, "meta.json": [1]},
        {"__key__": "a/b3", "__url__": "not stored", "_private": "neither", "bin": b"5"},
    ]
    with webdataset.ShardWriter(str(tmp_path / "theirs-%06d.tar"), mtime=5, verbose=0) as theirs:
        for each in samples:
            theirs.write(each)
    with ShardWriter(str(tmp_path / "ours-%06d.tar"), mtime=5) as ours:
        for each in samples:
            ours.write(each)
    expected = (tmp_path / "theirs-000000.tar").read_bytes().rstrip(b"\0")
    assert expected == (tmp_path / "ours-000000.tar").read_bytes().rstrip(b"\0")


def test_numpy_numbers_are_numbers(tmp_path: Path) -> None:
    """A label that comes out of numpy is stored as its digits."""
    import numpy as np

    with ShardWriter(str(tmp_path / "x-%06d.tar")) as shards:
        shards.write({"__key__": "a", "cls": np.int64(449)})
    assert {"a.cls": b"449"} == members_of([tmp_path / "x-000000.tar"])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"jpg": b""}, "'__key__'"),
        ({"__key__": "", "jpg": b""}, "'__key__'"),
        ({"__key__": 5, "jpg": b""}, "'__key__'"),
        ({"__key__": "a.b", "jpg": b""}, "'a.b': a key's last part holds no dot"),
        ({"__key__": "a/", "jpg": b""}, "last part"),
        ({"__key__": "x/__b", "jpg": b""}, "begins with '__'"),
        ({"__key__": "__b__x", "jpg": b""}, "begins with '__'"),
        ({"__key__": "a b", "jpg": b""}, "'a b': a key is ASCII without white space"),
        ({"__key__": "k\xf6", "jpg": b""}, "ASCII"),
        ({"__key__": "a"}, "'a': a sample needs at least one field"),
        ({"__key__": "a", "JPG": b""}, "field 'JPG' is not lower-case"),
        ({"__key__": "a", "j/g": b""}, "field 'j/g'"),
        ({"__key__": "a", "": b""}, "field ''"),
        ({"__key__": "a" * 97, "json": b""}, "has 102 bytes; a member's name has at most 100"),
        ({"__key__": "a", "jpg": None}, "field 'jpg' holds NoneType"),
        ({"__key__": "a", "jpg": 1.5}, "field 'jpg' holds float"),
        ({"__key__": "a", "json": {1, 2}}, "'a': field 'json' is not JSON: Object of type set"),
        ({"__key__": "a", "jpg": bytes(20_000)}, "'a' needs 22,016 bytes, more than maxsize 10,000"),
    ],
)
def test_refused_samples(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    """What readers would not give back as it was is refused by name, and the shard goes on without it."""
    with ShardWriter(str(tmp_path / "x-%06d.tar"), maxsize=10_000) as shards:
        shards.write(sample(1))
        with pytest.raises(ValueError, match=message):
            shards.write(bad)
        with pytest.raises(ValueError, match="'s0001': the sample before has the same key"):
            shards.write(sample(1))
        shards.write(sample(2))
    assert 6 == len(members_of([tmp_path / "x-000000.tar"]))


def test_error_keeps_finished_shards_only(tmp_path: Path) -> None:
    """An exception in the with block removes the shard in the making and keeps the finished ones."""
    with pytest.raises(RuntimeError), ShardWriter(str(tmp_path / "x-%06d.tar"), maxcount=2) as shards:
        for number in range(5):
            shards.write(sample(number))
        raise RuntimeError
    assert ["x-000000.tar", "x-000001.tar"] == sorted(os.listdir(tmp_path))


def test_existing_shards_are_not_overwritten(tmp_path: Path) -> None:
    """A shard that is there already stops the writer, untouched."""
    (tmp_path / "x-000000.tar").write_bytes(b"precious")
    with (
        pytest.raises(DestinationError, match="x-000000.tar is already there"),
        ShardWriter(str(tmp_path / "x-%06d.tar")) as shards,
    ):
        shards.write(sample(1))
    assert b"precious" == (tmp_path / "x-000000.tar").read_bytes()


def test_missing_folders_are_made_and_nothing_makes_nothing(tmp_path: Path) -> None:
    """Folders come with the first sample; a writer that gets none leaves none."""
    with ShardWriter(str(tmp_path / "a/b/x-%06d.tar")):
        pass
    assert [] == os.listdir(tmp_path)
    with ShardWriter(str(tmp_path / "a/b/x-%06d.tar")) as shards:
        shards.write(sample(1))
    assert (tmp_path / "a/b/x-000000.tar").exists()


@pytest.mark.parametrize(("maxsize", "maxcount"), [(0, None), (-1, None), (10, 0)])
def test_limits_must_be_positive(tmp_path: Path, maxsize: int, maxcount: int | None) -> None:
    """A limit that no shard could keep is refused at once."""
    with pytest.raises(ValueError, match="must be positive"):
        ShardWriter(str(tmp_path / "x-%06d.tar"), maxsize=maxsize, maxcount=maxcount)


def test_json_member_is_what_json_dumps_gives(tmp_path: Path) -> None:
    """Default settings of json.dumps, as the reference uses: spaces, ASCII, insertion order."""
    value = {"b": 1, "a": "\u4e2d\n", "c": [1.5, None, True]}
    with ShardWriter(str(tmp_path / "x-%06d.tar")) as shards:
        shards.write({"__key__": "a", "json": value})
    [data] = members_of([tmp_path / "x-000000.tar"]).values()
    assert json.dumps(value).encode() == data
    assert value == json.load(io.BytesIO(data))
