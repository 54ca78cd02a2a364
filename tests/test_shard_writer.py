"""ShardWriter by itself: no sample is lost in silence, whatever ends it and whoever else has it."""

from __future__ import annotations

import copy
import errno
import gc
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel_sharder import ShardWriter
from parallel_sharder.errors import DestinationError
from tests.conftest import needs
from tests.reference import members_of, read_with_webdataset
from tests.test_tar_compress import shards_of_each_kind
from tests.test_tar_writer import SUFFIXES, sample

BIG = 400_000
"""Bytes of a sample of which a few pass what a compressor takes at a time."""


def pattern(folder: Path, suffix: str = ".tar") -> str:
    return str(folder / f"x-%06d{suffix}")


def stored(paths: Sequence[Path]) -> dict[str, bytes]:
    """The members of shards with any ending."""
    found = {}
    for path in paths:
        data = path.read_bytes()
        if path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for info in archive:
                found[info.name] = archive.extractfile(info).read()  # type: ignore[union-attr]
    return found


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def write_some(shards: ShardWriter, numbers: range) -> None:
    for number in numbers:
        shards.write(sample(number, BIG))


# What ends a writer, and what does not.


def test_nothing_is_written_after_close(tmp_path: Path) -> None:
    """A sample for a closed writer is refused with its key; to close again does nothing."""
    shards = ShardWriter(pattern(tmp_path))
    shards.write(sample(1))
    shards.close()
    for number in (2, 1):
        with pytest.raises(ValueError, match=f"'s000{number}' cannot be written to .*: the writer is closed$"):
            shards.write(sample(number))
        shards.close()
    assert ["x-000000.tar"] == files(tmp_path)
    assert 3 == len(stored([tmp_path / "x-000000.tar"]))
    assert 1 == len(shards.records)


def test_nothing_is_written_after_the_block(tmp_path: Path) -> None:
    """Nor after the with block, whether it was left by an exception or not; the reason is said."""
    with ShardWriter(pattern(tmp_path)) as shards:
        pass
    with pytest.raises(ValueError, match="the writer is closed$"):
        shards.write(sample(1))
    with pytest.raises(RuntimeError), ShardWriter(pattern(tmp_path)) as shards:
        shards.write(sample(1))
        raise RuntimeError("a stop")
    reason = r"'s0002' cannot be written to .*: the writer ended when RuntimeError \(a stop\) left its with block$"
    with pytest.raises(ValueError, match=reason):
        shards.write(sample(2))
    shards.close()
    assert [] == files(tmp_path)


def test_bad_samples_leave_the_writer_as_it_was(tmp_path: Path) -> None:
    """After a ValueError, or any error of the sample's own values, other samples follow."""

    class Broken(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise RuntimeError("broken value")

    with ShardWriter(pattern(tmp_path), maxcount=2) as shards:
        for number in range(5):
            shards.write(sample(number))
            with pytest.raises(ValueError, match="field 'jpg' holds object"):
                shards.write({"__key__": "bad", "jpg": object()})
            with pytest.raises(RuntimeError, match="broken value"):
                shards.write(Broken(sample(9)))
    assert [2, 2, 1] == [record.samples for record in shards.records]
    assert 15 == len(stored([tmp_path / name for name in files(tmp_path)]))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_error_of_the_system_ends_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """After an OSError each later sample is refused with that reason, to close does nothing, and whole shards stay."""
    shards = ShardWriter(pattern(tmp_path, suffix), maxsize=5_000_000)
    for number in range(14):
        shards.write(sample(number, BIG) | {"jpg": os.urandom(BIG)})
    assert 1 == len(shards.records)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(OSError, match="No space left"):
        for number in range(100, 200):
            shards.write(sample(number, BIG) | {"jpg": os.urandom(BIG)})
    monkeypatch.undo()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"the writer ended when an earlier call raised OSError \(.*No space left"):
            shards.write(sample(7))
        shards.close()
    assert [f"x-000000{suffix}"] == files(tmp_path)


def test_shard_that_cannot_be_finished(tmp_path: Path) -> None:
    """A name that is taken while a shard is written ends the writer; the other file stays, and the reason is said."""
    shards = ShardWriter(pattern(tmp_path))
    shards.write(sample(1))
    (tmp_path / "x-000000.tar").write_bytes(b"precious")
    with pytest.raises(DestinationError, match=r"x-000000.tar is already there, and nothing is overwritten\. Remove"):
        shards.close()
    shards.close()
    with pytest.raises(ValueError, match="the writer ended when close.. raised DestinationError"):
        shards.write(sample(2))
    assert ["x-000000.tar"] == files(tmp_path)
    assert b"precious" == (tmp_path / "x-000000.tar").read_bytes()
    assert [] == shards.records


