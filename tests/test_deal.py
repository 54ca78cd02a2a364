"""Dealing: every shard that was finished is recorded, whatever ends the work; a chunk outlives its worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from parallel_sharder import Options, convert
from parallel_sharder.coordinator import plan_of
from parallel_sharder.deal import DEATHS, Hosts, deal, make_chunks, make_job, prepare_again
from parallel_sharder.engines import open_engine
from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death, DestinationGoneError, SourceError, WorkerError
from parallel_sharder.model import Chunk, ShardRecord
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.sources.source import SourceOptions, open_source
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.worker import write_chunk
from tests import made
from tests.test_convert import digests

METHODS = ["forkserver", "spawn", "fork"]


class Ledger:
    """Stands for the journal: keeps the calls, the numbers of each."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[int], list[int]]] = []

    def record(self, done: Sequence[ShardRecord] = (), dealt: Sequence[tuple[int, str]] = ()) -> None:
        """Kept."""
        self.calls.append(([record.number for record in done], [number for number, _ in dealt]))

    @property
    def done(self) -> list[int]:
        """The numbers of the shards that are recorded as whole, in order."""
        return sorted({number for done, _ in self.calls for number in done})


def chunk_of(number: int, folder: Path) -> Chunk:
    return Chunk(number, str(folder / f"x-{number:06d}.tar"), b"", 1, b"k", b"", ())


def chunks_of(count: int, folder: Path) -> Iterator[Chunk]:
    return (chunk_of(number, folder) for number in range(count))


def pretend(chunk: Chunk, progress: Progress) -> ShardRecord:
    """What a worker answers that has written a shard."""
    progress.tell(1, 512)
    return ShardRecord(chunk.number, chunk.path, 1, 512, 512, "0" * 32)


@pytest.fixture(params=[0, 2])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with open_engine(request.param) as engine:
        yield engine


def test_one_record_a_round(engine: Engine, tmp_path: Path) -> None:
    """What is finished and what begins then is recorded in one call; each chunk begins before it is finished."""
    ledger = Ledger()
    records = deal(chunks_of(20, tmp_path), pretend, engine, ledger, lambda *_: None)
    assert [*range(20)] == sorted(record.number for record in records)
    assert [*range(20)] == ledger.done
    begun: set[int] = set()
    for done, dealt in ledger.calls:
        assert begun.issuperset(done)
        begun.update(dealt)
        assert len(begun) - len(done) <= 20
    assert [] == ledger.calls[0][0]
    assert [number for _, dealt in ledger.calls for number in dealt] == [*range(20)]


def test_nothing_to_deal_is_told(engine: Engine) -> None:
    """Where every shard is there already, the totals are told once, and nothing is recorded."""
    totals: list[tuple[int, int]] = []
    ledger = Ledger()
    assert [] == deal([], pretend, engine, ledger, lambda *told: totals.append(told))
    assert ([(0, 0)], []) == (totals, ledger.calls)


def test_samples_are_counted_by_host(engine: Engine, tmp_path: Path) -> None:
    """Here there is one host; and engines of this host have nothing to be noticed, and call no check."""
    noticed: list[str] = []
    hosts = Hosts(never, noticed.append)
    deal(chunks_of(5, tmp_path), pretend, engine, Ledger(), lambda *_: None, hosts)
    assert ({"": 5}, []) == (hosts.samples, noticed)


def never() -> str:
    raise AssertionError("no check is made here")


@pytest.mark.parametrize("samples", [1, 3, 7])
def test_interrupt_loses_no_finished_record(engine: Engine, tmp_path: Path, samples: int) -> None:
    """What was told as finished before the interrupt is recorded after it, and whatever has finished since."""
    ledger = Ledger()

    def interrupt(done: int, _: int) -> None:
        if done >= samples:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deal(chunks_of(20, tmp_path), pretend, engine, ledger, interrupt)
    assert len(ledger.done) >= samples - engine.slots
    assert ledger.calls[-1][0]


class Interrupted(Ledger):
    """An interrupt comes when so many calls have been kept, before the next is or right after."""

    def __init__(self, call: int, *, before: bool) -> None:
        super().__init__()
        self._call, self._before = call, before

    def record(self, done: Sequence[ShardRecord] = (), dealt: Sequence[tuple[int, str]] = ()) -> None:
        """Kept, or not."""
        now, self._call = self._call == 0, self._call - 1
        if now and self._before:
            raise KeyboardInterrupt
        super().record(done, dealt)
        if now:
            raise KeyboardInterrupt


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_interrupt_of_the_record(tmp_path: Path, call: int, before: bool) -> None:
    """Of one chunk at a time, all before the one that was to begin are recorded: the last by the call after."""
    ledger = Interrupted(call, before=before)
    with open_engine(0) as engine, pytest.raises(KeyboardInterrupt):
        deal(chunks_of(20, tmp_path), pretend, engine, ledger, lambda *_: None)
    # A call can also come between two shards, with neither.
    dealt = {number for _, numbers in ledger.calls for number in numbers}
    assert [*range(len(ledger.done))] == ledger.done
    assert len(dealt) - 1 <= len(ledger.done) <= len(dealt)


def fail_third(chunk: Chunk, progress: Progress) -> ShardRecord:
    if chunk.number == 3:
        raise SourceError("That is enough.")
    return pretend(chunk, progress)


def test_error_of_a_worker_loses_no_finished_record(engine: Engine, tmp_path: Path) -> None:
    """It ends the work, and all that was finished before is recorded."""
    ledger = Ledger()
    with pytest.raises(SourceError, match="That is enough."):
        deal(chunks_of(20, tmp_path), fail_third, engine, ledger, lambda *_: None)
    assert 3 not in ledger.done
    if not engine.workers:
        assert [0, 1, 2] == ledger.done


