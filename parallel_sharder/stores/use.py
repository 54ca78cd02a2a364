"""Use: a folder of files that several runs share is in use while one of them lives, and its files are not removed then.

Each run holds a shared lock (flock) on a file in the folder. The run that can have the lock for itself is alone.
"""

from __future__ import annotations

import fcntl
import os

from parallel_sharder.stores import durable
from parallel_sharder.stores.lock import has_no_locks
from parallel_sharder.stores.regular import open_regular

_NAME = ".in-use"


class Use:
    """The use of `folder` by this run, until it is closed. Raises OSError if the file of the lock cannot be made."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, _NAME)
        while True:
            self._descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
            self._has_locks = self._locked(fcntl.LOCK_SH)
            if durable.is_at(self._descriptor, self._path):
                return
            os.close(self._descriptor)  # the run that had the lock alone has removed the file

    def is_alone(self) -> bool:
        """Return whether no other run uses the folder, as far as locks can say; False where there are none.

        If it is so, no other run can begin to use it until this use is closed.
        """
        return self._has_locks and self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """End the use. The file of the lock is removed if no other run has it."""
        if self.is_alone() and durable.is_at(self._descriptor, self._path):
            durable.remove(self._path)
        if self._has_locks:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # forked workers have the descriptor too
        os.close(self._descriptor)

    def _locked(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind)
        except BlockingIOError:
            return False
        except OSError as error:
            if not has_no_locks(error):
                raise
            return False
        return True
