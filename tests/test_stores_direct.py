"""DirectFile: every byte in its place, past the page cache or through it."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
import xxhash

from parallel_sharder.stores import direct, durable
from parallel_sharder.stores.direct import BUFFER_BYTES, DirectFile

SIZES = (0, 1, 511, 512, 4095, 4096, 4097, 100_000, BUFFER_BYTES - 4096, BUFFER_BYTES, BUFFER_BYTES + 1, 5_000_001)


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """On a disk's file system and on one in memory, whatever either makes of O_DIRECT."""
    if request.param == "memory":
        if not Path("/dev/shm").is_dir():
            pytest.skip("no file system in memory here")
        return Path("/dev/shm")
    return tmp_path


def write_some(path: Path, draw: random.Random, sizes: list[int]) -> bytes:
    """Write pieces of these sizes, reserved or copied; what should be in the file."""
    made = DirectFile(str(path))
    expected = b""
    for size in sizes:
        data = draw.randbytes(size)
        room = made.reserve(size) if draw.random() < 0.7 else None
        if room is None:
            made.write(data)
        else:
            room[:] = data
            made.advance(size)
        expected += data
    made.finish()
    assert (len(expected), xxhash.xxh3_128_hexdigest(expected)) == (made.size, made.xxh3_128)
    return expected


@pytest.mark.parametrize("seed", range(8))
def test_pieces_of_all_sizes(folder: Path, seed: int) -> None:
    """What was reserved and what was copied is in the file, in order, whole blocks or not."""
    draw = random.Random(seed)
    path = folder / f"output-{os.getpid()}"
    try:
        assert write_some(path, draw, draw.choices(SIZES, k=20)) == path.read_bytes()
    finally:
        path.unlink()


def test_what_was_not_advanced_over_is_not_written(tmp_path: Path) -> None:
    """Room that was reserved and then given up leaves no trace, even where the buffer was written out for it."""
    made = DirectFile(str(tmp_path / "x"))
    for fill in (b"a" * 700_000, None, b"b" * 300_000, None, b"c" * 700_000):
        room = made.reserve(len(fill or b"x" * 900_000))
        assert room is not None
        room[:] = fill or b"x" * len(room)
        if fill:
            made.advance(len(fill))
    made.finish()
    assert b"a" * 700_000 + b"b" * 300_000 + b"c" * 700_000 == (tmp_path / "x").read_bytes()


def test_devices_that_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose blocks are larger than ours refuses the first write; the page cache takes it then."""
    write = os.write
    calls = []

    def refuse_first(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            raise OSError(errno.EINVAL, "Invalid argument")
        return write(descriptor, data)

    monkeypatch.setattr(direct.os, "major", lambda _: 8)  # type: ignore[attr-defined]
    monkeypatch.setattr(os, "write", refuse_first)
    with (tmp_path / "probe").open("wb") as probe:
        if not durable.set_direct(probe.fileno(), True):
            pytest.skip("no O_DIRECT on this file system")
    made = DirectFile(str(tmp_path / "x"))
    made.write(b"y" * 5_000_000)
    made.finish()
    assert b"y" * 5_000_000 == (tmp_path / "x").read_bytes()


def test_a_short_write_goes_on_through_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that took a part of a block leaves a place that is no block's; what follows is written all the same."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[: 1_000_000 // 512 * 512]))
    data = random.Random(0).randbytes(5_000_000)
    made = DirectFile(str(tmp_path / "x"))
    made.write(data)
    made.finish()
    assert data == (tmp_path / "x").read_bytes()


def test_errors_are_not_hidden(tmp_path: Path) -> None:
    """EINVAL for another reason than the cache is an error."""
    descriptor = os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT)
    assert not durable.set_direct(descriptor, False)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        durable.write_all(descriptor, b"x")
