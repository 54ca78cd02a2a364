"""The engine's interface: tasks in, outcomes out, wherever and by whatever the work is done.

            run               begin                       succeed, fail
    caller ------> Run: slots ------> engine: any worker -------------> Run ------> Outcome

A Run keeps a bounded number of tasks in hand, each in a slot. An engine does what `begin` asks for, answers each Hand
once, from any thread, and carries what functions tell by their Progress. Functions and tasks are frozen values, and a
function has a name that can be imported; so they can cross to another process or host. An engine knows neither what
the tasks are nor which functions there are.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death

T = TypeVar("T")
R = TypeVar("R")


class Where(NamedTuple):
    """Where a task was done: the host, "" for this one, and the slot that it had there."""

    host: str
    slot: int


class Outcome(NamedTuple, Generic[T, R]):
    """A task, what its function has returned, or the Death of the worker that had it, and where that was."""

    task: T
    result: R | Death
    where: Where


class Hand(Generic[T, R]):
    """A task in an engine's hands. The engine calls `succeed` or `fail`, once, from whatever thread."""

    def __init__(self, function: Callable[[T, Progress], R], task: T, slot: int, done: SimpleQueue[Hand[T, R]]) -> None:
        self.function, self.task, self.slot = function, task, slot
        self._done = done
        self._host = ""
        self._results: list[R] = []
        self._error: BaseException | None = None

    def succeed(self, result: R, host: str = "") -> None:
        """The function has returned that, on that host."""
        self._host = host
        self._results.append(result)
        self._done.put(self)

    def fail(self, error: BaseException, host: str = "") -> None:
        """The function has raised that, or its worker has died, or the engine cannot go on."""
        self._host = host
        self._error = error
        self._done.put(self)

    @property
    def results(self) -> Sequence[R]:
        """What the function has returned, if it has."""
        return self._results

    def outcome(self) -> Outcome[T, R]:
        """The outcome of a task that is done. Raises what its function has raised."""
        if self._error is not None and not isinstance(self._error, Death):
            raise self._error
        result = self._results[0] if self._error is None else self._error
        return Outcome(self.task, result, Where(self._host, self.slot))


class Run(Generic[T, R]):
    """One function's work on tasks, at most `engine.slots` of them in hand at a time.

    It is iterated over, or over its `rounds`. Both raise what the function has raised.
    """

    def __init__(self, engine: Engine, function: Callable[[T, Progress], R], tasks: Iterable[T]) -> None:
        self._engine = engine
        self._function = function
        self._tasks = iter(tasks)
        self._next: deque[T] = deque()
        self._free = list(range(engine.slots))
        self._hands: dict[int, Hand[T, R]] = {}
        # concurrent.futures.wait would do, but looks at every task each time, which for a thousand workers costs
        # milliseconds a task, and takes locks, which an interrupt at the wrong moment leaves taken for ever.
        self._done: SimpleQueue[Hand[T, R]] = SimpleQueue()

    def __iter__(self) -> Iterator[Outcome[T, R]]:
        """The outcomes, in the order in which the tasks are done. The next tasks are begun before any is yielded."""
        while True:
            self._begin(self._pull(len(self._free)))
            if not self._hands:
                return
            done = self._take(None)
            self._release(done)
            self._begin(self._pull(len(self._free)))
            for hand in done:
                yield hand.outcome()

    def rounds(self, seconds: float) -> Iterator[tuple[list[Outcome[T, R]], list[T]]]:
        """What is done since the last round, and the tasks that are begun when the caller asks for the next round.

        A round comes when a task is done, and after so many seconds at the latest; both of its lists can be empty.
        Until the caller asks for the next round, the results of this one are among those that are `unhandled`.
        """
        done: list[Hand[T, R]] = []
        while True:
            room = len(self._free) + sum(len(hand.results) for hand in done)  # a task that died may be put back
            new = self._pull(room)
            if not (done or new or self._hands):
                return
            yield [hand.outcome() for hand in done], new
            self._release(done)
            self._begin(new)
            done = self._take(seconds) if self._hands else []

    def put_back(self, task: T) -> None:
        """Have this task done again, before those that have not been begun."""
        self._next.append(task)

    def unhandled(self) -> list[R]:
        """The results that were in no round, or in the last: after an error, what would be lost."""
        return [result for hand in [*self._hands.values()] for result in hand.results]

    def in_hand(self) -> list[T]:
        """Return the tasks that were begun, and whose outcome was in no round, or in the last."""
        return [hand.task for hand in [*self._hands.values()]]

    def _pull(self, room: int) -> list[T]:
        return list(islice(self._tasks, max(0, room - len(self._next))))

    def _begin(self, new: Iterable[T]) -> None:
        self._next.extend(new)
        while self._next and self._free:
            hand = Hand(self._function, self._next.popleft(), self._free.pop(), self._done)
            self._hands[hand.slot] = hand
            self._engine.begin(hand)

    def _take(self, seconds: float | None) -> list[Hand[T, R]]:
        """Those that are done, at least one of them; none when so many seconds have passed."""
        taken: list[Hand[T, R]] = []
        with contextlib.suppress(Empty):
            taken.append(self._done.get(timeout=seconds))
            while True:
                taken.append(self._done.get_nowait())
        for hand in taken:
            self._engine.clear(hand.slot)
        return taken

    def _release(self, done: Iterable[Hand[T, R]]) -> None:
        for hand in done:
            del self._hands[hand.slot]
            self._free.append(hand.slot)


class Engine(ABC):
    """Where work is done. Leaving its context ends the workers first: by an exception, within two seconds.

    `stop` and `close` can be called again, and then do nothing.
    """

    workers: int
    """How many tasks can be worked on at the same time by others than this process."""
    slots: int
    """How many tasks it takes in hand: those that are worked on, and a few that wait."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
        self.close()

    def run(self, function: Callable[[T, Progress], R], tasks: Iterable[T]) -> Run[T, R]:
        """The work of `function` on `tasks`, which begins when the Run is iterated over.

        A Run that is left before its end may still have tasks in hand. Nobody hears how they end, and what they tell
        is counted with what the tasks of the next Run tell.
        """
        return Run(self, function, tasks)

    def each(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """`function` of each of `tasks`, as they are done. Raises the Death of one too."""
        for _, result, _ in self.run(call, (partial(function, task) for task in tasks)):
            if isinstance(result, Death):
                raise result
            yield result

    @abstractmethod
    def begin(self, hand: Hand[T, R]) -> None:
        """Have `hand.function` called with `hand.task` and a Progress, and the hand told how that has ended."""

    @abstractmethod
    def clear(self, slot: int) -> None:
        """Forget what the task in this slot has told: it is done."""

    @abstractmethod
    def told(self) -> tuple[int, int]:
        """Samples and bytes over all tasks in hand, as they have told last."""

    @abstractmethod
    def stop(self) -> None:
        """Begin no further task, tell every function to stop, and end the workers, within two seconds."""

    @abstractmethod
    def close(self) -> None:
        """End the workers once they have done what is in hand. Nothing can be begun afterwards."""


def call(task: Callable[[], R], _: Progress) -> R:
    """The result of a task that is a call by itself: a function with its arguments, by functools.partial."""
    return task()
