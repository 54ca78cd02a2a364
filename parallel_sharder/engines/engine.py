"""The engine's interface: tasks come in, and outcomes are returned, wherever the work is done.

            run               begin               begins, then succeed or fail
    caller ------> Work: slots ------> engine: any worker -------------> Work ------> Outcome

A Work keeps a bounded number of tasks in hand, each in a slot. For each Hand that `begin` gets, an engine calls
`begins`, the function on a worker, and then `succeed` or `fail`, once and from any thread. It also carries what
functions tell by their Progress. Functions and tasks are frozen values, and a function has a name that can be imported;
so both can be sent to another process or host. An engine of other hosts calls a Check there before a host's first task.
An engine knows neither what the tasks are nor which functions exist.
"""

from __future__ import annotations

import contextlib
import time
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

Check = Callable[[], str]
"""Returns why a host must get no task, with the remedy, in sentences; "" if nothing is wrong. It can be pickled."""


class Where(NamedTuple):
    """Where and when a task was done: the host ("" is this one), and the task's slot.

    `began` and `ended` are in seconds since 1970 by this host's clock; a task that no worker has begun has the same
    time in both.
    """

    host: str
    slot: int
    began: float = 0.0
    ended: float = 0.0


class Outcome(NamedTuple, Generic[T, R]):
    """A task, the result of its function or the Death of its worker, and where the task was done."""

    task: T
    result: R | Death
    where: Where


class Hand(Generic[T, R]):
    """A task that an engine has in hand. The engine calls `begins` when a worker has it, then `succeed` or `fail`.

    These two are called once, from any thread; `begins` again if the engine has to begin anew.

    `check`, if there is one, is called on a host before its first task.
    """

    def __init__(
        self,
        function: Callable[[T, Progress], R],
        task: T,
        slot: int,
        done: SimpleQueue[Hand[T, R]],
        check: Check | None = None,
    ) -> None:
        self.function, self.task, self.slot, self.check = function, task, slot, check
        self._done = done
        self._host = ""
        self._results: list[R] = []
        self._error: BaseException | None = None
        self._began = self._ended = 0.0

    def begins(self) -> None:
        """Note that a worker begins the task now."""
        self._began = time.time()

    def succeed(self, result: R, host: str = "") -> None:
        """Take the result that the function has returned on this host."""
        self._host = host
        self._ended = time.time()
        self._results.append(result)
        self._done.put(self)

    def fail(self, error: BaseException, host: str = "") -> None:
        """Take the error that the function has raised, the worker's Death, or what keeps the engine from going on."""
        self._host = host
        self._ended = time.time()
        self._error = error
        self._done.put(self)

    @property
    def results(self) -> Sequence[R]:
        """The result of the function, or nothing."""
        return self._results

    def outcome(self) -> Outcome[T, R]:
        """Return the outcome of a task that is done. Raises the function's error."""
        if self._error is not None and not isinstance(self._error, Death):
            raise self._error
        result = self._results[0] if self._error is None else self._error
        return Outcome(self.task, result, Where(self._host, self.slot, self._began or self._ended, self._ended))


