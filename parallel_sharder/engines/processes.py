"""The process engine: workers are processes of this host, and may die.

A thread of the coordinator holds a pipe to each worker and waits on all pipes at once. A pipe ends with its worker, so
a death is noticed when it happens, and is the outcome of the one task that died with it; a fresh worker replaces it.
(The standard pools are otherwise: multiprocessing.Pool loses the task and waits for ever, ProcessPoolExecutor ends
every worker.)

            begin                  pipe                            pipe
    caller ------> waiting hands ------> worker: function(task, ...) ------> the hand

Works with every start method (see starting). The default is forkserver: fork copies a coordinator with threads and
locks in unknown states.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import selectors
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from parallel_sharder.engines import limits, worker_process
from parallel_sharder.engines.board import Board
from parallel_sharder.engines.engine import Engine, Hand
from parallel_sharder.engines.starting import Fork, ForkServer, Spawn, Starter
from parallel_sharder.errors import Death

TASKS_AHEAD = 2
"""Tasks in hand beyond one for each worker: with none a worker would wait for the coordinator between two tasks, with
many the coordinator's memory would grow with the set."""

GRACE_SECONDS = 1.5
"""What a worker that was told to stop has for its current sample; then it is killed. Two seconds are promised."""

LAST_SECONDS = 0.3
"""What the dispatching thread has to reap workers that it has killed; then it is given up."""


def open_engine(workers: int, start_method: str | None = None, preload: str = "") -> Processes:
    """An engine of `workers` processes, started by "forkserver" (the default), "spawn" or "fork".

    The fork server imports the module `preload` for all of them. Raises WorkerError if there cannot be an engine.
    """
    try:
        memory = Board.create(workers + TASKS_AHEAD)
        return Processes(workers, start_method or "forkserver", preload, memory)
    except OSError as error:
        raise limits.unstartable(error) from error


@dataclass(eq=False)
class _Worker:
    """One process, and the task that it has in hand."""

    pid: int
    pipe: Connection
    hand: Hand[Any, Any] | None = None

    def dismiss(self) -> None:
        """Tell it that there are no more tasks."""
        with contextlib.suppress(OSError):  # it has died already
            self.pipe.send_bytes(worker_process.DISMISSED)


