"""The engine of a cluster, with a cluster in memory: who is given up, who gets a task again, and when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

import pytest

from parallel_sharder.engines import remote
from parallel_sharder.engines.cluster import Answer, Beat, ClusterLostError, ClusterNode, Done
from parallel_sharder.engines.engine import Outcome, Work
from parallel_sharder.engines.progress import Progress
from parallel_sharder.engines.remote import Remote
from parallel_sharder.engines.remote_worker import answer
from parallel_sharder.errors import Death, SharderError, StoppedError, WorkerError

pytestmark = pytest.mark.timeout(30)

ONE, TWO = ClusterNode("key one", "one", 2), ClusterNode("key two", "two", 1)


class InMemory:
    """A Cluster whose answers are what a test says: `submitted` has what is to be answered, by number."""

    name = "the made cluster"
    started = ""

    def __init__(self, *nodes: ClusterNode) -> None:
        self.alive = list(nodes)
        self.submitted: dict[int, tuple[bytes, frozenset[str], Done]] = {}
        self.beats: list[Beat] | None = []
        self.cancelled: list[tuple[Any, bool]] = []
        self.polls: list[tuple[bool, frozenset[int]]] = []
        self.error: Exception | None = None
        self.closed = 0

    def nodes(self) -> Sequence[ClusterNode]:
        """Those that are alive."""
        if self.error:
            raise self.error
        return list(self.alive)

    def submit(self, number: int, packed: bytes, refused: Collection[str], done: Done) -> Any:
        """Kept."""
        self.submitted[number] = packed, frozenset(refused), done
        return f"handle {number}"

    def poll(self, stopped: bool, unwanted: Collection[int]) -> Sequence[Beat] | None:
        """The beats since the last call."""
        self.polls.append((stopped, frozenset(unwanted)))
        if self.beats is None:
            return None
        beats, self.beats = self.beats, []
        return beats

    def cancel(self, handle: Any, *, begun: bool) -> None:
        """Kept."""
        self.cancelled.append((handle, begun))

    def death(self, error: BaseException) -> str:
        """A ConnectionError says that the worker died."""
        return "lost with its process" if isinstance(error, ConnectionError) else ""

    def close(self) -> None:
        """Counted."""
        self.closed += 1

    def wait(self, *numbers: int) -> None:
        """Return when all of these are submitted."""
        soon(lambda: self.submitted.keys() >= {*numbers})

    def answer(self, number: int, what: Answer | BaseException | None = None, key: str = "key one") -> None:
        """Answer a submission: with what its function returns here, unless another answer is given."""
        packed, _, done = self.submitted[number]
        done(number, answer(packed, key, lambda _: False, number) if what is None else what)

    def beat(self, number: int, start: str = "first", samples: int = 0, written: int = 0, ended: bool = False) -> None:
        """A sign of life of a submission, from the host one."""
        assert self.beats is not None
        self.beats.append(Beat(number, start, "one", samples, written, ended))


def soon(look: Callable[[], object]) -> None:
    """Return when it is true; the test's time limit ends the wait."""
    while not look():
        time.sleep(0.002)


def double(task: int, _: Progress) -> int:
    return 2 * task


def fine() -> str:
    return ""


def no_memory(task: int, _: Progress) -> int:
    raise MemoryError


