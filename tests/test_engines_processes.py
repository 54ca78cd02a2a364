"""The process engine: what can go wrong between the coordinator and its workers is the error of one task, or said."""

from __future__ import annotations

import functools
import selectors
import threading
from typing import Any

import psutil
import pytest

from parallel_sharder.engines import processes, starting
from parallel_sharder.engines.engine import Engine, call
from parallel_sharder.errors import WorkerError


def result_of(engine: Engine, function: Any, *arguments: Any) -> Any:
    """What a worker makes of one call."""
    [[_, result, _]] = engine.run(call, [functools.partial(function, *arguments)])
    return result


@pytest.mark.timeout(30)
def test_what_cannot_be_pickled() -> None:
    """A task or an answer that cannot cross is the error of that task; the engine goes on, and ends."""
    with processes.open_engine(1) as engine:
        with pytest.raises(Exception, match="pickle"):
            result_of(engine, lambda: 1)
        with pytest.raises(TypeError, match="cannot pickle"):
            result_of(engine, threading.Lock)
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            result_of(engine, _raise_what_cannot_cross)
        assert 3 == result_of(engine, len, "abc")


class _CannotCrossError(Exception):
    """Pickles, and cannot be made again from what it was pickled to."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(one)


def _raise_what_cannot_cross() -> None:
    raise _CannotCrossError(1, 2)


@pytest.mark.timeout(30)
def test_workers_are_started_when_there_is_work() -> None:
    """An engine of a thousand workers costs no process until there are tasks, and then one a task."""
    before = set(psutil.Process().children())
    with processes.open_engine(1000, "spawn") as engine:
        assert 3 == result_of(engine, len, "abc")
        assert 1 == len(set(psutil.Process().children()) - before)


@pytest.mark.timeout(30)
def test_dispatcher_that_fails_is_the_answer_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever: what has ended the thread is raised, for tasks in hand and for those to come."""

    def fail(*_: object) -> None:
        raise MemoryError("in the coordinator")

    with processes.open_engine(2) as engine:
        assert 3 == result_of(engine, len, "abc")
        monkeypatch.setattr(selectors.DefaultSelector, "select", fail)
        for _ in range(3):
            with pytest.raises(MemoryError, match="in the coordinator"):
                result_of(engine, len, "abc")


def test_worker_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of the task that wanted one, with the limit and what to do."""

    def fail(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(starting.ForkServer, "start", fail)
    with processes.open_engine(2) as engine, pytest.raises(WorkerError, match="^a worker cannot be started: Too many"):
        result_of(engine, len, "abc")


def test_preloaded_module_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    """The fork server ends, as a worker would that cannot import what it needs; the task has died."""
    with processes.open_engine(1, None, "parallel_sharder.nonsense") as engine:
        assert "exit status 1" == result_of(engine, len, "abc").cause
    assert "No module named 'parallel_sharder.nonsense'" in capfd.readouterr().err
