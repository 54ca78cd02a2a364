"""Inside the processes that an engine starts: a worker, and the fork server, which starts workers.

Imports what every worker needs and nothing else, because each worker that is spawned waits for it. What a task needs
is imported with its function, by the name that the function has in the pickled task.
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
"""Sent to a worker when there are no more tasks."""

NUMBER = struct.Struct("q")
"""What is asked of the fork server, and what it answers. 0, sent with one end of a pipe, asks for a worker that has
this end: the answer is its process ID, or an errno as a negative number. A process ID asks for its exit code."""

UNKNOWN_STATUS = 255
"""The exit code of a process that cannot be waited for, because its parent has died or waits for all by itself."""


def work(descriptor: int, board: Board) -> None:
    """A worker's life: tasks come in by the pipe of this descriptor, answers leave by it, until it is dismissed."""
    with contextlib.suppress(EOFError, ConnectionError), Connection(descriptor) as pipe:  # the coordinator may die
        try:
            threading.Thread(target=_die_with_coordinator, args=(descriptor,), daemon=True).start()
        except RuntimeError as error:  # the limit on threads
            pipe.recv_bytes()
            pipe.send_bytes(pickle.dumps((False, error)))
            return
        while (task := pipe.recv_bytes()) != DISMISSED:
            pipe.send_bytes(_answer(task, board))


def _answer(packed: bytes, board: Board) -> bytes:
    """Whether the function of a task succeeded, and what it has returned or raised; all pickled."""
    try:
        function, task, slot = pickle.loads(packed)  # noqa: S301  it is the coordinator's
        return pickle.dumps((True, function(task, board.slot(slot))))
    except Exception as error:
        explain(error)  # its cause does not cross
        return pickle.dumps((False, error))


def _die_with_coordinator(descriptor: int) -> None:
    """End this process when the pipe's other end is closed: nobody would record what it goes on to write."""
    waiting = select.poll()
    waiting.register(descriptor, 0)  # which asks for no event, and is told of the end all the same
    waiting.poll()
    os._exit(1)


def serve(descriptor: int, board: Board) -> None:
    """The fork server's life: it answers, by the socket of this descriptor, until the other end is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # inherited as ignored, it would leave no exit code to be had
    with contextlib.suppress(ConnectionError), socket.socket(fileno=descriptor) as channel:  # the coordinator may die
        while True:
            question, pipes, _, _ = socket.recv_fds(channel, NUMBER.size, 1)
            if not question:
                return
            [pid] = NUMBER.unpack(question)
            channel.sendall(NUMBER.pack(exit_code(pid) if pid else _start(channel, pipes, board)))


def _start(channel: socket.socket, pipes: list[int], board: Board) -> int:
    """Fork a worker; its process ID, or the negative errno of what hinders that."""
    if not pipes:  # the limit on open files has kept it back
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
    """The exit code of a child that ends, negative for a signal."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return UNKNOWN_STATUS


def run_and_exit(life: Callable[[int, Board], None], descriptor: int, board: Board) -> NoReturn:
    """Live that life and end this process, whatever happens: a copy of another must not go on as that."""
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
