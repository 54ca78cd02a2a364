"""The process engine: an executor whose workers may die.

A coordinator's thread holds a pipe to each worker and waits on all pipes and all processes at once, so a death is
noticed when it happens, and is the error of the one task that died with it; a fresh worker takes the place. (The
standard pools do not: multiprocessing.Pool loses the task and waits for ever, ProcessPoolExecutor ends every worker.)

           submit                  pipe                     pipe
    caller ------> waiting tasks ------> worker: fn(*args) ------> the task's Future

Works with every start method. The default is forkserver, or spawn where that is missing: fork copies a coordinator
with threads and locks in unknown states.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import selectors
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

from parallel_sharder.board import Board
from parallel_sharder.engines import Engine
from parallel_sharder.errors import WorkerDiedError
from parallel_sharder.model import Chunk, ShardRecord
from parallel_sharder.worker import write_chunk

CHUNKS_AHEAD = 2
"""Chunks dealt beyond one for each worker: with none a worker would wait for the coordinator between two chunks, with
many the coordinator's memory would grow with the set."""

GRACE_SECONDS = 1.5
"""What a worker that was told to stop has for its current sample; then it is killed. Two seconds are promised."""

LAST_SECONDS = 0.3
"""What the dispatching thread has to reap workers that it has killed; then it is given up."""

_board: Board

P = ParamSpec("P")
T = TypeVar("T")


def open_engine(workers: int, start_method: str | None) -> Engine:
    """An executor of `workers` processes, started by `start_method` or the safe default."""
    context = multiprocessing.get_context(start_method or default_start_method())
    if context.get_start_method() == "forkserver":
        # Imported once in the server, not once in each worker. It is a hint: without it, workers start slower.
        multiprocessing.set_forkserver_preload(["parallel_sharder.engines.processes"])
    slots = workers + CHUNKS_AHEAD
    memory = Board.shared(context, slots)
    board = Board(memory)
    return Engine(WorkerPool(workers, context, memory, board), _write, board, slots)


def default_start_method() -> str:
    """The safest there is: "forkserver", or "spawn" where that is missing."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


@dataclass
class _Task:
    future: Future[Any]
    call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


@dataclass(eq=False)
class _Worker:
    """One process, and the task it has in hand."""

    process: BaseProcess
    pipe: Connection
    task: _Task | None = None

    def dismiss(self) -> None:
        """Tell it that there are no more tasks. (Closing the pipe would not do: forked workers inherit both ends.)"""
        with contextlib.suppress(OSError):  # it has died already
            self.pipe.send(None)


@dataclass
class WorkerPool(Executor):
    """An executor of at most `workers` processes, started when there is work for them.

    `memory` is the board's, which workers get; `board` is this side's view of it. A task whose worker dies fails with
    WorkerDiedError, which holds the process's exit code.
    """

    workers: int
    context: BaseContext
    memory: Any
    board: Board
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _tasks: deque[_Task] = field(default_factory=deque)
    _crew: set[_Worker] = field(default_factory=set)
    _idle: list[_Worker] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _closing: bool = False
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._wake_reader, self._wake_writer = multiprocessing.Pipe(duplex=False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a worker call `fn`, which it must be able to import, with arguments that can be pickled."""
        future: Future[T] = Future()
        with self._lock:
            if self._closing:
                raise RuntimeError("the pool is shut down")
            self._tasks.append(_Task(future, (fn, args, kwargs)))
            if self._thread is None:
                self._thread = threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)
                self._thread.start()
        self._wake()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers: idle ones at once, busy ones after their task or GRACE_SECONDS after the board says stop.

        An interrupt can leave a lock of a Future taken for ever, and the thread that waits for it with it. So when the
        board says stop, the workers are killed all the same, and the thread ends with this process.
        """
        with self._lock:
            self._closing = True
            if cancel_futures:
                while self._tasks:
                    self._tasks.pop().future.cancel()
        self._wake()
        if wait and self._thread is not None:
            self._thread.join(GRACE_SECONDS + LAST_SECONDS if self.board.stopped else None)
            if self._thread.is_alive():
                self.kill()
            self._thread = None

    def kill(self) -> None:
        """End every worker at once, whatever it does."""
        for worker in list(self._crew):
            with contextlib.suppress(ValueError):  # reaped meanwhile
                worker.process.kill()

    def _wake(self) -> None:
        self._wake_writer.send_bytes(b"")

    def _dispatch(self) -> None:
        """The thread: hands out tasks, takes in answers and deaths, until the pool closes and all is answered."""
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
            for worker in {key.data for key, _ in ready}:  # once, if its answer and its death come together
                if worker is None:
                    self._wake_reader.recv_bytes()
                else:
                    self._take_in(worker)
        for worker in self._crew:
            worker.dismiss()
        for worker in self._crew:
            worker.process.join()
            worker.process.close()

    def _hand_out(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    return
                if not self._idle and len(self._crew) == self.workers:
                    return
                task = self._tasks.popleft()
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                worker = self._idle.pop() if self._idle else self._start_worker()
            except Exception as error:
                task.future.set_exception(error)
                continue
            worker.task = task
            try:
                worker.pipe.send(task.call)
            except (BrokenPipeError, ConnectionResetError):
                continue  # it has died; its sentinel says so
            except Exception as error:  # it cannot be pickled, and the worker is still idle
                worker.task = None
                self._idle.append(worker)
                task.future.set_exception(error)

    def _start_worker(self) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        create = self.context.Process  # type: ignore[attr-defined]
        process = create(target=_work, args=(theirs, self.memory), daemon=True)
        # A worker inherits the mask of the thread that starts it: signals that reach the whole group, as Ctrl-C does,
        # never reach workers, not even while they start; the coordinator alone decides what they mean. The resource
        # tracker must run before, because starting it lifts the mask.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._crew.add(worker)
        for end in (ours, process.sentinel):
            self._selector.register(end, selectors.EVENT_READ, worker)
        return worker

    def _take_in(self, worker: _Worker) -> None:
        """The answer of a worker, or its death."""
        try:
            if not worker.pipe.poll() and worker.process.pid is not None:
                # Its sentinel alone is ready: the fork server has died, and it lives on, unknown to multiprocessing.
                os.kill(worker.process.pid, signal.SIGKILL)
            succeeded, answer = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            answer = WorkerDiedError(worker.process.exitcode or 0)
            succeeded = False
            self._crew.remove(worker)
            if worker in self._idle:
                self._idle.remove(worker)
            for end in (worker.pipe, worker.process.sentinel):
                self._selector.unregister(end)
            worker.pipe.close()
            worker.process.close()
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


def _work(pipe: Connection, memory: Any) -> None:
    """A worker's life: tasks in, answers out, until it is dismissed."""
    global _board
    _board = Board(memory)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):  # the coordinator has died
        while (task := pipe.recv()) is not None:
            fn, args, kwargs = task
            try:
                answer = True, fn(*args, **kwargs)
            except Exception as error:
                answer = False, error
            pipe.send(answer)


def _die_with_parent() -> None:
    """End this process when the coordinator has died, however: nobody would record what it goes on to write."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _write(chunk: Chunk, slot: int) -> ShardRecord:
    return write_chunk(chunk, slot, _board)
