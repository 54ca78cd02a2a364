"""Starting workers: by fork, by spawn, or through a fork server. Each worker gets one end of a pipe, and the board.

A worker by fork is a copy of this process, with the locks of its other threads. A worker by spawn is a new interpreter,
which imports all that it needs. A worker by forkserver is a copy of a server that has imported what most tasks need,
and has done nothing else.

multiprocessing starts processes too, but does four things that workers do not need and that can fail. It imports the
caller's `__main__` again, which breaks a script without a guard and code from standard input. It puts the working
folder first in the import path, so that a copy.py there is run. It makes a socket in TMPDIR, whose path may be too
long. It refuses to start a process from a daemonic process.
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
        """Start a worker with this end of a pipe, and return its process ID. Raises OSError if that fails."""

    def wait(self, pid: int) -> int:
        """Wait for a worker to end, and return its exit code, negative for a signal."""

    def close(self) -> None:
        """End the processes that are not workers."""


class Fork:
    """Starts workers as copies of this process. In a copy, `release()` closes what belongs to other workers."""

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
    """Starts each worker as a new interpreter. `board` is the descriptor of the board's file."""

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
    """Starts workers as copies of a server, which is started before the first worker, and again if it has died.

    `board` is the descriptor of the board's file. The server first imports the module `preload`, if it is named.
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
            self._server.kill()  # it keeps no state that could be lost
            self._server.wait()

    def _open(self) -> None:
        self.close()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._server = _run_bootstrap("forkserver", self._preload, theirs.fileno(), self._board)

    def _ask(self, number: int, descriptors: Sequence[int] = ()) -> int | None:
        """Ask the server, and return its answer; None if the server is dead."""
        assert self._channel is not None  # noqa: S101 - _open has set it
        try:
            socket.send_fds(self._channel, [worker_process.NUMBER.pack(number)], descriptors)
            answer = self._channel.recv(worker_process.NUMBER.size)
        except ConnectionError:
            return None
        return worker_process.NUMBER.unpack(answer)[0] if answer else None


def _run_bootstrap(method: str, preload: str, descriptor: int, board: int) -> subprocess.Popen[bytes]:
    """Start a process that runs bootstrap.py with these descriptors. Raises OSError if that fails."""
    if not sys.executable:
        raise WorkerError(
            "a worker cannot be started: the path of Python is not known, because sys.executable is not set. Set it, "
            "or use --workers 0."
        )
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    script = os.path.join(os.path.dirname(__file__), "bootstrap.py")
    # -P: modules in the working folder, or in that of the script, are not imported in place of the library's.
    words = [sys.executable, *flags, "-P", script, method, preload, str(descriptor), str(board), *import_path()]
    return subprocess.Popen(words, pass_fds=(descriptor, board))  # noqa: S603  no shell is used, and the words are our own


def import_path() -> list[str]:
    """Return the import path for workers: that of this process, with the folders of the script and the user last.

    Python puts the working folder or the script's folder first, and a copy.py or queue.py in it would be imported in
    place of the library's. Modules that are only there, such as those of tests, are still found.
    """
    try:
        here = os.getcwd()
    except OSError:  # the working folder has been removed
        here = "/"
    script = getattr(sys.modules["__main__"], "__file__", None) or here
    users = {os.path.realpath(folder) for folder in (here, os.path.dirname(script))}
    users.add(os.path.dirname(os.path.realpath(script)))
    path = [os.path.join(here, entry) for entry in sys.path if isinstance(entry, str)]
    library = os.path.dirname(os.__file__)
    before = path[: path.index(library)] if library in path else path
    first = [entry for entry in before if os.path.realpath(entry) in users]
    return [entry for entry in path if entry not in first] + first
