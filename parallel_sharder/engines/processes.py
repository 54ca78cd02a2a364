"""The process engine: an executor whose workers may die.

A coordinator's thread holds a pipe to each worker and waits on all pipes at once. A pipe ends with its worker, so a
death is noticed when it happens, and is the error of the one task that died with it; a fresh worker takes the place.
(The standard pools do not: multiprocessing.Pool loses the task and waits for ever, ProcessPoolExecutor ends every
worker.)

           submit                  pipe                     pipe
    caller ------> waiting tasks ------> worker: fn(*args) ------> the task's Future

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
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from parallel_sharder import limits
from parallel_sharder.engines import Engine, inside
from parallel_sharder.engines.board import Board
from parallel_sharder.engines.starting import Fork, ForkServer, Spawn, Starter
from parallel_sharder.errors import WorkerDiedError

CHUNKS_AHEAD = 2
"""Chunks dealt beyond one for each worker: with none a worker would wait for the coordinator between two chunks, with
many the coordinator's memory would grow with the set."""

GRACE_SECONDS = 1.5
"""What a worker that was told to stop has for its current sample; then it is killed. Two seconds are promised."""

LAST_SECONDS = 0.3
"""What the dispatching thread has to reap workers that it has killed; then it is given up."""

P = ParamSpec("P")
T = TypeVar("T")


def open_engine(workers: int, start_method: str | None) -> Engine:
    """An executor of `workers` processes, started by "forkserver" (the default), "spawn" or "fork".

    Raises WorkerError if there cannot be one.
    """
    slots = workers + CHUNKS_AHEAD
    try:
        pool = WorkerPool(workers, start_method or "forkserver", Board.create(slots))
    except OSError as error:
        raise limits.no_worker(error) from error
    return Engine(pool, inside.write, pool.board, slots)


@dataclass
class _Task:
    future: Future[Any]
    call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


@dataclass(eq=False)
class _Worker:
    """One process, and the task it has in hand."""

    pid: int
    pipe: Connection
    task: _Task | None = None

    def dismiss(self) -> None:
        """Tell it that there are no more tasks."""
        with contextlib.suppress(OSError):  # it has died already
            self.pipe.send_bytes(inside.DISMISSED)


class WorkerPool(Executor):
    """An executor of at most `workers` processes, started when there is work for them.

    `memory` is the descriptor of the board's, which belongs to the pool from now on; `board` is this side's view of it.
    A task whose worker dies fails with WorkerDiedError, which holds the process's exit code; one that finds no worker,
    because none can be started, with WorkerError.
    """

    def __init__(self, workers: int, start_method: str, memory: int) -> None:
        self.board = Board.at(memory)
        self._workers = workers
        self._memory = memory
        self._lock = threading.Lock()
        self._tasks: deque[_Task] = deque()
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
            ForkServer(memory) if start_method == "forkserver"
            else Spawn(memory) if start_method == "spawn"
            else Fork(self.board, self._release)
        )  # fmt: skip

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a worker call `fn`, which it must be able to import, with arguments that can be pickled."""
        future: Future[T] = Future()
        with self._lock:
            if self._closing:
                raise self._failure or RuntimeError("the pool is shut down")
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
                thread.start()
                self._thread = thread
            self._tasks.append(_Task(future, (fn, args, kwargs)))
        self._wake()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers: idle ones at once, busy ones after their task or GRACE_SECONDS after the board says stop.

        An interrupt can leave a lock of a Future taken for ever, and the thread that waits for it with it. So when the
        board says stop, the workers are killed all the same, and the thread ends with this process.
        """
        with self._lock:
            first, self._closing = not self._closing, True
            if cancel_futures:
                while self._tasks:
                    self._tasks.pop().future.cancel()
        if self._thread is None:
            if first:
                self._close()
            return
        self._wake()
        if wait:
            self._thread.join(GRACE_SECONDS + LAST_SECONDS if self.board.stopped else None)
            if self._thread.is_alive():
                self.kill()
                self._starter.close()
            self._thread = None

    def kill(self) -> None:
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
        """Hand out tasks, take in answers and deaths, until the pool closes and all is answered."""
        deadline = float("inf")
        while True:
            self._hand_out()
            with self._lock:
                if self._closing and not self._tasks and len(self._idle) == len(self._crew):
                    break
            if self.board.stopped and deadline == float("inf"):
                deadline = time.monotonic() + GRACE_SECONDS
            if time.monotonic() > deadline:
                self.kill()
            # No time limit while all is well; a shutdown wakes this up.
            ready = self._selector.select(0.1 if self.board.stopped else None)
            for key, _ in ready:
                if key.data is None:
                    self._wake_reader.recv_bytes()
                else:
                    self._take_in(key.data)
        for worker in self._crew:
            worker.dismiss()

    def _fail(self, error: Exception) -> None:
        """Give up: this error is the answer to every task."""
        with self._lock:
            self._closing, self._failure = True, error
            tasks = [*self._tasks, *(worker.task for worker in self._crew if worker.task)]
            self._tasks.clear()
        self.kill()
        for task in tasks:
            with contextlib.suppress(InvalidStateError):  # it is cancelled
                task.future.set_exception(error)

    def _hand_out(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    return
                if not self._idle and len(self._crew) == self._workers:
                    return
                task = self._tasks.popleft()
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                call = pickle.dumps(task.call)
                worker = self._idle.pop() if self._idle else self._start_worker()
            except Exception as error:
                task.future.set_exception(limits.no_worker(error) if isinstance(error, OSError) else error)
                continue
            worker.task = task
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has died, as select will say
                worker.pipe.send_bytes(call)

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

    def _take_in(self, worker: _Worker) -> None:
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
            succeeded, answer = False, WorkerDiedError(self._starter.wait(worker.pid))
        except Exception as error:  # an answer that cannot be unpickled
            succeeded, answer = False, error
        task, worker.task = worker.task, None
        if worker in self._crew:
            self._idle.append(worker)
        if task is None:
            return
        if succeeded:
            task.future.set_result(answer)
        else:
            task.future.set_exception(answer)