def broken(task: int, _: Progress) -> int:
    raise WorkerError(f"task {task} is broken.")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for."""
    monkeypatch.setattr(remote, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(remote, "NODES_SECONDS", 0.01)


@pytest.fixture
def cluster() -> InMemory:
    return InMemory(ONE, TWO)


@pytest.fixture
def engine(cluster: InMemory) -> Iterator[Remote]:
    with Remote(cluster, None, 1) as engine:
        yield engine
        engine.stop()


class Running:
    """The rounds of a Work, gone through in a thread as the coordinator does; `outcomes` has all so far."""

    def __init__(self, work: Work[int, int], again: bool = False) -> None:
        self.work, self.outcomes, self.again = work, list[Outcome[int, int]](), again
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for outcomes, _ in self.work.rounds(0.01):
                self.outcomes += outcomes
                for task, result, _ in outcomes:
                    if isinstance(result, Death) and self.again:
                        self.work.put_back(task)
        except BaseException as error:
            self.error = error

    @property
    def results(self) -> list[int | str]:
        """Of each outcome the result, or the cause of the Death."""
        return [result.cause if isinstance(result, Death) else result for _, result, _ in self.outcomes]

    def end(self) -> list[int | str]:
        """The results when all is done. Raises what the rounds have raised."""
        self.thread.join()
        if self.error:
            raise self.error
        return self.results


def test_tasks_are_done_by_the_cluster(cluster: InMemory, engine: Remote) -> None:
    """At most as many are submitted as it has CPUs, and a few more; each outcome says which host it is from."""
    running = Running(engine.run(double, range(7)))
    cluster.wait(0, 1, 2, 3, 4)
    assert (3, 5) == (engine.workers, engine.slots)
    assert 5 == len(cluster.submitted)
    for number in range(7):
        cluster.wait(number)
        cluster.answer(number)
    assert [0, 2, 4, 6, 8, 10, 12] == running.end()
    hosts = {where.host for _, _, where in running.outcomes}
    assert 1 == len(hosts)
    assert "" not in hosts


def test_number_of_chunks_in_work_can_be_chosen(cluster: InMemory) -> None:
    """--workers is that number, whatever the cluster has."""
    with Remote(cluster, 9, 1) as engine:
        assert (9, 9) == (engine.workers, engine.slots)


def test_slots_follow_the_cluster(cluster: InMemory, engine: Remote) -> None:
    """A node that joins later gets work; when one leaves, no task begins until enough are done."""
    running = Running(engine.run(double, range(20)))
    cluster.wait(*range(5))
    cluster.alive.append(ClusterNode("key three", "three", 4))
    cluster.wait(*range(9))
    for number in range(9):
        cluster.beat(number)
    soon(lambda: not cluster.beats)
    polls = len(cluster.polls)
    soon(lambda: len(cluster.polls) > polls + 2)
    cluster.alive[:] = [TWO]
    soon(lambda: engine.slots == 3)
    for number in range(6):
        cluster.answer(number)
    soon(lambda: len(running.outcomes) == 6)
    assert 9 == len(cluster.submitted)
    cluster.answer(6)
    cluster.wait(9)
    for number in range(7, 20):
        cluster.wait(number)
        cluster.answer(number)
    assert [2 * number for number in range(20)] == running.end()


def test_node_that_leaves_may_have_taken_a_task_along(cluster: InMemory, engine: Remote) -> None:
    """What has given no sign of life is submitted again; that is no death, and what has begun goes on."""
    running = Running(engine.run(double, [5, 6]))
    cluster.wait(0, 1)
    cluster.beat(1)
    soon(lambda: not cluster.beats)
    soon(lambda: len(cluster.polls) > 3)
    cluster.alive.remove(TWO)
    cluster.wait(2)
    assert [("handle 0", False)] == cluster.cancelled
    cluster.answer(0)
    cluster.answer(1)
    cluster.answer(2)
    assert [12, 10] == running.end()


def test_empty_cluster_is_waited_for(cluster: InMemory) -> None:
    """It is said once, and work begins when a worker joins."""
    cluster.alive.clear()
    with Remote(cluster, None, 1) as engine:
        running = Running(engine.run(double, [1]))
        cluster.wait(0)
        cluster.alive.append(ONE)
        cluster.answer(0)
        assert [2] == running.end()
        assert ["the made cluster has no workers; work goes on when one joins"] == engine.news()


def test_error_of_a_function_is_raised(cluster: InMemory, engine: Remote) -> None:
    """It is pickled on the worker, and raised here."""
    running = Running(engine.run(broken, [3]))
    cluster.wait(0)
    cluster.answer(0)
    with pytest.raises(WorkerError, match="task 3 is broken"):
        running.end()


@pytest.mark.parametrize(
    ("function", "what", "cause"),
    [
        (no_memory, None, "out of memory"),
        (double, ConnectionError(), "lost with its process on one"),
    ],
)
def test_death(cluster: InMemory, engine: Remote, function: Any, what: Any, cause: str) -> None:
    """A worker without memory, and one that the cluster has lost, is the Death of its task; it names the host."""
    running = Running(engine.run(function, [1]))
    cluster.wait(0)
    cluster.beat(0)
    soon(lambda: not cluster.beats)
    soon(lambda: engine.told() == (0, 0) and len(cluster.polls) > 3)
    cluster.answer(0, what)
    assert [cause] == running.end()


def test_other_errors_of_the_cluster_stop_the_run(cluster: InMemory, engine: Remote) -> None:
    """What is no death would happen again."""
    running = Running(engine.run(double, [1]))
    cluster.wait(0)
    cluster.answer(0, RuntimeError("no\n such environment"))
    with pytest.raises(WorkerError, match="the made cluster cannot run a task: no such environment"):
        running.end()


def test_answer_that_the_cluster_is_gone_stops_the_run(cluster: InMemory, engine: Remote) -> None:
    """It is no fault of the task, and the sentence is the one of a cluster that is lost."""
    running = Running(engine.run(double, [1]))
    cluster.wait(0)
    cluster.answer(0, ClusterLostError("its head does not answer any more"))
    with pytest.raises(WorkerError, match="^the made cluster was lost: its head does not answer any more"):
        running.end()


def test_silence_is_a_death(cluster: InMemory, engine: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that has given a sign of life and then no more is cancelled; its late answer is ignored."""
    monkeypatch.setattr(remote, "SILENT_SECONDS", 0.2)
    running = Running(engine.run(double, [5]), again=True)
    cluster.wait(0)
    cluster.beat(0)
    cluster.wait(1)
    assert ["without a sign of life for 0 s on one"] == running.results
    assert [("handle 0", True)] == cluster.cancelled
    soon(lambda: 0 in cluster.polls[-1][1])
    cluster.answer(0)
    cluster.answer(1)
    assert ["without a sign of life for 0 s on one", 10] == running.end()


