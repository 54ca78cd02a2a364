"""The engine of processes: its workers are processes of this host, and may die.

A thread of the coordinator holds a pipe to each worker and waits on all pipes at once. A pipe ends with its worker, so
a death is noticed when it happens. It is the outcome of the one task that the worker had, and a new worker replaces
the dead one. (The standard pools do not: multiprocessing.Pool loses the task and waits for ever, ProcessPoolExecutor
ends all workers.)

            begin                  pipe                            pipe
    caller ------> waiting hands ------> worker: function(task, ...) ------> the hand

It works with each start method (see starting.py). The default is forkserver, because fork copies a coordinator with
threads and with locks in unknown states.
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
"""The tasks in hand beyond one for each worker. With none, a worker waits for the coordinator between two tasks; with
many, the coordinator's memory grows with the set."""

GRACE_SECONDS = 1.5
"""The time for its current sample that a worker has when it is told to stop; then it is killed. 2 s are promised."""

LAST_SECONDS = 0.3
"""The time that the dispatching thread has to reap the workers that it has killed; then it is given up."""


def open_engine(workers: int, start_method: str | None = None, preload: str = "") -> Processes:
    """Return an engine of `workers` processes, started by "forkserver" (the default), "spawn" or "fork".

    A fork server imports the module `preload` once for all workers. Raises WorkerError if the engine cannot be made.
    """
    try:
        memory = Board.create(workers + TASKS_AHEAD)
        return Processes(workers, start_method or "forkserver", preload, memory)
    except OSError as error:
        raise limits.unstartable(error) from error


@dataclass(eq=False)
class _Worker:
    """A worker process, the pipe to it, and the task that it has in hand."""

    pid: int
    pipe: Connection
    hand: Hand[Any, Any] | None = None

    def dismiss(self) -> None:
        """Tell the worker that there are no more tasks."""
        with contextlib.suppress(OSError):  # it has died already
            self.pipe.send_bytes(worker_process.DISMISSED)


class Processes(Engine):
    """Runs tasks in at most `workers` processes, which are started when there is work for them.

    `memory` is the descriptor of the board's file, which belongs to the engine from now on. If no worker can be started
    for a task, the task fails with WorkerError. The caller and the dispatching thread share no lock, because an
    interrupt could leave it locked for ever. They share a deque and a few flags, and only one of them sets each flag.
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
        """As Engine says. Raises the error that has ended the dispatching thread, if there is one."""
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise RuntimeError("the engine is closed")
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
        """As Engine says: idle workers end at once, busy workers after their task, or GRACE_SECONDS after `stop`.

        If the dispatching thread has not ended them by then, this thread kills them, and the dispatching thread is left
        to end with this process.
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
        """Kill all workers at once, whatever they do."""
        for worker in list(self._crew):
            with contextlib.suppress(ProcessLookupError):  # the worker has ended, and has been reaped
                os.kill(worker.pid, signal.SIGKILL)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # the thread has ended
            self._wake_writer.send_bytes(b"")

    def _close(self) -> None:
        """Close what this process has open for the workers, after they have ended."""
        self._starter.close()
        self._release()

    def _run(self) -> None:
        """Run the dispatching thread: `_dispatch`, and what must be done however `_dispatch` ends."""
        # A worker inherits the signal mask of the thread that starts it. So signals to the whole process group, such as
        # Ctrl-C, never reach a worker, not even while it starts; only the coordinator decides what they mean.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        try:
            self._dispatch()
        except Exception as error:  # memory is short, for example; no caller must wait for ever
            self._fail(error)
        while self._crew:
            self._starter.wait(self._crew.pop().pid)
        self._close()

    def _dispatch(self) -> None:
        """Hand out tasks, and receive answers and deaths, until the engine closes and all tasks are answered."""
        deadline = float("inf")
        while True:
            self._hand_out()
            if self._closing and not self._waiting and len(self._idle) == len(self._crew):
                break
            if self._board.stopped and deadline == float("inf"):
                deadline = time.monotonic() + GRACE_SECONDS
            if time.monotonic() > deadline:
                self._kill()
            # Without `stop` there is no time limit: `begin` and `close` wake this thread.
            ready = self._selector.select(0.1 if self._board.stopped else None)
            for key, _ in ready:
                if key.data is None:
                    self._wake_reader.recv_bytes()
                else:
                    self._receive(key.data)
        for worker in self._crew:
            worker.dismiss()

    def _fail(self, error: Exception) -> None:
        """Give up: kill the workers, and answer every task with this error."""
        self._failure = error
        self._kill()
        for worker in self._crew:
            if worker.hand is not None:
                worker.hand.fail(error)
        self._fail_waiting(error)

    def _fail_waiting(self, error: Exception) -> None:
        with contextlib.suppress(IndexError):  # both threads may do this at once, and each hand is taken by one
            while True:
                self._waiting.popleft().fail(error)

    def _hand_out(self) -> None:
        while self._waiting and (self._idle or len(self._crew) < self.workers):
            try:
                hand = self._waiting.popleft()
            except IndexError:  # `stop` has cleared the deque meanwhile
                return
            try:
                packed = pickle.dumps((hand.function, hand.task, hand.slot))
                worker = self._idle.pop() if self._idle else self._start_worker()
            except Exception as error:
                hand.fail(limits.unstartable(error) if isinstance(error, OSError) else error)
                continue
            worker.hand = hand
            hand.begins()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # select will report the death
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
        """Close the coordinator's ends of all pipes, and the board's file.

        A forked worker does so too: workers notice that the coordinator has ended when no process has these ends open.
        """
        for end in (*self._pipes, self._wake_reader, self._wake_writer):
            end.close()
        self._selector.close()
        os.close(self._memory)

    def _receive(self, worker: _Worker) -> None:
        """Receive the answer of a worker, or its death, and hand it on."""
        try:
            succeeded, answer = pickle.loads(worker.pipe.recv_bytes())  # noqa: S301  our worker has sent it
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
