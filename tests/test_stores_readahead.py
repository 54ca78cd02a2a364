"""Reading ahead: which files the system is told of, when, and by which threads."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from parallel_sharder.engines.progress import Counts
from parallel_sharder.errors import StoppedError
from parallel_sharder.stores import readahead
from parallel_sharder.stores.blob import LooseFile
from parallel_sharder.stores.openings import Opening
from parallel_sharder.stores.readahead import CHECK_EVERY, SAMPLES_AHEAD, STRETCH, THREADS, ReadAhead
from parallel_sharder.worker import write_chunk
from tests.test_worker import chunk


class _Storage:
    """A storage whose state a test sets, with a clock for each thread that only it moves, and the announced names."""

    is_late = False
    is_a_disk = False

    def __init__(self) -> None:
        self.told: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.seconds: Counter[int] = Counter()
        self.blocks = 0

    def announce(self, path: str, wait: Callable[[], object] = bool) -> None:
        """Note it; what a thread other than the test's does at last is `wait`."""
        self.told.append(path)
        self.threads.add(threading.current_thread())
        self.seconds[threading.get_ident()] += 1000 if self.is_late else 0
        self.blocks += self.is_a_disk
        if threading.current_thread().name == "read ahead":
            wait()


class _Recorded(LooseFile):
    """A blob of that storage."""

    storage: ClassVar[_Storage]

    def announce(self, opening: Opening | None = None) -> None:
        self.storage.announce(self.path)
        if opening is not None:
            opening.end()


def _waiting(storage: _Storage, wait: Callable[[], object]) -> Callable[..., None]:
    """An `announce` that waits before the opening is over."""

    def announce(blob: LooseFile, opening: Opening | None = None) -> None:
        storage.announce(blob.path, wait)
        if opening is not None:
            opening.end()

    return announce


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Storage]:
    """The storage of `samples`: at first its files are in memory. Afterwards no thread of a test may be left."""
    made = _Recorded.storage = _Storage()
    monkeypatch.setattr(readahead, "blocks_read", lambda: made.blocks)
    monkeypatch.setattr(f"{readahead.__name__}.perf_counter", lambda: made.seconds[threading.get_ident()])
    yield made
    assert [] == announcers()


def announcers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read ahead"]


def samples(count: int) -> list[list[LooseFile]]:
    return [[_Recorded(f"{number}.xml", 1), _Recorded(f"{number}.JPEG", 1)] for number in range(count)]


def _look(reading: ReadAhead, position: int, upcoming: list[list[LooseFile]]) -> None:
    """What a worker does before it reads this sample; all that is handed to threads is announced then."""
    if position % CHECK_EVERY == 0:
        reading.look(position, upcoming[position])
        while not reading._handed.empty():
            pass


def _numbers(told: list[str]) -> list[int]:
    return sorted({int(name.split(".")[0]) for name in told})


def test_of_files_in_memory_one_in_a_stretch_is_told(storage: _Storage) -> None:
    """It decides that nothing more is told, and no thread is started."""
    upcoming = samples(2 * STRETCH)
    with ReadAhead(upcoming) as reading:
        for position in range(len(upcoming)):
            _look(reading, position, upcoming)
        assert [] == announcers()
    assert ["0.xml", f"{STRETCH}.xml"] == storage.told


@pytest.mark.parametrize("is_late", [False, True])
def test_files_that_are_waited_for_are_told_in_time(storage: _Storage, is_late: bool) -> None:
    """Each once, both files of a sample, before it is read, but for the sample that decides for a stretch."""
    storage.is_late, storage.is_a_disk = is_late, not is_late
    count = 2 * STRETCH + 100
    upcoming = samples(count)
    firsts = range(0, count, STRETCH)
    expected = {f"{n}.{kind}" for n in range(count) for kind in ("xml", "JPEG")} - {f"{n}.JPEG" for n in firsts}
    with ReadAhead(upcoming) as reading:
        for position in range(count):
            _look(reading, position, upcoming)
            if position % CHECK_EVERY == 0:
                end = position - position % STRETCH + STRETCH
                told = min(position + SAMPLES_AHEAD, end - 1, count - 1)
        assert count - 1 == told
        until = time.monotonic() + 30
        while not expected <= set(storage.told) and time.monotonic() < until:  # threads may be behind
            time.sleep(0.01)
    assert len(storage.told) == len(set(storage.told))
    assert expected == set(storage.told)


def test_how_far_it_is_ahead(storage: _Storage) -> None:
    """SAMPLES_AHEAD at each look, and never as far as the sample that decides next."""
    storage.is_a_disk = True
    upcoming = samples(2 * STRETCH)
    with ReadAhead(upcoming) as reading:
        for position in range(0, STRETCH, CHECK_EVERY):
            _look(reading, position, upcoming)
            assert min(position + SAMPLES_AHEAD, STRETCH - 1) == _numbers(storage.told)[-1]


