"""Scratch files: local files of one run, which only that run reads, and which are removed when it ends.

The owner of a scratch file holds a lock on it. So files that killed runs have left can be told from files in use, and
the next run removes them. On a file system without locks, a lease beside the file names its owner; there a file is
removed only on the host that can prove its owner's death.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re

from parallel_sharder.errors import DestinationError
from parallel_sharder.stores import durable
from parallel_sharder.stores.lease import Lease, lease, lease_at
from parallel_sharder.stores.lock import has_no_locks

_LEASE_SUFFIX = ".lock"


class ScratchFile:
    """A new, empty file at `path`: a temporary file beside `place` (see durable), locked until it is removed.

    With `is_private`, only its owner can read it. Raises OSError if it cannot be created and locked.
    """

    def __init__(self, place: str, *, is_private: bool = False) -> None:
        self._lease: Lease | None = None
        self._descriptor, self.path = durable.create(place)
        try:
            self._lock()
            if is_private:
                os.fchmod(self._descriptor, 0o600)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove and close the file. Errors of the removal are ignored."""
        with contextlib.suppress(OSError):
            durable.remove(self.path)
        os.close(self._descriptor)
        if self._lease is not None:
            self._lease.release()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # create does not raise if it cannot lock
        except OSError as error:
            if not has_no_locks(error):
                raise
            self._lease = lease(self.path + _LEASE_SUFFIX, what=self.path)


class ScratchAppender:
    """Appends to the scratch file at `path`, from another process than the file's owner."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def append(self, data: bytes) -> None:
        """Write all of the data."""
        durable.write_all(self._descriptor, data)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def keep(path: str, final: str) -> None:
    """Give the scratch file at `path` the name `final`, durably; it is none any more. Raises OSError if that fails."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        durable.sync(descriptor, path)
    finally:
        os.close(descriptor)
    os.replace(path, final)
    durable.sync_folder(os.path.dirname(final))


def remove_left(place: str) -> None:
    """Remove the scratch files of `place` that ended runs have left. Errors are ignored: ScratchFile raises them."""
    folder, name = os.path.split(place)
    with contextlib.suppress(OSError):
        durable.remove_partials(folder, re.escape(name), is_in_use=_is_in_use)


def _is_in_use(path: str) -> bool:
    """Return whether the owner of the scratch file at `path` may be alive; the lease of a dead one is removed."""
    with contextlib.suppress(DestinationError):  # the lease is damaged, or there is something else
        found = lease_at(path + _LEASE_SUFFIX)
        if found is not None and found.is_dead:
            lease(path + _LEASE_SUFFIX, what=path).release()
            return False
    return True
