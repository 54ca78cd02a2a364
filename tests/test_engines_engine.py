"""Every engine by the same tests: what it promises to whoever gives it tasks; and what stops a command, in words."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from parallel_sharder.engines import open_engine, running
from parallel_sharder.engines.engine import Engine, Where, call
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death, StoppedError
from parallel_sharder.verify.shard_check import check_shard

WAYS = {"in line": (0, None), "fork server": (2, "forkserver"), "spawn": (2, "spawn"), "fork": (2, "fork")}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.timeout(60),
]


@pytest.fixture(params=WAYS)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine, and each start method."""
    with open_engine(*WAYS[request.param]) as engine:
        yield engine


@pytest.fixture
def processes() -> Iterator[Engine]:
    """Two processes."""
    with open_engine(2) as engine:
        yield engine


def square(task: int, progress: Progress) -> int:
    progress.tell(task, 10 * task)
    return task * task


def test_every_task_once(engine: Engine) -> None:
    """The outcome of each task comes once, with the task, what the function has returned, and where that was."""
    outcomes = [*engine.run(square, range(20))]
    assert [(task, task * task) for task in range(20)] == sorted((task, result) for task, result, _ in outcomes)
    assert {""} == {where.host for _, _, where in outcomes}
    assert {where.slot for _, _, where in outcomes} <= set(range(engine.slots))
    assert [] == [*engine.run(square, [])]


def test_a_closed_engine_takes_nothing(engine: Engine) -> None:
    """A task that came after the end would never be done, so it is refused."""
    engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        [*engine.run(square, [1])]


def test_tasks_in_hand_are_bounded(engine: Engine) -> None:
    """No task is asked for before there is a slot for it."""
    asked: list[int] = []

    def task(number: int) -> int:
        asked.append(number)
        return number

    for done, _ in enumerate(engine.run(square, map(task, range(30)))):
        assert len(asked) <= done + engine.slots + engine.slots  # those of one round are yielded together
    assert [*range(30)] == asked


def test_error_of_a_function_is_raised(engine: Engine) -> None:
    """It is raised where the outcome is wanted, and the engine goes on."""
    with pytest.raises(ZeroDivisionError):
        list(engine.each(functools.partial(divmod, 1), [0]))
    assert [1, 2] == sorted(engine.each(abs, [-1, -2]))


def test_calls_as_tasks(engine: Engine) -> None:
    """A task can be a call by itself."""
    tasks = [functools.partial(divmod, 7, 2), functools.partial(max, 1, 5)]
    assert {(3, 1), 5} == {result for _, result, _ in engine.run(call, tasks)}


def without_memory(task: int, _: Progress) -> int:
    if task == 1:
        raise MemoryError
    return task


def test_no_memory_is_a_death(engine: Engine) -> None:
    """A function that has no memory has the outcome of one whose worker dies; the other tasks have theirs."""
    results = {task: result for task, result, _ in engine.run(without_memory, range(3))}
    death = results.pop(1)
    assert isinstance(death, Death)
    assert ("out of memory", {0: 0, 2: 2}) == (death.cause, results)
    with pytest.raises(Death, match="out of memory"):
        [*engine.each(functools.partial(without_memory, 1), [None])]


def die(task: tuple[str, Path], _: Progress) -> str:
    name, marker = task
    if name == "killed" and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "exit":
        os._exit(7)
    return name


def test_death_is_the_outcome_of_its_one_task(processes: Engine, tmp_path: Path) -> None:
    """The other tasks are done; a task that is put back is done again, by another worker."""
    tasks = [(name, tmp_path / "died") for name in ("one", "killed", "two", "exit", "three")]
    run = processes.run(die, tasks)
    causes, results = [], []
    for task, result, _ in run:
        if isinstance(result, Death):
            causes.append(result.cause)
            if task[0] == "killed":
                run.put_back(task)
        else:
            results.append(result)
    assert ["exit status 7", "killed by SIGKILL"] == sorted(causes)
    assert ["killed", "one", "three", "two"] == sorted(results)


def wait_to_be_stopped(task: Path, progress: Progress) -> None:
    progress.tell(3, 400)
    task.touch()
    while not progress.stopped:
        time.sleep(0.01)
    raise StoppedError


def test_progress_crosses_both_ways(engine: Engine, tmp_path: Path) -> None:
    """What a function tells is in the engine's totals while it runs, and it learns that it is to stop."""
    run = engine.run(wait_to_be_stopped, [tmp_path / "begun"])
    rounds = run.rounds(0.01)
    assert ([], [tmp_path / "begun"]) == next(rounds)
    while not (tmp_path / "begun").exists():
        assert ([], []) == next(rounds)
    assert (3, 400) == engine.told()
    engine.stop()
    with pytest.raises(StoppedError):
        next(rounds)
    assert (0, 0) == engine.told()