def test_numbers_without_digits(tmp_path: Path) -> None:
    """A shard whose number has more digits than the pattern is not made, and ends the writer; those before stay."""
    with (
        pytest.raises(DestinationError, match=r"y-10.tar needs a number of 2 digits, .* has 1\. Write %02d in it\.$"),
        ShardWriter(str(tmp_path / "y-%01d.tar"), maxcount=1) as shards,
    ):
        for number in range(20):
            shards.write(sample(number))
    assert [f"y-{number}.tar" for number in range(10)] == files(tmp_path)
    assert list(range(10)) == [record.number for record in shards.records]


def test_folder_of_the_process_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards go where the pattern pointed when the writer was made."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with ShardWriter("out/x-%06d.tar", maxcount=1) as shards:
        shards.write(sample(1))
        monkeypatch.chdir(tmp_path / "elsewhere")
        shards.write(sample(2))
    assert ["x-000000.tar", "x-000001.tar"] == files(tmp_path / "out")
    assert [] == files(tmp_path / "elsewhere")


# Nobody closes it.


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_writer_that_nobody_has_any_more(tmp_path: Path, suffix: str) -> None:
    """Its shard in hand is removed with a warning, and the finished ones stay."""
    shards = ShardWriter(pattern(tmp_path, suffix), maxcount=5)
    for number in range(8):
        shards.write(sample(number, BIG))
    shards.itself = shards  # type: ignore[attr-defined]  # found by the garbage collector
    del shards
    with pytest.warns(ResourceWarning, match="x-000001.* is not made, because its writer was not closed"):
        gc.collect()
    assert [f"x-000000{suffix}"] == files(tmp_path)


def script(folder: Path, suffix: str, body: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has a writer `shards` with three samples in its first shard, and `sample`.

    From version 3.12 on, Python warns of a fork beside other threads, and a compressor has some.
    """
    text = f"""
import os, sys, threading
from parallel_sharder import ShardWriter

def sample(number):
    return {{"__key__": f"s{{number:04}}", "bin": os.urandom({BIG}), "cls": number}}

shards = ShardWriter({pattern(folder, suffix)!r}, compression_threads=2)
for number in range(3):
    shards.write(sample(number))
{textwrap.dedent(body)}
"""
    warnings = "-Wdefault::ResourceWarning", "-Wignore::DeprecationWarning"
    return subprocess.run(
        [sys.executable, *warnings, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("end", "status"), [("", 0), ("sys.exit(5)", 5), ("raise KeyError", 1), ("raise KeyboardInterrupt", -signal.SIGINT)]
)
def test_process_that_ends_without_close(tmp_path: Path, suffix: str, end: str, status: int) -> None:
    """It ends at once, with its own status, and leaves no shard and no part of one."""
    done = script(tmp_path, suffix, end)
    assert status == done.returncode
    assert "is not made, because its writer was not closed" in done.stderr
    assert [] == files(tmp_path)


# Processes.

CHILD = """
ready = os.fork()
if not ready:
    status = 1
    try:
        {act}
    except ValueError as error:
        print(error)
        status = 7
    {end}
assert os.waitstatus_to_exitcode(os.waitpid(ready, 0)[1]) == {expected}
for number in range(3, 9):
    shards.write(sample(number))
shards.close()
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("act", ["shards.write(sample(99))", "shards.close()", "shards.__exit__(None, None, None)"])
@pytest.mark.parametrize("end", ["sys.stdout.flush(); os._exit(status)", "sys.exit(status)"])
def test_child_that_uses_an_inherited_writer(tmp_path: Path, suffix: str, act: str, end: str) -> None:
    """It is refused in a sentence, and ends; the parent's shard holds the parent's samples."""
    done = script(tmp_path, suffix, CHILD.format(act=act, end=end, expected=7))
    assert ("", 0) == (done.stderr, done.returncode)
    assert "x-000000" in done.stdout
    assert "has inherited the writer; make another one there, with another pattern" in done.stdout
    assert [f"x-000000{suffix}"] == files(tmp_path)
    assert 18 == len(stored([tmp_path / f"x-000000{suffix}"]))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "act", ["status = 7", "shards.__exit__(KeyError, KeyError(), None); status = 7", "del shards; status = 7"]
)
def test_child_that_leaves_an_inherited_writer_alone(tmp_path: Path, suffix: str, act: str) -> None:
    """It ends without a word, and takes nothing from the parent's shard, also where an exception has ended it."""
    done = script(tmp_path, suffix, CHILD.format(act=act, end="sys.exit(status)", expected=7))
    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)
    assert 18 == len(stored([tmp_path / f"x-000000{suffix}"]))


