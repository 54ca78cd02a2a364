"""Done: tasks that read many bytes are done on an engine, and a monitor hears how many megabytes are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death
from parallel_sharder.monitor.monitor import Monitor

TICK_SECONDS = 0.1
"""How often progress is told."""

_MEGABYTE = 10**6

T = TypeVar("T")
R = TypeVar("R")


def done(
    function: Callable[[T, Progress], R], tasks: Mapping[T, int], doing: str, engine: Engine, monitor: Monitor
) -> list[R]:
    """Return the results of the function for the tasks, in order; each task has so many bytes.

    `doing` is what the monitor is told, and ends in "MB". Raises Death if a worker dies.
    """
    results: dict[T, R] = {}
    done_bytes, total = 0, max(1, sum(tasks.values()) // _MEGABYTE)
    for outcomes, _ in engine.run(function, tasks).rounds(TICK_SECONDS):
        for task, result, _ in outcomes:
            if isinstance(result, Death):
                raise result
            results[task] = result
            done_bytes += tasks[task]
        monitor.working(doing, min(total, (done_bytes + engine.told()[1]) // _MEGABYTE), total)
    return [results[task] for task in tasks]