class Work(Generic[T, R]):
    """The work of one function on tasks; at most `engine.slots` tasks are in hand at a time.

    The caller iterates either over the Work or over its `rounds`. Both raise the function's error. `engine.slots` can
    change meanwhile: where it becomes smaller, no task begins until enough are done.
    """

    def __init__(
        self, engine: Engine, function: Callable[[T, Progress], R], tasks: Iterable[T], check: Check | None = None
    ) -> None:
        self._engine = engine
        self._function = function
        self._check = check
        self._tasks = iter(tasks)
        self._next: deque[T] = deque()
        self._free: list[int] = []
        self._hands: dict[int, Hand[T, R]] = {}
        # concurrent.futures.wait would serve too. But it looks at every task each time, which costs milliseconds a task
        # with a thousand workers; and it takes locks, which an interrupt at the wrong moment leaves locked for ever.
        self._done: SimpleQueue[Hand[T, R]] = SimpleQueue()

    def __iter__(self) -> Iterator[Outcome[T, R]]:
        """Yield the outcomes in the order in which the tasks are done. Before each, free slots get the next tasks."""
        while True:
            self._begin(self._pull(self._room))
            if not self._hands:
                return
            done = self._take(None)
            self._release(done)
            self._begin(self._pull(self._room))
            for hand in done:
                yield hand.outcome()

    def rounds(self, seconds: float) -> Iterator[tuple[list[Outcome[T, R]], list[T]]]:
        """Yield the outcomes since the last round, and the tasks that begin when the caller asks for the next round.

        A round comes when a task is done, or after this number of seconds; both of its lists can be empty. Until the
        caller asks for the next round, the results of this round are `unhandled`.
        """
        done: list[Hand[T, R]] = []
        while True:
            room = self._room + sum(len(hand.results) for hand in done)  # a dead worker's task may be put back
            new = self._pull(room)
            if not (done or new or self._hands):
                return
            yield [hand.outcome() for hand in done], new
            self._release(done)
            self._begin(new)
            done = self._take(seconds) if self._hands else []

    def put_back(self, task: T) -> None:
        """Have this task done again, before tasks that have not begun."""
        self._next.append(task)

    def unhandled(self) -> list[R]:
        """Return the results that were in no round or in the last one: after an error they would be lost."""
        return [result for hand in [*self._hands.values()] for result in hand.results]

    def in_hand(self) -> list[T]:
        """Return the tasks that were begun, and whose outcome was in no round, or in the last."""
        return [hand.task for hand in [*self._hands.values()]]

    @property
    def _room(self) -> int:
        """How many tasks can begin; negative if the engine has fewer slots than tasks in hand."""
        return self._engine.slots - len(self._hands)

    def _pull(self, room: int) -> list[T]:
        return list(islice(self._tasks, max(0, room - len(self._next))))

    def _begin(self, new: Iterable[T]) -> None:
        self._next.extend(new)
        while self._next and self._room > 0:
            slot = self._free.pop() if self._free else len(self._hands)  # none is free: those up to here are in hand
            hand = Hand(self._function, self._next.popleft(), slot, self._done, self._check)
            self._hands[hand.slot] = hand
            self._engine.begin(hand)

    def _take(self, seconds: float | None) -> list[Hand[T, R]]:
        """Wait for a task that is done, and return all that are; return none after this number of seconds."""
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
    """What does the work. As a context manager it ends the workers on exit: after an exception, within `stop`'s time.

    A second call of `stop` or `close` does nothing.
    """

    name = ""
    """The cluster on which tasks are done, for people; "" if this host does them."""
    workers: int
    """How many tasks run at once in other processes; 0 if this process does the work."""
    slots: int
    """The number of tasks in hand: those that are worked on, and a few that wait; at least 1. It can change."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
        self.close()

    def run(self, function: Callable[[T, Progress], R], tasks: Iterable[T], check: Check | None = None) -> Work[T, R]:
        """Return the work of `function` on `tasks`, which begins when the caller iterates over the Work.

        An engine of other hosts calls `check` once in each worker process, before its first task. A host that it
        refuses gets no task. Engines of this host do not call it.

        A Work that the caller leaves before its end may still have tasks in hand. Their outcomes are dropped, and what
        they tell is added to what the tasks of the next Work tell.
        """
        return Work(self, function, tasks, check)

    def each(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the results of `function` for `tasks`, as they are done. Raises its errors, and Deaths too."""
        for _, result, _ in self.run(call, (partial(function, task) for task in tasks)):
            if isinstance(result, Death):
                raise result
            yield result

    @abstractmethod
    def begin(self, hand: Hand[T, R]) -> None:
        """Have `hand.function` called with `hand.task` and a Progress, and then `hand.succeed` or `hand.fail`."""

    @abstractmethod
    def clear(self, slot: int) -> None:
        """Forget what the task in this slot has told, because it is done."""

    @abstractmethod
    def told(self) -> tuple[int, int]:
        """Return the sums of samples and of bytes that the tasks in hand have told last."""

    def news(self) -> list[str]:
        """Return the sentences that people should read, and that no earlier call has returned."""
        return []

    @abstractmethod
    def stop(self) -> None:
        """Begin no further task, tell all functions to stop, and end the workers: within two seconds on this host.

        On a cluster, all that was submitted is cancelled within 15 seconds.
        """

    @abstractmethod
    def close(self) -> None:
        """End the workers once the tasks in hand are done. No task can begin afterwards."""


def call(task: Callable[[], R], _: Progress) -> R:
    """Return the result of a task that is a call: a function with its arguments, made by functools.partial."""
    return task()
