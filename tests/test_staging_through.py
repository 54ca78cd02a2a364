"""An archive that is read through: its bytes come as from the unpacked file, and its copy goes on where it stopped."""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from parallel_sharder.engines.progress import Counts
from parallel_sharder.errors import SourceError, StoppedError
from parallel_sharder.sources.kept_index import archive_at
from parallel_sharder.staging import copy
from parallel_sharder.staging.copy import Copying, copied_bytes, copying
from parallel_sharder.staging.through import through
from tests import made

DATA = random.Random(3).randbytes(100_000)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(copy, "STRETCH_BYTES", 10_000)


def copying_of(folder: Path, ending: str, data: bytes = DATA) -> Copying:
    path = folder / "archive"
    path.write_bytes(made.PACKED[ending](data) if ending else data)
    (folder / "stage").mkdir(exist_ok=True)
    return copying(archive_at(str(path)), str(folder / "stage"))


@pytest.mark.parametrize("ending", ["", *made.PACKED])
def test_reads_as_from_a_file(tmp_path: Path, ending: str) -> None:
    """Reads of any size go forward; what was read last can be read again; the copy has all bytes."""
    task = copying_of(tmp_path, ending)
    draw = random.Random(ending)
    with through(task, Counts()) as (read, size, _):
        assert size == (None if ending else len(DATA))
        offset = 0
        while offset < 90_000:
            length = draw.choice([1, 8, 512, 999, 1000, 1001, 5000])
            assert DATA[offset : offset + length] == read(offset, length)
            assert DATA[offset : offset + 512] == read(offset, 512)
            offset += draw.choice([0, 512, length, 12_345])
    assert DATA == Path(task.path).read_bytes()
    with through(task, Counts()) as (read, size, _):
        assert (DATA[50:60], len(DATA)) == (read(50, 10), size)


@pytest.mark.parametrize("ending", ["", "gz", "zst"])
@pytest.mark.parametrize("damage", [None, 25_000])
def test_goes_on_where_it_was_stopped(tmp_path: Path, ending: str, damage: int | None) -> None:
    """Whole stretches are read from the copy; from the first damaged one on, the archive is read again."""
    task = copying_of(tmp_path, ending)
    with pytest.raises(ZeroDivisionError), through(task, Counts()) as (read, _, _):
        read(40_000, 10)
        raise ZeroDivisionError
    begun = Path(task.path + ".begun")
    assert not Path(task.path).exists()
    assert 20_000 <= copied_bytes(task.path) <= begun.stat().st_size
    if damage is not None:
        content = bytearray(begun.read_bytes())
        content[damage] ^= 1
        begun.write_bytes(content)
    with through(task, Counts()) as (read, _, _):
        assert DATA[100:5100] == read(100, 5000)
        assert DATA[24_000:26_000] == read(24_000, 2000)
    assert DATA == Path(task.path).read_bytes()
    assert not begun.exists()


def test_refuses_to_go_back(tmp_path: Path) -> None:
    """A header that points back is an error of the archive."""
    with (
        pytest.raises(SourceError, match="only read forward"),
        through(copying_of(tmp_path, ""), Counts()) as (read, _, _),
    ):
        read(50_000, 10)
        read(100, 10)


def test_archive_that_changes(tmp_path: Path) -> None:
    """It has no copy, because the bytes may be of two versions."""
    task = copying_of(tmp_path, "")
    with pytest.raises(SourceError, match="has changed while it was read"), through(task, Counts()) as (read, _, _):
        read(100, 10)
        os.utime(task.archive.path, ns=(1, 1))
    assert not Path(task.path).exists()


def test_stop(tmp_path: Path) -> None:
    """It ends soon, and what is copied stays."""
    progress = Counts()
    task = copying_of(tmp_path, "")
    with pytest.raises(StoppedError), through(task, progress) as (read, _, _):
        read(30_000, 10)
        progress.stopped = True
        read(60_000, 10)
    assert Path(task.path + ".begun").exists()


@pytest.mark.parametrize("ending", made.PACKED)
def test_damaged_archives(tmp_path: Path, ending: str) -> None:
    """One that cannot be decompressed is an error that names it and the offset."""
    task = copying_of(tmp_path, ending)
    path = Path(task.archive.path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path.write_bytes(content)
    task = copying(archive_at(str(path)), str(tmp_path / "stage"))
    with (
        pytest.raises(SourceError, match=rf"{path}.*cannot be decompressed any further"),
        through(task, Counts()) as (read, _, _),
    ):
        read(99_999, 1)


def test_unknown_compression(tmp_path: Path) -> None:
    """lz4 is refused, with the command that decompresses it."""
    path = tmp_path / "archive"
    path.write_bytes(b"\x04\x22\x4d\x18 and so on")
    task = copying(archive_at(str(path)))
    with pytest.raises(SourceError, match="Decompress it once: lz4 -d"), through(task, Counts()) as (read, _, _):
        read(0, 1)


def test_two_processes(tmp_path: Path) -> None:
    """Who has waited for another's copy reads that, and writes nothing."""
    task = copying_of(tmp_path, "gz")
    waiting = threading.Event()

    def second() -> bytes:
        with through(task, Counts()) as (read, _, _):
            waiting.wait(10)
            return read(500, 100)

    with ThreadPoolExecutor(1) as pool:
        with through(task, Counts()) as (read, _, _):
            read(0, 1)
            found = pool.submit(second)
            time.sleep(0.3)
            waiting.set()
            read(50_000, 1)
        assert DATA[500:600] == found.result(10)
    assert sorted(path.name for path in (tmp_path / "stage").iterdir()) == [
        os.path.basename(task.path), os.path.basename(task.path) + ".record",
    ]  # fmt: skip


def test_frames_of_zstd(tmp_path: Path) -> None:
    """Several frames, of which the first is skipped, are one file; one that ends within a frame is damaged."""
    frames = zstandard.ZstdCompressor(write_checksum=True)
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    whole = skipped + frames.compress(DATA[:40_000]) + frames.compress(DATA[40_000:])
    path = tmp_path / "archive"
    for content, is_whole in ((whole, True), (whole[:-1], False), (whole[: len(whole) // 2], False)):
        path.write_bytes(content)
        task = copying(archive_at(str(path)))
        assert task.packing == "zstd"
        if is_whole:
            with through(task, Counts()) as (read, _, _):
                assert DATA[39_000:41_000] == read(39_000, 2000)
        else:
            with pytest.raises(SourceError, match="ends within a frame"), through(task, Counts()) as (read, _, _):
                read(39_000, 10)
