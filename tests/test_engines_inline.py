"""The in-line engine: one task at a time, in a thread of this process or, where there is none, in the caller's."""

from __future__ import annotations

import threading

import pytest

from parallel_sharder.engines.inline import Inline
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death


def thread_of(task: int, progress: Progress) -> int:
    """Returns the thread that does the task."""
    progress.tell(task, 10 * task)
    return threading.get_ident()


def without_memory(task: int, progress: Progress) -> int:
    """Stands for a task for which there is not enough memory."""
    raise MemoryError


def test_all_tasks_are_done_by_one_other_thread() -> None:
    """So the caller can show progress meanwhile."""
    with Inline() as engine:
        threads = {outcome.result for outcome in engine.run(thread_of, range(5))}
    assert 1 == len(threads)
    assert threading.get_ident() not in threads


def test_where_no_thread_can_be_started_the_caller_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task is done all the same."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Inline() as engine:
        results = [outcome.result for outcome in engine.run(thread_of, range(5))]
    assert [threading.get_ident()] * 5 == results


def test_missing_memory_is_the_death_of_the_task() -> None:
    """As it is in a worker process; the engine goes on."""
    with Inline() as engine:
        [[_, death, _]] = engine.run(without_memory, [1])
        assert isinstance(death, Death)
        assert 1 == len([*engine.run(thread_of, [1])])


def test_a_stopped_engine_begins_no_task() -> None:
    """Its thread has ended."""
    before = threading.active_count()
    engine = Inline()
    engine.stop()
    assert before == threading.active_count()
