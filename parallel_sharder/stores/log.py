"""LocalLog: a log on the local disk, which is opened and locked, appended to durably, and checked for its place.

This module does not know what the bytes mean. The system releases the lock when the process ends, in whatever way.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from parallel_sharder.stores import durable
from parallel_sharder.stores.lock import open_locked
from parallel_sharder.stores.regular import open_regular


class LocalLog:
    """The log at `path`, as `store.Log` and `Store.log` describe it."""

    def __init__(self, path: str, held: Callable[[float], None]) -> None:
        self._path = path
        self._folder = os.path.dirname(path) or "."
        self._descriptor = open_locked(path, lambda _, seconds: held(seconds))
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
        os.ftruncate(self._descriptor, position)
        os.lseek(self._descriptor, position, os.SEEK_SET)
        durable.write_all(self._descriptor, data)
        durable.sync(self._descriptor, self._path, data_only=True)

    def replace(self, data: bytes) -> None:
        """Replace the file by one that holds this data, atomically and durably."""
        replaced, (self._descriptor, temporary) = self._descriptor, durable.create(self._path)
        try:
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


def is_held(path: str) -> bool:
    """Return whether a process has the log at `path` open."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is no such file, or the file system has no locks
        return False
    return False


def _place(path: str) -> tuple[int, int] | None:
    """Return the device and inode of a file or folder; None if there is none."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
