"""Engines: where the work is run. One file each; all answer to `Engine`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

from parallel_sharder.engines.board import Board
from parallel_sharder.model import Chunk, ShardRecord

T = TypeVar("T")
R = TypeVar("R")


class Finished(Generic[R]):
    """Futures in the order in which they are done.

    concurrent.futures.wait would do, but looks at every future each time, which for a thousand workers costs
    milliseconds a chunk, and takes all their locks, which an interrupt at the wrong moment leaves taken for ever.
    """

    def __init__(self) -> None:
        self._done: SimpleQueue[Future[R]] = SimpleQueue()
        self._in_hand = 0

    def __len__(self) -> int:
        return self._in_hand

    def add(self, future: Future[R]) -> None:
        """Wait for this one too."""
        self._in_hand += 1
        future.add_done_callback(self._done.put)

    def take(self, timeout: float | None = None) -> Iterator[Future[R]]:
        """Those that are done, at least one of them; none when `timeout` seconds have passed."""
        with contextlib.suppress(Empty):
            future = self._done.get(timeout=timeout)
            while True:
                self._in_hand -= 1
                yield future
                future = self._done.get_nowait()


@dataclass(frozen=True)
class Engine:
    """An executor with a board beside it.

    `executor` runs any picklable function; a task whose worker dies fails with WorkerDiedError. `write(chunk, slot)` is
    the function that writes a chunk there, and `board`, of `slots` slots, shows how far each is. Leaving the context
    ends the workers before it returns: by an exception, within two seconds.
    """

    executor: Executor
    write: Callable[[Chunk, int], ShardRecord]
    board: Board
    slots: int

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
        self.executor.shutdown()

    def each(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """`function` of each of `tasks`, as they are done; a bounded number of them in hand at a time."""
        waiting = iter(tasks)
        in_hand: Finished[R] = Finished()
        for task in islice(waiting, self.slots):
            in_hand.add(self.executor.submit(function, task))
        while in_hand:
            for future in in_hand.take():
                for task in islice(waiting, 1):
                    in_hand.add(self.executor.submit(function, task))
                yield future.result()

    def stop(self) -> None:
        """End the workers, within two seconds, whatever they are doing."""
        self.board.stop()
        self.executor.shutdown(cancel_futures=True)


def open_engine(workers: int, start_method: str | None) -> Engine:
    """The engine for so many workers: this process for 0, processes otherwise."""
    if workers == 0:
        from parallel_sharder.engines import inline

        return inline.open_engine()
    from parallel_sharder.engines import processes

    return processes.open_engine(workers, start_method)