def test_tidying_that_fails_loses_no_finished_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is finished is recorded before temporary files are removed, whose removal may fail."""

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", str(tmp_path))

    def interrupt(done: int, _: int) -> None:
        if done >= 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("parallel_sharder.stores.local.LocalStore.remove_partials", fail)
    ledger = Ledger()
    with open_engine(0) as engine, pytest.raises(OSError, match="Input/output error"):
        deal(chunks_of(20, tmp_path), pretend, engine, ledger, interrupt)
    assert [0, 1, 2] == ledger.done[:3]


class Gone(Ledger):
    """A destination that is not there any more as it was."""

    def record(self, done: Sequence[ShardRecord] = (), dealt: Sequence[tuple[int, str]] = ()) -> None:
        """Refused, if something is done."""
        if done:
            raise DestinationGoneError("It is gone.")


def test_destination_that_is_gone_is_no_place_for_shards(engine: Engine, tmp_path: Path) -> None:
    """Nothing that was finished there counts, and the error says so."""
    with pytest.raises(DestinationGoneError):
        deal(chunks_of(5, tmp_path), pretend, engine, Gone(), lambda *_: None)


def die_at_first(chunk: Chunk, progress: Progress) -> ShardRecord:
    """Stands for a worker that the system kills for want of memory, once a chunk."""
    marker = Path(f"{chunk.path}.died")
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return pretend(chunk, progress)


@pytest.mark.timeout(60)
def test_every_chunk_again(tmp_path: Path) -> None:
    """Where each chunk costs a worker, all are done in the end, each recorded once."""
    ledger = Ledger()
    with open_engine(2) as engine:
        records = deal(chunks_of(6, tmp_path), die_at_first, engine, ledger, lambda *_: None)
    assert [*range(6)] == sorted(record.number for record in records)
    assert [*range(6)] == sorted(number for done, _ in ledger.calls for number in done)
    assert [*range(6)] == [number for _, dealt in ledger.calls for number in dealt]


def want_memory(chunk: Chunk, progress: Progress) -> ShardRecord:
    raise MemoryError


def test_third_time_without_memory(engine: Engine, tmp_path: Path) -> None:
    """A chunk for which there is no memory stops the run by name."""
    words = (
        rf"^{DEATHS} workers died writing .*x-000000.tar \(1 sample, k to k\), the last out of memory. If memory is "
    )
    with pytest.raises(WorkerError, match=words):
        deal(chunks_of(1, tmp_path), want_memory, engine, Ledger(), lambda *_: None)


def test_death_of_a_worker_removes_no_shard(tmp_path: Path) -> None:
    """What has the name of the shard that a worker died with stays; it is compared when the shard is made."""
    (tmp_path / "x-000001.tar").write_text("precious")
    (tmp_path / ".x-000001.tar.0123abcd.partial").touch()
    prepare_again(chunk_of(1, tmp_path), 1, Death("out of memory"))
    assert ["x-000001.tar"] == os.listdir(tmp_path)
    assert "precious" == (tmp_path / "x-000001.tar").read_text()


def kill_worker(after_samples: int) -> Recording:
    """A monitor that kills one worker process, once, when so many samples are done."""

    class Killer(Recording):
        killed = False

        def progress(self, samples: int, tar_bytes: int) -> None:
            super().progress(samples, tar_bytes)
            if samples >= after_samples and not self.killed:
                self.killed = True
                me = psutil.Process()
                family = [p for p in me.children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
                parents = {p.ppid() for p in family}
                [worker, *_] = [p for p in family if p.pid not in parents]  # not the fork server
                worker.kill()

    return Killer()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_killed_workers_chunk_is_dealt_again(tmp_path: Path, method: str) -> None:
    """A killed worker costs nothing but time: every sample once, the undisturbed run's bytes, and no partial file."""
    made.classic_train(tmp_path / "raw", images=3000, annotated=1)
    options = {"root": tmp_path / "raw", "shards": 40}
    convert(Options(**options, workers=0, dest=str(tmp_path / "undisturbed")))  # type: ignore[arg-type]
    killer = kill_worker(500)
    convert(Options(**options, workers=2, start_method=method, dest=str(tmp_path / "out")), killer)  # type: ignore[arg-type]
    assert killer.killed  # type: ignore[attr-defined]
    assert digests(tmp_path / "undisturbed") == digests(tmp_path / "out")


@pytest.mark.parametrize("method", METHODS[:2])
def test_chunk_that_kills_its_workers_stops_the_run(tmp_path: Path, method: str) -> None:
    """After three deaths with one chunk the run stops, naming shard, samples and signal; nothing partial is left."""
    made.classic_train(tmp_path / "raw", images=20, annotated=0)

    with open_engine(2, method) as engine:
        options = Options(root=tmp_path / "raw")
        with open_source(SourceOptions.of(options)) as source:
            listing = source.scan(engine, Recording(), Scratch())
        plan = plan_of(listing, Options(shards=2))
        pattern = Options(dest=str(tmp_path / "x-%06d.tar")).pattern
        (tmp_path / ".x-000000.tar.0123abcd.partial").touch()
        chunks = make_chunks(listing, plan, pattern, make_job(Options(), listing, plan, 2))
        with pytest.raises(
            WorkerError, match=r"3 workers died writing .*x-000000.tar \(10 samples, n\d+_\d+ to n\d+_\d+\).*SIGSEGV"
        ):
            deal(chunks, _die, engine, Ledger(), lambda *_: None)
    assert ["raw", "x-000001.tar"] == sorted(os.listdir(tmp_path))


def _die(chunk: Chunk, progress: Progress) -> ShardRecord:
    """Stands for a sample that crashes a library."""
    if chunk.number == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return write_chunk(chunk, progress)