def test_what_is_told_ends_with_the_task(engine: Engine) -> None:
    """The caller counts what is done; the engine's totals are of tasks in hand."""
    assert 3 == len([*engine.run(square, [1, 2, 3])])
    assert (0, 0) == engine.told()


def test_rounds_keep_results_until_the_next(engine: Engine) -> None:
    """Whatever interrupts the caller between two rounds, the results of the last are still to be had."""
    run = engine.run(square, [1, 2])
    handled: list[int] = []
    for outcomes, new in run.rounds(10):
        assert len(run.unhandled()) >= len(outcomes)
        assert {result for _, result, _ in outcomes} <= set(run.unhandled())
        assert len(new) <= engine.slots
        handled += [task for task, _, _ in outcomes]
    assert ([1, 2], []) == (sorted(handled), run.unhandled())


def test_run_that_is_left_hinders_no_other(engine: Engine) -> None:
    """The next run has its own outcomes, whatever is still in hand of the one before."""
    for _ in engine.run(square, range(100, 120)):
        break
    assert [0, 1, 4] == sorted(result for _, result, _ in engine.run(square, range(3)))  # type: ignore[type-var]


def sleep(task: Path, _: Progress) -> None:
    task.touch()
    time.sleep(60)


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
def test_worker_that_does_not_ask_is_killed(tmp_path: Path, method: str) -> None:
    """Leaving by an exception ends workers that never look at their Progress, and none is left."""
    with pytest.raises(KeyboardInterrupt), open_engine(2, method) as engine:
        for _ in engine.run(sleep, [tmp_path / "1", tmp_path / "2", tmp_path / "3"]).rounds(0.01):
            if (tmp_path / "1").exists() and (tmp_path / "2").exists():
                break
        start = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - start < 10
    assert [] == psutil.Process().children(recursive=True)
    assert not (tmp_path / "3").exists()


def test_engine_can_be_closed_again(engine: Engine) -> None:
    """The end of a context in a context is the end."""
    assert [4] == [*engine.each(abs, [-4])]
    with engine:
        pass
    engine.stop()


def test_where_is_a_value() -> None:
    """It is compared by what it says."""
    assert Where("", 1) == Where("", 1)


LOADED = "sorted(__import__('sys').modules)"
"""What has been imported where this is evaluated; finding out imports nothing."""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_named_module_is_loaded_by_the_fork_server(method: str) -> None:
    """Copies of the server have it; otherwise a worker has what its tasks need, and no more."""
    with open_engine(1, method, "parallel_sharder.columns") as engine:
        [modules] = engine.each(eval, [LOADED])
    assert (method == "forkserver") == ("parallel_sharder.columns" in modules)
    assert "parallel_sharder.model" not in modules


VERIFY_AND_INDEX = """
import sys
import parallel_sharder.indexes.command, parallel_sharder.verify.command
from parallel_sharder.engines import open_engine
with open_engine(1, {method!r}, {preload!r}) as engine:
    [theirs] = engine.each(eval, ["sorted(__import__('sys').modules)"])
print(*sys.modules, *theirs)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_verify_and_index_never_load_what_writes_shards(method: str) -> None:
    """Neither their own process nor a worker of theirs: a witness shares no code with whom it testifies about."""
    code = VERIFY_AND_INDEX.format(method=method, preload=check_shard.__module__)
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    names = set(done.stdout.split())
    assert {"parallel_sharder.verify.command", "parallel_sharder.engines.worker_process"} <= names
    assert set() == names & {"parallel_sharder.tar.writer", "parallel_sharder.worker", "parallel_sharder.stores.direct"}


# What stops a command: the same words whichever it is.


def test_workers_are_as_many_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody names another number."""
    monkeypatch.setattr("parallel_sharder.engines.cores.usable_cores", lambda: 3)
    for workers, expected in ((None, 3), (2, 2), (0, 0)):
        with running(workers) as engine:
            assert expected == engine.workers


def napping(task: float, progress: Progress) -> None:
    time.sleep(task)


def test_times_of_a_task(engine: Engine) -> None:
    """They are those of its worker: what waits for a worker has not begun."""
    before = time.time()
    spans = [(where.began, where.ended) for _, _, where in engine.run(napping, [0.05] * 4)]
    assert all(before <= began < ended <= time.time() for began, ended in spans)
    assert all(ended - began >= 0.05 for began, ended in spans)
    at_once = max(sum(began <= at < ended for began, ended in spans) for at, _ in spans)
    assert at_once <= max(1, engine.workers)
