"""What runs in a worker process, and in the fork server that starts worker processes.

A worker gets pickled tasks by a pipe, calls their functions, and sends pickled answers back. This module imports only
what every worker needs, because each spawned worker waits for these imports. The module of a task's function is
imported when the task is unpickled. The process ends when the coordinator dismisses it, or has ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import select
import signal
import socket
import struct
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn

from parallel_sharder.engines.board import Board
from parallel_sharder.engines.limits import explain
from parallel_sharder.errors import NO_MEMORY_STATUS

DISMISSED = b""
"""The message to a worker that there are no more tasks."""

NUMBER = struct.Struct("q")
"""A question to the fork server, or its answer. 0, sent with one end of a pipe, asks for a worker with this end, and
the answer is the worker's process ID, or an errno as a negative number. A process ID asks for its exit code."""

UNKNOWN_STATUS = 255
"""The exit code of a process that cannot be waited for: its parent has died, or the system has reaped it."""


def work(descriptor: int, board: Board) -> None:
    """Be a worker: get tasks and send answers by the pipe of this descriptor, until the worker is dismissed."""
    with contextlib.suppress(EOFError, ConnectionError), Connection(descriptor) as pipe:  # the coordinator may die
        try:
            threading.Thread(target=_die_with_coordinator, args=(descriptor,), daemon=True).start()
        except RuntimeError as error:  # the limit on threads is reached
            pipe.recv_bytes()
            pipe.send_bytes(pickle.dumps((False, error)))
            return
        while (task := pipe.recv_bytes()) != DISMISSED:
            pipe.send_bytes(_answer(task, board))


def _answer(packed: bytes, board: Board) -> bytes:
    """Return, pickled, whether the function of a task has succeeded, and what it has returned or raised."""
    try:
        function, task, slot = pickle.loads(packed)  # noqa: S301  the coordinator has sent it
        return pickle.dumps((True, function(task, board.slot(slot))))
    except Exception as error:
        explain(error)  # pickle drops the cause
        return pickle.dumps((False, error))


def _die_with_coordinator(descriptor: int) -> None:
    """End this process when the pipe's other end is closed, because nobody would record what it writes then."""
    waiting = select.poll()
    waiting.register(descriptor, 0)  # this asks for no event, but the end is reported all the same
    waiting.poll()
    os._exit(1)


def serve(descriptor: int, board: Board) -> None:
    """Be a fork server: answer questions by the socket of this descriptor, until its other end is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if SIGCHLD were ignored, no exit code could be had
    with contextlib.suppress(ConnectionError), socket.socket(fileno=descriptor) as channel:  # the coordinator may die
        while True:
            question, pipes, _, _ = socket.recv_fds(channel, NUMBER.size, 1)
            if not question:
                return
            [pid] = NUMBER.unpack(question)
            channel.sendall(NUMBER.pack(exit_code(pid) if pid else _start(channel, pipes, board)))


def _start(channel: socket.socket, pipes: list[int], board: Board) -> int:
    """Fork a worker, and return its process ID, or the negative errno if that fails."""
    if not pipes:  # the limit on open files is reached, and the pipe was not received
        return -errno.EMFILE
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or errno.EAGAIN)
    if pid == 0:
        channel.close()
        run_and_exit(work, pipes[0], board)
    os.close(pipes[0])
    return pid


def exit_code(pid: int) -> int:
    """Wait for a child to end, and return its exit code, negative for a signal."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return UNKNOWN_STATUS


def run_and_exit(life: Callable[[int, Board], None], descriptor: int, board: Board) -> NoReturn:
    """Call `life`, and end this process whatever happens: a fork must not go on as the process that it copies."""
    status = 1
    try:
        life(descriptor, board)
        status = 0
    except MemoryError:
        status = NO_MEMORY_STATUS
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
