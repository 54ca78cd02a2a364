"""The in-line engine: one thread of this process does the tasks, one after the other.

It serves debugging, small sets, and places where no process can be started. A worker cannot die here, but MemoryError
is a Death as in a worker. A function that does not ask its Progress whether to stop is waited for.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

from parallel_sharder.engines.engine import Engine, Hand
from parallel_sharder.engines.progress import Counts
from parallel_sharder.errors import Death


class Inline(Engine):
    """Does one task at a time, in a thread, so that the coordinator can show progress meanwhile.

    If no thread can be started, `begin` does the task itself, and no progress is shown meanwhile.
    """

    workers = 0
    slots = 1

    def __init__(self) -> None:
        self._counts = Counts()
        self._closed = False
        self._hands: SimpleQueue[Hand[Any, Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = threading.Thread(target=self._work, name="in-line worker", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the limit on threads is reached
            self._thread = None

    def begin(self, hand: Hand[Any, Any]) -> None:
        """As Engine says."""
        if self._closed:
            raise RuntimeError("the engine is closed")
        if self._thread is None:
            self._do(hand)
        else:
            self._hands.put(hand)

    def clear(self, slot: int) -> None:  # noqa: ARG002 - there is only one slot
        """As Engine says."""
        self._counts.tell(0, 0)

    def told(self) -> tuple[int, int]:
        """As Engine says."""
        return self._counts.samples, self._counts.written_bytes

    def stop(self) -> None:
        """As Engine says, but wait for a function that does not ask whether to stop, however long it takes."""
        self._counts.stopped = True
        self.close()

    def close(self) -> None:
        """As Engine says."""
        self._closed = True
        if self._thread is not None:
            self._hands.put(None)
            self._thread.join()

    def _work(self) -> None:
        """Do tasks in the thread, until None comes instead of a task."""
        while (hand := self._hands.get()) is not None:
            if not self._counts.stopped:
                self._do(hand)

    def _do(self, hand: Hand[Any, Any]) -> None:
        hand.begins()
        try:
            result = hand.function(hand.task, self._counts)
        except MemoryError as error:
            hand.fail(Death.without_memory(error))
        except BaseException as error:  # `Hand.outcome` raises it
            hand.fail(error)
        else:
            hand.succeed(result)
