"""Locks: of one file, and of a folder, for what tells of all sets in it: two runs that end at once must not lose each
other's part.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator

from parallel_sharder.errors import DestinationError
from parallel_sharder.stores import durable
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.text import printable

_NAME = ".folder.lock"

_MARK = "parallel_sharder lock"
_LIMIT_BYTES = 1000
"""Of what a lock says: a line in a terminal or two; more is no lock of ours."""

_TICK_SECONDS = 0.1


@contextlib.contextmanager
def locked_folder(folder: str, waiting: Callable[[str, float], None]) -> Iterator[None]:
    """Within, nobody else who asks for it is in the same folder. The file that is locked goes again.

    While another holds it, `waiting` is told for whom, and for how many seconds already, several times a second. Raises
    DestinationError if there can be no lock.
    """
    path = os.path.join(folder, _NAME)
    try:
        descriptor = _acquire(path, waiting)
    except OSError as error:
        cause = f"{path} is a link" if error.errno == errno.ELOOP else error.strerror or error
        raise DestinationError(
            f"{os.path.abspath(folder)} cannot be locked with a file in it: {cause}. Mend that, or "
            "use a folder that can be written to, on a file system that has flock."
        ) from error
    try:
        yield
    finally:
        if durable.is_at(descriptor, path):
            durable.remove(path)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # workers that were forked meanwhile have the descriptor too
        os.close(descriptor)


def _acquire(path: str, waiting: Callable[[str, float], None]) -> int:
    descriptor = open_locked(path, lambda descriptor, seconds: waiting(_holder(descriptor), seconds))
    try:
        _sign(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_locked(path: str, held: Callable[[int, float], None]) -> int:
    """A descriptor of the file at `path`, which is made if there is none, and locked as long as it is open.

    While another holds the lock, `held` is told of the descriptor, and for how many seconds already, several times a
    second; what it raises ends the waiting. Raises OSError: with a filename if the file cannot be opened, without one
    if it cannot be locked.
    """
    start = time.monotonic()
    while True:
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        try:
            while not _try_to_lock(descriptor):
                held(descriptor, time.monotonic() - start)
                time.sleep(_TICK_SECONDS)
            if durable.is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # whoever held it has removed it, or put another in its place


def _try_to_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int) -> None:
    """Have the lock say whose it is. Raises OSError for a file that is no lock."""
    before = os.pread(descriptor, _LIMIT_BYTES, 0)
    if before and not before.startswith(_MARK.encode()):
        raise OSError(errno.EEXIST, f"{_NAME} is there, and it is no lock of this tool")
    lines = [_MARK, socket.gethostname(), str(os.getpid()), printable(shlex.join(sys.argv))]
    text = "\n".join(lines).encode("utf-8", "replace")[: _LIMIT_BYTES - 1] + b"\n"
    with contextlib.suppress(OSError):  # no room; it locks all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)


def _holder(descriptor: int) -> str:
    """Who holds the lock, in words, as far as it says so."""
    mark, host, pid, command, *_ = [
        *os.pread(descriptor, _LIMIT_BYTES, 0).decode("utf-8", "replace").split("\n"),
        *[""] * 4,
    ]
    if mark != _MARK:
        return "another run"
    return printable(f"process {pid} on {host} ({command})")
