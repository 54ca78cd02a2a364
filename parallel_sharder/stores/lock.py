"""Locks: of one file, and of a folder.

A folder is locked while files that cover all sets in it are written: so two runs that end at once do not lose each
other's part. The lock of a folder is a file in it, which names the process that holds it and is removed afterwards.

These are locks of the system (flock). Some file systems of clusters have none, and on some a lock succeeds and excludes
nobody on other hosts: there a folder is locked by a lease (see lease).
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
from parallel_sharder.stores.lease import lease, lease_at
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.text import printable

_NAME = ".folder.lock"
_LEASE_NAME = ".folder.lease"

_NO_LOCKS = frozenset((errno.ENOSYS, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP))
"""The errors of file systems without flock: Lustre without `-o flock`, NFS without a lock daemon, some FUSE."""

_MARK = "parallel_sharder lock"
_LIMIT_BYTES = 1000
"""How much of a lock's text is written and read: one or two lines in a terminal."""

_TICK_SECONDS = 0.1


def has_no_locks(error: OSError) -> bool:
    """Return whether this error of `open_locked` or of flock means that the file system has no locks."""
    return error.filename is None and error.errno in _NO_LOCKS


@contextlib.contextmanager
def locked_folder(
    folder: str, waiting: Callable[[str, float], None], *, take_over: bool = False, across_hosts: bool = False
) -> Iterator[None]:
    """Hold the folder's lock inside the block; wait for it. The locked file is removed at the end.

    While another process holds the lock, `waiting` is called several times a second with that process, in words, and
    with the seconds waited so far. The folder's lease is held too with `across_hosts`, where there is no flock, and if
    another process has it; `take_over` is for that lease. Raises DestinationError if the folder cannot be locked.
    """
    path, lease_path = os.path.join(folder, _NAME), os.path.join(folder, _LEASE_NAME)
    with _flocked(path, waiting) as is_flocked:
        if is_flocked and not across_hosts and lease_at(lease_path) is None:
            yield
            return
        what = f"the folder {os.path.abspath(folder)}"
        with lease(lease_path, what=what, take_over=take_over, waiting=waiting):
            yield


@contextlib.contextmanager
def _flocked(path: str, waiting: Callable[[str, float], None]) -> Iterator[bool]:
    """Hold the lock at `path` inside the block, and yield whether the file system has locks."""
    try:
        descriptor = _acquire(path, waiting)
    except OSError as error:
        if not has_no_locks(error):
            cause = f"{path} is a link" if error.errno == errno.ELOOP else error.strerror or error
            raise DestinationError(
                f"{os.path.abspath(os.path.dirname(path))} cannot be locked with a file in it: {cause}. Mend that, or "
                "use a folder that can be written to."
            ) from error
        descriptor = None
        _remove_empty(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            if durable.is_at(descriptor, path):
                durable.remove(path)
            # Closing the descriptor is not enough: workers that were forked meanwhile have it too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _remove_empty(path: str) -> None:
    """Remove the file of a lock that was made in vain."""
    with contextlib.suppress(OSError):
        if os.stat(path, follow_symlinks=False).st_size == 0:
            durable.remove(path)


def _acquire(path: str, waiting: Callable[[str, float], None]) -> int:
    descriptor = open_locked(path, lambda descriptor, seconds: waiting(_holder(descriptor), seconds))
    try:
        _sign(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_locked(path: str, held: Callable[[int, float], None]) -> int:
    """Return a descriptor of the file at `path`, which is created if missing, and locked while it is open.

    While another process holds the lock, `held` is called several times a second with the descriptor and the seconds
    waited so far; an exception that it raises ends the waiting. Raises OSError: with a filename if the file cannot be
    opened, without one if it cannot be locked.
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
        os.close(descriptor)  # the process that held the lock has removed or replaced the file


def _try_to_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int) -> None:
    """Write into the lock which process holds it. Raises OSError for a file that is no lock."""
    before = os.pread(descriptor, _LIMIT_BYTES, 0)
    if before and not before.startswith(_MARK.encode()):
        raise OSError(errno.EEXIST, f"{_NAME} is there, and it is no lock of this tool")
    lines = [_MARK, socket.gethostname(), str(os.getpid()), printable(shlex.join(sys.argv))]
    text = "\n".join(lines).encode("utf-8", "replace")[: _LIMIT_BYTES - 1] + b"\n"
    with contextlib.suppress(OSError):  # the disk is full; the file is locked nevertheless
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)


def _holder(descriptor: int) -> str:
    """Return which process holds the lock, in words, as far as the lock's text names it."""
    mark, host, pid, command, *_ = [
        *os.pread(descriptor, _LIMIT_BYTES, 0).decode("utf-8", "replace").split("\n"),
        *[""] * 4,
    ]
    if mark != _MARK:
        return "another run"
    return printable(f"process {pid} on {host} ({command})")
