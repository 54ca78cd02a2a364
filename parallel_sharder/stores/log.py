"""LocalLog: a log on the local disk, which is opened and locked, appended to durably, and checked for its place.

This module does not know what the bytes mean. The system releases the lock when the process ends, in whatever way. On
a file system without flock, a lease beside the log is its lock (see lease).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from parallel_sharder.stores import durable
from parallel_sharder.stores.lease import STALE_SECONDS, Lease, lease, lease_at, live_owners
from parallel_sharder.stores.lock import has_no_locks, open_locked
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.stores.store import Waiting

_LEASE_SUFFIX = ".lock"


class LocalLog:
    """The log at `path`, as `store.Log` and `Store.log` describe it."""

    def __init__(
        self,
        path: str,
        held: Callable[[float], None],
        *,
        take_over: bool = False,
        watching: Waiting | None = None,
    ) -> None:
        self._path = path
        self._folder = os.path.dirname(path) or "."
        self._descriptor, self._lease = _open(path, held, take_over, watching)
        try:
            self._place = _place(self._folder), _place(path)
        except BaseException:
            self.close()
            raise

    def read(self) -> bytes:
        """Return all bytes of the log."""
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    def append(self, data: bytes, position: int) -> None:
        """Cut the file off at this position, and append the data, in one write and one sync."""
        if self._lease is not None:
            self._lease.refuse_lost()
        os.ftruncate(self._descriptor, position)
        os.lseek(self._descriptor, position, os.SEEK_SET)
        durable.write_all(self._descriptor, data)
        durable.sync(self._descriptor, self._path, data_only=True)

    def replace(self, data: bytes) -> None:
        """Replace the file by one that holds this data, atomically and durably."""
        replaced, (self._descriptor, temporary) = self._descriptor, durable.create(self._path, os.O_RDWR)
        try:
            if self._lease is None:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # create may have failed to lock it
            self.append(data, 0)
            os.rename(temporary, self._path)
            durable.sync_folder(self._folder)
        except BaseException:
            durable.remove(temporary)
            raise
        finally:
            os.close(replaced)
        self._place = self._place[0], _place(self._path)

    @property
    def has_its_folder(self) -> bool:
        """Whether the folder is the one in which the file was opened."""
        return _place(self._folder) == self._place[0]

    @property
    def has_its_name(self) -> bool:
        """Whether the file at the path is the one that was opened."""
        return _place(self._path) == self._place[1]

    def not_synced(self) -> str:
        """Return what the file system cannot sync: "files", "folders", "files and folders", or usually ""."""
        are_synced = {
            "files": durable.sync(self._descriptor, self._path),
            "folders": durable.sync_folder(self._folder),
        }
        return " and ".join(what for what, is_synced in are_synced.items() if not is_synced)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)
        if self._lease is not None:
            self._lease.release()


def _open(
    path: str, held: Callable[[float], None], take_over: bool, watching: Waiting | None
) -> tuple[int, Lease | None]:
    """Return a descriptor of the log, locked while it is open, and the lease that locks it too, or instead."""
    descriptor = None
    try:
        descriptor = open_locked(path, lambda _, seconds: held(seconds))
    except OSError as error:
        if not has_no_locks(error):
            raise
    try:
        if descriptor is not None and lease_at(path + _LEASE_SUFFIX) is None:
            return descriptor, None
        locked = lease(path + _LEASE_SUFFIX, what=path, take_over=take_over, watching=watching)
    except BaseException:
        if descriptor is not None:
            os.close(descriptor)
        raise
    try:
        if descriptor is None:
            descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    except BaseException:
        locked.release()
        raise
    return descriptor, locked


def is_held(path: str, watching: Waiting | None = None) -> bool:
    """Return whether a process has the log at `path` open; the lease of another host is watched (see live_owners)."""
    is_flocked = _is_flocked(path)
    return bool(live_owners([path + _LEASE_SUFFIX], watching)) if is_flocked is None else is_flocked


def seems_held(path: str) -> bool:
    """Return whether a process has the log at `path` open; the lease of another host counts while it is fresh."""
    if (is_flocked := _is_flocked(path)) is not None:
        return is_flocked
    held = lease_at(path + _LEASE_SUFFIX)
    if held is None or held.is_dead is not None:
        return held is not None and not held.is_dead
    return held.age_seconds <= STALE_SECONDS


def _is_flocked(path: str) -> bool | None:
    """Return whether a process has locked the log by flock; None if that does not say whether it is open."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if not has_no_locks(error):  # there is no such file
            return False
    return None


def _place(path: str) -> tuple[int, int] | None:
    """Return the device and inode of a file or folder; None if there is none."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
