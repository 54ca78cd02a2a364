"""Starting workers, by fork, by spawn, or through a fork server. Each gets one end of a pipe, and the board.

multiprocessing starts processes too, but does more than workers need, and each of these things can fail: it imports the
caller's `__main__` again, which a script without a guard and code from standard input do not survive; it puts the
working folder first in the import path, so that any copy.py there is run; it makes a socket in TMPDIR, whose path may
be too long; and it refuses to start anything from a daemonic process.

The methods differ in what a worker is a copy of. fork: of this process, locks of other threads included. spawn: of
nothing; it imports all it needs. forkserver: of a server that has imported what most tasks need, and done nothing else.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Protocol

from parallel_sharder.engines import worker_process
from parallel_sharder.engines.board import Board
from parallel_sharder.errors import Death, WorkerError


class Starter(Protocol):
    """One way to start workers."""

    def start(self, pipe: Connection) -> int:
        """The process ID of a new worker, which has this end of a pipe. Raises OSError if there can be none."""

    def wait(self, pid: int) -> int:
        """The exit code of a worker that ends, negative for a signal."""

    def close(self) -> None:
        """End what is left besides workers."""


class Fork:
    """Workers are copies of this process. `release()` closes, in the copy, what belongs to other workers."""

    def __init__(self, board: Board, release: Callable[[], None]) -> None:
        self._board = board
        self._release = release

    def start(self, pipe: Connection) -> int:
        """As Starter says."""
        pid = os.fork()
        if pid == 0:
            worker_process.run_and_exit(self._live, pipe.fileno(), self._board)
        return pid

    def _live(self, descriptor: int, board: Board) -> None:
        self._release()
        sys.path[:] = import_path()
        worker_process.work(descriptor, board)

    def wait(self, pid: int) -> int:
        """As Starter says."""
        return worker_process.exit_code(pid)

    def close(self) -> None:
        """As Starter says."""


class Spawn:
    """Workers are processes of their own from the beginning. `board` is the descriptor of theirs."""

    def __init__(self, board: int) -> None:
        self._board = board
        self._workers: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, pipe: Connection) -> int:
        """As Starter says."""
        worker = _run_bootstrap("spawn", "", pipe.fileno(), self._board)
        self._workers[worker.pid] = worker
        return worker.pid

    def wait(self, pid: int) -> int:
        """As Starter says."""
        return self._workers.pop(pid).wait()

    def close(self) -> None:
        """As Starter says."""


class ForkServer:
    """Workers are copies of a server, which is started with the first of them, and again if it has died.

    The server imports the module `preload` first, if one is named.
    """

    def __init__(self, board: int, preload: str) -> None:
        self._board = board
        self._preload = preload
        self._server: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def start(self, pipe: Connection) -> int:
        """As Starter says."""
        if self._server is None or self._server.poll() is not None:
            self._open()
        answer = self._ask(0, [pipe.fileno()])
        if answer is None:
            assert self._server is not None  # noqa: S101 - _open has set it
            raise Death.of_process(self._server.wait())
        if answer < 0:
            raise OSError(-answer, os.strerror(-answer))
        return answer

    def wait(self, pid: int) -> int:
        """As Starter says."""
        answer = self._ask(pid)
        return worker_process.UNKNOWN_STATUS if answer is None else answer

    def close(self) -> None:
        """As Starter says."""
        if self._channel is not None:
            self._channel.close()
        if self._server is not None:
            self._server.kill()  # it has nothing to lose
            self._server.wait()

    def _open(self) -> None:
        self.close()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._server = _run_bootstrap("forkserver", self._preload, theirs.fileno(), self._board)

    def _ask(self, number: int, descriptors: Sequence[int] = ()) -> int | None:
        """What the server answers; None if it is dead."""
        assert self._channel is not None  # noqa: S101 - _open has set it
        try:
            socket.send_fds(self._channel, [worker_process.NUMBER.pack(number)], descriptors)
            answer = self._channel.recv(worker_process.NUMBER.size)
        except ConnectionError:
            return None
        return worker_process.NUMBER.unpack(answer)[0] if answer else None


def _run_bootstrap(method: str, preload: str, descriptor: int, board: int) -> subprocess.Popen[bytes]:
    """Start a process by the script bootstrap.py, which has these descriptors. Raises OSError."""
    if not sys.executable:
        raise WorkerError(
            "a worker cannot be started: the path of Python, sys.executable, is not known here. Set that, or use "
            "--workers 0."
        )
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    script = os.path.join(os.path.dirname(__file__), "bootstrap.py")
    # -P: what the working folder, or that of the script, holds is not imported in place of what Python brings.
    words = [sys.executable, *flags, "-P", script, method, preload, str(descriptor), str(board), *import_path()]
    return subprocess.Popen(words, pass_fds=(descriptor, board))  # noqa: S603  no shell, and our own words


def import_path() -> list[str]:
    """Where workers import from: as this process does, but what Python has put first for the script comes last.

    That is the working folder or the script's own; a copy.py or queue.py in it would be imported in place of the
    library's. What is only there, such as modules that tests bring, is found all the same.
    """
    try:
        here = os.getcwd()
    except OSError:  # it has been removed
        here = "/"
    script = getattr(sys.modules["__main__"], "__file__", None) or here
    users = {os.path.realpath(folder) for folder in (here, os.path.dirname(script))}
    users.add(os.path.dirname(os.path.realpath(script)))
    path = [os.path.join(here, entry) for entry in sys.path if isinstance(entry, str)]
    library = os.path.dirname(os.__file__)
    before = path[: path.index(library)] if library in path else path
    first = [entry for entry in before if os.path.realpath(entry) in users]
    return [entry for entry in path if entry not in first] + first