class Processes(Engine):
    """At most `workers` processes, started when there is work for them.

    `memory` is the descriptor of the board's, which belongs to the engine from now on. A task that finds no worker,
    because none can be started, fails with WorkerError. The caller and the dispatching thread share no lock, which an
    interrupt could leave taken for ever: a deque and a few flags, each set by one of them, are enough.
    """

    def __init__(self, workers: int, start_method: str, preload: str, memory: int) -> None:
        self.workers, self.slots = workers, workers + TASKS_AHEAD
        self._board = Board.at(memory)
        self._memory = memory
        self._waiting: deque[Hand[Any, Any]] = deque()
        self._crew: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._pipes: set[Connection] = set()
        self._closing = False
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = multiprocessing.Pipe(duplex=False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._starter: Starter = (
            ForkServer(memory, preload) if start_method == "forkserver"
            else Spawn(memory) if start_method == "spawn"
            else Fork(self._board, self._release)
        )  # fmt: skip

    def begin(self, hand: Hand[Any, Any]) -> None:
        """As Engine says. Raises what has ended the dispatching thread, if something has."""
        if self._failure is not None:
            raise self._failure
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
            thread.start()
            self._thread = thread
        self._waiting.append(hand)
        if self._failure is not None:  # the thread may not have seen this one
            self._fail_waiting(self._failure)
        self._wake()

    def clear(self, slot: int) -> None:
        """As Engine says."""
        self._board.slot(slot).tell(0, 0)

    def told(self) -> tuple[int, int]:
        """As Engine says."""
        return self._board.told()

    def stop(self) -> None:
        """As Engine says."""
        self._board.stop()
        self._waiting.clear()
        self.close()

    def close(self) -> None:
        """As Engine says: idle workers end at once, busy ones after their task, or GRACE_SECONDS after `stop`.

        If the thread has not ended them by then, they are killed all the same, and the thread ends with this process.
        """
        first, self._closing = not self._closing, True
        if self._thread is None:
            if first:
                self._close()
            return
        self._wake()
        self._thread.join(GRACE_SECONDS + LAST_SECONDS if self._board.stopped else None)
        if self._thread.is_alive():
            self._kill()
            self._starter.close()
        self._thread = None

    def _kill(self) -> None:
        """End every worker at once, whatever it does."""
        for worker in list(self._crew):
            with contextlib.suppress(ProcessLookupError):  # it is dead, and who has started it knows
                os.kill(worker.pid, signal.SIGKILL)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # the thread has ended
            self._wake_writer.send_bytes(b"")

    def _close(self) -> None:
        """Close what this process has open for the workers, once they have ended."""
        self._starter.close()
        self._release()

    def _run(self) -> None:
        """The thread: `_dispatch`, and what must be done however that ends."""
        # A worker inherits the mask of the thread that starts it: signals that reach the whole group, as Ctrl-C does,
        # never reach workers, not even while they start; the coordinator alone decides what they mean.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        try:
            self._dispatch()
        except Exception as error:  # without memory, say; nobody must wait for an answer for ever
            self._fail(error)
        while self._crew:
            self._starter.wait(self._crew.pop().pid)
        self._close()

    def _dispatch(self) -> None:
        """Hand out tasks, receive answers and deaths, until the engine closes and all is answered."""
        deadline = float("inf")
        while True:
            self._hand_out()
            if self._closing and not self._waiting and len(self._idle) == len(self._crew):
                break
            if self._board.stopped and deadline == float("inf"):
                deadline = time.monotonic() + GRACE_SECONDS
            if time.monotonic() > deadline:
                self._kill()
            # No time limit while all is well; whoever closes the engine wakes this up.
            ready = self._selector.select(0.1 if self._board.stopped else None)
            for key, _ in ready:
                if key.data is None:
                    self._wake_reader.recv_bytes()
                else:
                    self._receive(key.data)
        for worker in self._crew:
            worker.dismiss()

    def _fail(self, error: Exception) -> None:
        """Give up: this error is the answer to every task."""
        self._failure = error
        self._kill()
        for worker in self._crew:
            if worker.hand is not None:
                worker.hand.fail(error)
        self._fail_waiting(error)

    def _fail_waiting(self, error: Exception) -> None:
        with contextlib.suppress(IndexError):  # both threads may be here, and each hand is taken by one of them
            while True:
                self._waiting.popleft().fail(error)

    def _hand_out(self) -> None:
        while self._waiting and (self._idle or len(self._crew) < self.workers):
            try:
                hand = self._waiting.popleft()
            except IndexError:  # `stop` has come in between
                return
            try:
                packed = pickle.dumps((hand.function, hand.task, hand.slot))
                worker = self._idle.pop() if self._idle else self._start_worker()
            except Exception as error:
                hand.fail(limits.unstartable(error) if isinstance(error, OSError) else error)
                continue
            worker.hand = hand
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has died, as select will say
                worker.pipe.send_bytes(packed)

    def _start_worker(self) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        self._pipes.add(ours)
        with theirs:
            worker = _Worker(self._starter.start(theirs), ours)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        self._crew.add(worker)
        return worker

    def _release(self) -> None:
        """Close the coordinator's ends of all pipes, and the board's file. In a forked worker too: that the other end
        is closed is how a worker sees that the coordinator has ended.
        """
        for end in (*self._pipes, self._wake_reader, self._wake_writer):
            end.close()
        self._selector.close()
        os.close(self._memory)

    def _receive(self, worker: _Worker) -> None:
        """The answer of a worker, or its death."""
        try:
            succeeded, answer = pickle.loads(worker.pipe.recv_bytes())  # noqa: S301  it is the worker's
        except (EOFError, OSError):
            self._crew.remove(worker)
            if worker in self._idle:
                self._idle.remove(worker)
            self._selector.unregister(worker.pipe)
            self._pipes.remove(worker.pipe)
            worker.pipe.close()
            succeeded, answer = False, Death.of_process(self._starter.wait(worker.pid))
        except Exception as error:  # an answer that cannot be unpickled
            succeeded, answer = False, error
        hand, worker.hand = worker.hand, None
        if worker in self._crew:
            self._idle.append(worker)
        if hand is None:
            return
        if succeeded:
            hand.succeed(answer)
        else:
            hand.fail(Death.without_memory(answer) if isinstance(answer, MemoryError) else answer)
