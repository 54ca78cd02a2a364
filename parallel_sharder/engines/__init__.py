"""Engines: where the work is run. One file each; all answer to `Engine`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from parallel_sharder.board import Board
from parallel_sharder.model import Chunk, ShardRecord


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