def test_writer_is_neither_copied_nor_sent(tmp_path: Path) -> None:
    """A copy would write to the same file."""
    with ShardWriter(pattern(tmp_path)) as shards:
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="x-000000.tar cannot be copied or sent to another process"):
                make(shards)


# Threads.


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_threads_share_a_writer(tmp_path: Path, suffix: str) -> None:
    """Every sample of four threads is stored once, whole, in one of the shards, whose counts agree."""
    with (
        ShardWriter(pattern(tmp_path, suffix), maxcount=37, compression_threads=2) as shards,
        ThreadPoolExecutor(4) as pool,
    ):
        list(pool.map(lambda number: shards.write(sample(number, 5_000)), range(400)))
    paths = [tmp_path / name for name in files(tmp_path)]
    assert [37] * 10 + [30] == [record.samples for record in shards.records]
    assert [record.path for record in shards.records] == [str(path) for path in paths]
    members = stored(paths)
    assert 1200 == len(members)
    assert all(members[f"s{number:04}.jpg"] == sample(number, 5_000)["jpg"] for number in range(400))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_thread_that_ends_before_the_writer(tmp_path: Path, suffix: str) -> None:
    """What one thread has begun, another one goes on with."""
    with ShardWriter(pattern(tmp_path, suffix)) as shards:
        for start in range(0, 30, 10):
            thread = threading.Thread(target=write_some, args=(shards, range(start, start + 10)))
            thread.start()
            thread.join()
    assert 90 == len(stored([tmp_path / f"x-000000{suffix}"]))


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maxsize": 0}, "maxsize 0 must be positive"),
        ({"maxsize": 1.5}, "maxsize 1.5 is not a whole number"),
        ({"maxsize": float("nan")}, "maxsize nan is not a whole number"),
        ({"maxsize": float("inf")}, "maxsize inf is not a whole number"),
        ({"maxsize": True}, "maxsize True is not a whole number"),
        ({"maxsize": None}, "maxsize 'None' is not a size"),
        ({"maxsize": "1XB"}, "maxsize '1XB' is not a size; write bytes like 1000000000, 1e9, 500MB or 1GiB"),
        ({"maxsize": 2**60 + 1}, "maxsize 1,152,921,504,606,846,977 must be at most 1,152,921,504,606,846,976"),
        ({"maxcount": 0}, "maxcount 0 must be positive"),
        ({"maxcount": 1.5}, "maxcount 1.5 is not a whole number"),
        ({"maxcount": True}, "maxcount True is not a whole number"),
        ({"maxcount": "5"}, "maxcount '5' is not a whole number"),
        ({"maxcount": np.bool_(True)}, f"maxcount {np.bool_(True)!r} is not a whole number"),
        ({"start_shard": -1}, "start_shard -1 must be 0 or more"),
        ({"start_shard": 0.0}, "start_shard 0.0 is not a whole number"),
        ({"start_shard": 1_000_000}, "start_shard 1,000,000 must be at most 999,999"),
        ({"start_shard": None}, "start_shard None is not a whole number"),
        ({"mtime": -1}, "mtime -1 must be 0 or more"),
        ({"mtime": 1.5}, "mtime 1.5 is not a whole number"),
        ({"mtime": 8**11}, "mtime 8,589,934,592 must be at most 8,589,934,591"),
        ({"compression_threads": 0}, "compression_threads 0 must be positive"),
        ({"compression_threads": 201}, "compression_threads 201 must be at most 200"),
        ({"pattern": None}, "pattern None is not a path"),
        ({"pattern": b"x-%06d.tar"}, "pattern b'x-%06d.tar' is not a path"),
        ({"pattern": "a\0/x-%06d.tar"}, r"pattern 'a\\x00/x-%06d.tar' is not a path"),
        ({"pattern": "out"}, "pattern 'out' has no place for the shard number; write out/mine-%06d.tar or the like"),
        ({"pattern": "x-%d.tar"}, "x-%d.tar needs exactly one shard number"),
    ],
)
def test_arguments_that_cannot_be(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    """Each is refused at once, by its name, its value and the limit."""
    with pytest.raises(ValueError, match=f"^{message}"):
        ShardWriter(**{"pattern": pattern(tmp_path), **arguments})
    assert [] == files(tmp_path)


def test_arguments_of_other_types(tmp_path: Path) -> None:
    """Sizes as people write them, numpy's integers, and Paths are taken."""
    with ShardWriter(
        tmp_path / "x-%02d.tar",
        maxsize="10kB",
        maxcount=np.int64(2),  # type: ignore[arg-type]
        start_shard=np.uint8(98),  # type: ignore[arg-type]
        mtime=np.int32(5),  # type: ignore[arg-type]
    ) as shards:
        for number in range(4):
            shards.write(sample(number))
        with pytest.raises(ValueError, match="more than maxsize 10,000"):
            shards.write(sample(4, 9_000))
    assert ["x-98.tar", "x-99.tar"] == files(tmp_path)


# Keys and fields.


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([("__key__", "a")], "a sample is a mapping from names to values, not list"),
        ({"__key__": "../k", "jpg": b""}, r"'\.\./k': a key is a relative path, and none of its folders is empty"),
        ({"__key__": "a/../k", "jpg": b""}, "a key is a relative path"),
        ({"__key__": "./k", "jpg": b""}, "a key is a relative path"),
        ({"__key__": "/k", "jpg": b""}, "'/k': a key is a relative path"),
        ({"__key__": "a//b", "jpg": b""}, "'a//b': a key is a relative path"),
        ({"__key__": ".", "jpg": b""}, r"'\.': a key's last part holds no dot"),
        ({"__key__": "..", "jpg": b""}, "a key's last part holds no dot"),
        ({"__key__": "a/..", "jpg": b""}, "a key's last part holds no dot"),
        ({"__key__": "a\x01", "jpg": b""}, r"'a\\x01': a key is ASCII without white space and control characters"),
        ({"__key__": "a\x7f", "jpg": b""}, "a key is ASCII without white space and control characters"),
        ({"__key__": "a\x1b[2Jb", "jpg": b""}, "a key is ASCII without white space and control characters"),
        ({"__key__": "a\nb", "jpg": b""}, "a key is ASCII without white space and control characters"),
        ({"__key__": b"a", "jpg": b""}, "a sample needs a '__key__' that is text, not b'a'"),
        ({"__key__": "a", 5: b""}, "'a': the names of its fields are not all text"),
        ({"__key__": "a", "j\x01g": b""}, "field 'j.x01g' is not lower-case ASCII without white space, control"),
        ({"__key__": "a", ".jpg": b""}, "'a': field '.jpg' has a dot without a name on each side"),
        ({"__key__": "a", "jpg.": b""}, "has a dot without a name on each side"),
        ({"__key__": "a", "a..b": b""}, "has a dot without a name on each side"),
        ({"__key__": "a", "txt": "\ud800"}, "'a': field 'txt' is text that UTF-8 cannot hold: surrogates not allowed"),
        ({"__key__": "a", "cls": True}, "field 'cls' holds bool"),
    ],
)
def test_refused_names_and_values(tmp_path: Path, bad: Any, message: str) -> None:
    """What tars unpack elsewhere, or readers split, skip or give back otherwise, is refused by name."""
    with ShardWriter(pattern(tmp_path)) as shards:
        shards.write(sample(1))
        with pytest.raises(ValueError, match=message):
            shards.write(bad)
        shards.write({"__key__": "a.b/c~d", "left.jpg": b"x"})
    assert {"s0001.cls", "s0001.jpg", "s0001.json", "a.b/c~d.left.jpg"} == set(stored([tmp_path / "x-000000.tar"]))


def test_mode_of_shards_follows_umask(tmp_path: Path) -> None:
    """A shard is as public as any file its user makes."""
    old = os.umask(0o027)
    try:
        with ShardWriter(str(tmp_path / "x-%06d.tar")) as shards:
            shards.write(sample(1))
    finally:
        os.umask(old)
    assert 0o640 == (tmp_path / "x-000000.tar").stat().st_mode & 0o777


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_webdataset_reads(tmp_path: Path, suffix: str) -> None:
    """The webdataset library reads each sample of each kind of shard."""
    through = f"pipe:{needs('zstd')} -dc " if suffix == ".tar.zst" else ""
    read = read_with_webdataset(f"{through}{path}" for path in shards_of_each_kind(tmp_path, suffix))
    assert [(f"s{n:04}", n, {"n": n}, 100 * n) for n in range(20)] == [
        (each["__key__"], each["cls"], each["json"], len(each["jpg"])) for each in read
    ]


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
