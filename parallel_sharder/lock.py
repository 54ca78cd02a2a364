"""The lock of a folder, for what tells of all sets in it: two runs that end at once must not lose each other's part."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from parallel_sharder import durable
from parallel_sharder.errors import DestinationError


@contextlib.contextmanager
def locked_folder(folder: str) -> Iterator[None]:
    """Within, nobody else who asks for it is in the same folder; waits for that. The file that is locked goes again.

    Raises DestinationError if there can be no lock.
    """
    path = os.path.join(folder, ".folder.lock")
    try:
        descriptor = _acquire(path)
    except OSError as error:
        raise DestinationError(
            f"{os.path.abspath(folder)} cannot be locked with a file in it: {error.strerror or error}. Mend that, or "
            "use a folder that can be written to, on a file system that has flock."
        ) from error
    try:
        yield
    finally:
        durable.remove(path)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # workers that were forked meanwhile have the descriptor too
        os.close(descriptor)


def _acquire(path: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(descriptor)):  # or its holder has just removed it
                    return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