def test_a_disk_whose_opens_are_quick_needs_no_thread(storage: _Storage) -> None:
    """The worker announces by itself."""
    storage.is_a_disk = True
    upcoming = samples(STRETCH)
    with ReadAhead(upcoming) as reading:
        for position in range(STRETCH):
            _look(reading, position, upcoming)
        assert [] == announcers()
    assert {threading.current_thread()} == storage.threads


def test_late_opens_are_done_by_threads(storage: _Storage) -> None:
    """All but the one that shows that they are late; no more threads than THREADS, whatever follows."""
    storage.is_late = True
    upcoming = samples(3 * STRETCH)
    with ReadAhead(upcoming) as reading:
        reading.look(0, upcoming[0])
        assert THREADS == len(announcers())
        for position in range(1, len(upcoming)):
            _look(reading, position, upcoming)
        assert THREADS == len(announcers())
    own = [thread for thread in storage.threads if thread is threading.current_thread()]
    assert 1 == len(own)
    assert len(storage.threads) > 1


def test_late_opens_are_waited_for_at_the_same_time(storage: _Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREADS of them: none of these goes on before all have come."""
    together = threading.Barrier(THREADS)
    monkeypatch.setattr(_Recorded, "announce", _waiting(storage, lambda: together.wait(60)))
    storage.is_late = True
    upcoming = [each[:1] for each in samples(1 + THREADS)]
    with ReadAhead(upcoming) as reading:
        reading.look(0, upcoming[0])
        while len(storage.told) < 1 + THREADS:
            pass
    assert not together.broken


def test_it_ends_and_begins_again(storage: _Storage) -> None:
    """When reads no longer wait, little is told; when they do again, what has been read is passed over."""
    upcoming = samples(4 * STRETCH)
    with ReadAhead(upcoming) as reading:
        for position in range(4 * STRETCH):
            storage.is_late = not STRETCH <= position < 3 * STRETCH
            _look(reading, position, upcoming)
    told = set(_numbers(storage.told))
    assert {*range(STRETCH + 1), 2 * STRETCH, *range(3 * STRETCH, 4 * STRETCH)} == told
    assert len(storage.told) == len(set(storage.told))


def test_what_nobody_reads_any_more_is_not_told(storage: _Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end waits for files that are being opened, and for no others, even if the worker has raised."""
    released = threading.Event()
    monkeypatch.setattr(_Recorded, "announce", _waiting(storage, released.wait))
    storage.is_late = True
    upcoming = [each[:1] for each in samples(STRETCH)]
    with pytest.raises(StoppedError), ReadAhead(upcoming) as reading:
        reading.look(0, upcoming[0])
        while len(storage.told) < 1 + THREADS:
            pass
        threading.Timer(0.05, released.set).start()
        raise StoppedError
    assert len(storage.told) <= 1 + 2 * THREADS
    assert len(storage.told) < 1 + SAMPLES_AHEAD


def test_without_threads_the_worker_announces(storage: _Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on threads is no error."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    storage.is_late = True
    upcoming = samples(STRETCH)
    with ReadAhead(upcoming) as reading:
        reading.look(0, upcoming[0])
    assert [*range(SAMPLES_AHEAD + 1)] == _numbers(storage.told)


def test_a_sample_without_files_decides_nothing(storage: _Storage) -> None:
    """It is no error either."""
    with ReadAhead([[], []]) as reading:
        reading.look(0, [])
    assert [] == storage.told


def test_telling_of_a_real_file_and_of_none(tmp_path: Path) -> None:
    """What cannot be read is no error yet, nothing is left open, and the counter is there to be asked."""
    (tmp_path / "a").write_bytes(b"abc")
    before = os.listdir("/proc/self/fd")
    LooseFile(str(tmp_path / "a"), 3).announce()
    LooseFile(str(tmp_path / "none"), 3).announce()
    assert before == os.listdir("/proc/self/fd")
    assert 0 <= readahead.blocks_read()


class _Ends:
    """The Progress of a chunk that ends at its second sample: stopped, or by an error."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self._is_second = False

    def tell(self, samples: int, written_bytes: int) -> None:
        pass

    @property
    def stopped(self) -> bool:
        if self._is_second and self._error is not None:
            raise self._error
        is_second, self._is_second = self._is_second, True
        return is_second


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that were started; every file is late."""
    names = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        names.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    monkeypatch.setattr(readahead, "LATE_SECONDS", -1.0)
    return names


def test_a_chunk_of_late_files(tmp_path: Path, started: list[str]) -> None:
    """Its last sample, which cannot be opened, is left out as always, and no thread is left."""
    assert (2,) == write_chunk(chunk(tmp_path), Counts()).left_out
    assert ["read ahead"] * THREADS == started
    assert [] == announcers()


@pytest.mark.parametrize("error", [None, KeyError()])
def test_a_chunk_that_ends_early_leaves_no_thread(tmp_path: Path, started: list[str], error: Exception | None) -> None:
    """Whether it is stopped or fails; and no file either."""
    with pytest.raises(StoppedError if error is None else KeyError):
        write_chunk(chunk(tmp_path), _Ends(error))
    assert ["read ahead"] * THREADS == started
    assert [] == announcers()
    assert ["a.JPEG", "bc.JPEG"] == sorted(os.listdir(tmp_path))