def test_task_that_waits_is_not_silent(cluster: InMemory, engine: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its first sign of life a task may wait for ever; and nobody is silent while nobody can be heard."""
    monkeypatch.setattr(remote, "SILENT_SECONDS", 0.05)
    running = Running(engine.run(double, [5, 6]))
    cluster.wait(0, 1)
    cluster.beat(0)
    soon(lambda: not cluster.beats)
    cluster.beats = None
    polls = len(cluster.polls)
    time.sleep(0.2)
    soon(lambda: len(cluster.polls) > polls + 3)
    assert [] == running.results
    cluster.answer(0)
    cluster.answer(1)
    assert [10, 12] == sorted(running.end())


def test_second_start_is_the_death_of_the_first(cluster: InMemory, engine: Remote) -> None:
    """A cluster that begins a task again by itself does not say that its worker has died; its beats do."""
    running = Running(engine.run(double, [5]), again=True)
    cluster.wait(0)
    cluster.beat(0, "first")
    cluster.beat(0, "second")
    cluster.wait(1)
    cluster.answer(1)
    assert ["lost by the cluster on one", 10] == running.end()
    assert [("handle 0", True)] == cluster.cancelled


@pytest.mark.parametrize("what", [ConnectionError(), None])
def test_worker_that_dies_after_a_task_has_not_died_of_it(
    cluster: InMemory, engine: Remote, what: BaseException | None
) -> None:
    """Its result is lost, so the task is done again, by the cluster or by a new submission; no Death is counted."""
    running = Running(engine.run(double, [5]))
    cluster.wait(0)
    cluster.beat(0, "first")
    cluster.beat(0, "first", ended=True)
    soon(lambda: not cluster.beats)
    soon(lambda: len(cluster.polls) > 3)
    if what is None:
        cluster.beat(0, "second")
        soon(lambda: not cluster.beats)
        cluster.answer(0)
    else:
        cluster.answer(0, what)
        cluster.wait(1)
        cluster.answer(1)
    assert [10] == running.end()
    assert [] == cluster.cancelled


def test_result_that_is_lost_each_time(cluster: InMemory, engine: Remote) -> None:
    """That cannot go on for ever: after three times it counts as a Death of the task."""
    running = Running(engine.run(double, [5]))
    for number in range(4):
        cluster.wait(number)
        cluster.beat(number, "first", ended=True)
        soon(lambda: not cluster.beats)
        cluster.answer(number, ConnectionError())
    assert ["lost with its process on one"] == running.end()


def test_progress_is_the_sum_of_all_beats(cluster: InMemory, engine: Remote) -> None:
    """The last beat of each task counts, until the task is done."""
    running = Running(engine.run(double, [5, 6]))
    cluster.wait(0, 1)
    cluster.beat(0, samples=3, written=30)
    cluster.beat(1, samples=4, written=40)
    cluster.beat(1, samples=5, written=50)
    soon(lambda: engine.told() == (8, 80))
    cluster.answer(1)
    soon(lambda: engine.told() == (3, 30))
    cluster.answer(0)
    assert [12, 10] == running.end()
    assert (0, 0) == engine.told()


def test_refused_host_gets_no_further_task(cluster: InMemory, engine: Remote) -> None:
    """That is no death: the task is submitted again, to the others, and it is said once for each host."""
    running = Running(engine.run(double, [5, 6], check=fine))
    cluster.wait(0, 1)
    for number in (0, 1):
        cluster.answer(number, ("refused", "key two", "two", "it has no zstandard. Install it."))
    cluster.wait(2, 3)
    assert [frozenset({"key two"})] * 2 == [cluster.submitted[number][1] for number in (2, 3)]
    for number in (2, 3):
        cluster.answer(number)
    assert [10, 12] == running.end()
    assert ["two gets no work: it has no zstandard. Install it."] == engine.news()
    assert 4 == engine.slots


def test_run_stops_if_all_hosts_are_refused(cluster: InMemory, engine: Remote) -> None:
    """The error has a line for each, and later tasks raise it too."""
    running = Running(engine.run(double, [5, 6]))
    cluster.wait(0, 1)
    cluster.answer(0, ("refused", "key two", "two", "it is too old."))
    cluster.answer(1, ("refused", "key one", "one", "it is too new."))
    with pytest.raises(WorkerError) as caught:
        running.end()
    assert (
        "the made cluster has no host that can be given work:",
        "  two gets no work: it is too old.",
        "  one gets no work: it is too new.",
    ) == caught.value.lines
    with pytest.raises(WorkerError, match="no host"):
        Running(engine.run(double, [5])).end()


def test_chunk_that_needs_more_than_any_host_has(cluster: InMemory) -> None:
    """The largest is named, and the cluster is left."""
    with pytest.raises(WorkerError, match=r"cpus_per_chunk 3 is more .* has: the largest, one, has 2 CPUs"):
        Remote(cluster, None, 3)
    assert 1 == cluster.closed


def test_cluster_that_is_lost_stops_the_run(cluster: InMemory, engine: Remote) -> None:
    """Whatever it raises becomes one sentence, for the tasks in hand and for those that come."""
    running = Running(engine.run(double, [5]))
    cluster.wait(0)
    cluster.error = OSError("the head is gone")
    with pytest.raises(WorkerError, match="the made cluster was lost: the head is gone"):
        running.end()
    assert ["handle 0"] == [handle for handle, _ in cluster.cancelled]
    with pytest.raises(SharderError, match="was lost"):
        Running(engine.run(double, [5])).end()


def test_channel_that_stays_down_stops_the_run(
    cluster: InMemory, engine: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could be heard, and nobody told to stop."""
    monkeypatch.setattr(remote, "DEAF_SECONDS", 0.05)
    running = Running(engine.run(double, [5]))
    cluster.wait(0)
    cluster.beats = None
    with pytest.raises(WorkerError, match="the made cluster was lost: it does not answer any more"):
        running.end()


def test_stop_waits_for_functions_that_stop(cluster: InMemory) -> None:
    """What has begun is told so, and what has not is cancelled; finished results are not lost."""
    with Remote(cluster, None, 1) as engine:
        running = Running(engine.run(double, [5, 6, 7]))
        cluster.wait(0, 1, 2)
        cluster.beat(0)
        cluster.beat(2)
        soon(lambda: not cluster.beats)
        soon(lambda: len(cluster.polls) > 3)
        polls = len(cluster.polls)
        stopping = threading.Thread(target=engine.stop)
        stopping.start()
        soon(lambda: any(stopped for stopped, _ in cluster.polls[polls:]))
        assert [("handle 0", True), ("handle 1", False), ("handle 2", True)] == cluster.cancelled
        cluster.answer(1, ConnectionError())
        cluster.answer(0)
        cluster.answer(2, CancelledError())
        cluster.beat(2, ended=True)
        stopping.join()
        assert 1 == cluster.closed
    with pytest.raises(StoppedError):
        running.end()
    assert 10 in [*running.results, *running.work.unhandled()]


def test_stop_gives_up_functions_that_do_not(cluster: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time, the cluster is left; nothing waits for the function."""
    monkeypatch.setattr(remote, "STOP_SECONDS", 0.05)
    with Remote(cluster, None, 1) as engine:
        Running(engine.run(double, [5]))
        cluster.wait(0)
        cluster.beat(0)
        soon(lambda: not cluster.beats)
        engine.stop()
        assert 1 == cluster.closed


def test_a_closed_engine_takes_nothing(cluster: InMemory, engine: Remote) -> None:
    """A task that came after the end would never be done, so it is refused; the end can come twice."""
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        [*engine.run(double, [1])]
    assert 1 == cluster.closed
