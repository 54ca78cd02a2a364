"""The in-line engine: one thread of this process, for debugging, small sets, and places without processes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from parallel_sharder.engines import Engine
from parallel_sharder.engines.board import Board
from parallel_sharder.worker import write_chunk

P = ParamSpec("P")
T = TypeVar("T")


def open_engine() -> Engine:
    """One worker, in a thread, so that the coordinator can show progress meanwhile."""
    board = Board.local(1)
    executor: Executor = ThreadPoolExecutor(1)
    try:
        executor.submit(int).result()  # which starts the thread
    except RuntimeError:  # the limit on threads is reached
        executor = _Caller()
    return Engine(executor, functools.partial(write_chunk, board=board), board, 1)


class _Caller(Executor):
    """Whoever submits a task runs it, and shows no progress meanwhile."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` before returning."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
