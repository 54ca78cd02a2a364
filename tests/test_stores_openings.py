"""Openings: a file that a thread opens ahead is opened once, and no descriptor is left, whatever becomes of it."""

from __future__ import annotations

import os
import resource
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.errors import SampleError, StoppedError
from parallel_sharder.stores import openings, readahead
from parallel_sharder.stores.blob import Blob, LooseFile, Stretch, ZipEntry
from parallel_sharder.stores.openings import Opening, drop, registered, taken
from parallel_sharder.stores.readahead import CHECK_EVERY, SAMPLES_AHEAD, STRETCH, ReadAhead
from tests import made


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every file is late; afterwards no descriptor and no opening is left."""
    monkeypatch.setattr(readahead, "LATE_SECONDS", -1.0)
    before = {*os.listdir("/proc/self/fd")}
    yield
    assert {} == registered
    assert before >= {*os.listdir("/proc/self/fd")}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened, by its name."""
    counts: Counter[str] = Counter()
    real = os.open

    def counting(path: str, *rest: int, **named: int) -> int:
        counts[os.path.basename(path)] += 1
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", counting)
    return counts


def files(folder: Path, count: int) -> list[Blob]:
    for number in range(count):
        (folder / str(number)).write_bytes(b"%06d" % number)
    return [LooseFile(str(folder / str(number)), 6) for number in range(count)]


def stretches(folder: Path, count: int) -> list[Blob]:
    path = folder / "archive"
    path.write_bytes(b"".join(b"%06d" % number for number in range(count)))
    return [Stretch(str(path), 6 * number, 6, str(number)) for number in range(count)]


def entries(folder: Path, count: int) -> list[Blob]:
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(str(number), b"%06d" % number)
        listed = archive.infolist()
    return [ZipEntry(str(path), each.header_offset, each.compress_size, each.CRC, 6, each.filename) for each in listed]


def read_ahead(samples: Sequence[Sequence[Blob]], reads: Callable[[int], bool] = lambda _: True) -> list[bytes]:
    """What a worker reads of these samples, but for those that it leaves out before it reads them."""
    found = []
    with ReadAhead(samples) as ahead:
        for position, sample in enumerate(samples):
            if position % CHECK_EVERY == 0:
                ahead.look(position, sample)
                assert len(registered) <= (SAMPLES_AHEAD + 1) * len(sample)
            if reads(position):
                found += [blob.read() for blob in sample]
    return found


@pytest.mark.parametrize("make", [files, stretches, entries])
def test_opened_once(tmp_path: Path, opened: Counter[str], make: Callable[[Path, int], list[Blob]]) -> None:
    """But for the files that decide whether opens are late, which are opened twice; the bytes are the right ones."""
    count = STRETCH + 100
    blobs = make(tmp_path, count)
    opened.clear()
    assert [b"%06d" % number for number in range(count)] == read_ahead([[blob] for blob in blobs])
    assert count + 2 == opened.total()
    if make is files:
        assert {"0", str(STRETCH)} == {name for name, times in opened.items() if times > 1}


def test_samples_that_are_left_out(tmp_path: Path) -> None:
    """Their files are closed before further ones are opened."""
    blobs = files(tmp_path, 3 * STRETCH)
    assert [] == read_ahead([[blob] for blob in blobs], lambda _: False)


def test_rows_that_share_a_file(tmp_path: Path) -> None:
    """Each reads it."""
    [blob] = files(tmp_path, 1)
    assert [b"000000"] * 300 == read_ahead([[blob]] * 300)


def test_what_cannot_be_opened_ahead(tmp_path: Path) -> None:
    """Reading tells why, as ever."""
    blobs: list[Blob] = [*files(tmp_path, 3), LooseFile(str(tmp_path / "none"), 1), LooseFile("a\0b", 1)]
    with ReadAhead([[blob] for blob in blobs]) as ahead:
        ahead.look(0, blobs[:1])
        assert b"000002" == blobs[2].read()
        with pytest.raises(SampleError, match="No such file"):
            blobs[3].read()
        with pytest.raises(ValueError, match="null"):
            blobs[4].read()


def test_worker_that_is_stopped(tmp_path: Path) -> None:
    """What was opened for it is closed."""
    blobs = files(tmp_path, 200)
    with pytest.raises(StoppedError), ReadAhead([[blob] for blob in blobs]) as ahead:
        ahead.look(0, blobs[:1])
        blobs[1].read()
        raise StoppedError


def test_reader_waits_for_the_thread(tmp_path: Path, opened: Counter[str]) -> None:
    """A file that is being opened is not opened again meanwhile."""
    [blob] = files(tmp_path, 1)
    opened.clear()
    registered[blob.opens] = opening = Opening()
    timer = threading.Timer(0.1, blob.announce, [opening])
    timer.start()
    assert b"000000" == blob.read()
    assert 1 == opened["0"]
    timer.join()


def test_taken_and_dropped(tmp_path: Path) -> None:
    """A descriptor is handed over once, and only what nobody has taken is closed."""
    path = tmp_path / "a"
    path.write_bytes(b"a")
    key, opening = (str(path), 0), Opening()
    registered[key] = opening
    opening.end(os.open(path, os.O_RDONLY))
    descriptor = taken(*key)
    drop(key, opening)
    assert b"a" == os.pread(descriptor, 1, 0)
    assert openings._NONE == taken(*key)
    os.close(descriptor)


@pytest.mark.parametrize("layout", ["tree", "archives", "zip"])
def test_same_shards(tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a set with broken images and a missing file too."""
    raw = made.classic_train(tmp_path / "tree", images=40)
    del raw
    if layout == "archives":
        made.official_archives(tmp_path / "archives", tmp_path / "tree")
    elif layout == "zip":
        made.kaggle(tmp_path / "kaggle")
        made.kaggle_zip(tmp_path / "zip", tmp_path / "kaggle")
    else:
        first, second, *_ = sorted((tmp_path / "tree").rglob("*.JPEG"))
        first.write_bytes(b"broken")
        second.chmod(0)
    results = []
    for late in (-1.0, 1e9):
        monkeypatch.setattr(readahead, "LATE_SECONDS", late)
        out = tmp_path / f"out{late}"
        convert(Options(root=str(tmp_path / layout), dest=str(out), workers=0, maxcount=15))
        results.append({path.name: path.read_bytes() for path in out.glob("*.tar")})
    assert results[0] == results[1] != {}


def test_limit_on_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more files are kept open than a share of what the process may have; further ones are announced alone."""
    monkeypatch.setattr(readahead, "MOST_OPEN", 5)
    blobs = files(tmp_path, 100)
    with ReadAhead([[blob] for blob in blobs]) as ahead:
        for position, blob in enumerate(blobs):
            if position % CHECK_EVERY == 0:
                ahead.look(position, [blob])
                assert len(registered) <= 5
            assert b"%06d" % position == blob.read()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        monkeypatch.setattr(readahead, "MOST_OPEN", 128)
        assert 16 == ReadAhead([])._most_open
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_interrupt_while_files_are_handed_on(tmp_path: Path) -> None:
    """The end does not wait for a file that no thread has got, and nobody else does."""
    blobs = files(tmp_path, 10)
    with pytest.raises(KeyboardInterrupt), ReadAhead([[blob] for blob in blobs]) as ahead:
        real = ahead._handed.put

        def interrupted(handed: object) -> None:
            if handed is not None:
                raise KeyboardInterrupt
            real(None)

        ahead._handed = SimpleNamespace(put=interrupted, get=ahead._handed.get)  # type: ignore[assignment]
        ahead.look(0, blobs[:1])
    assert b"000001" == blobs[1].read()
