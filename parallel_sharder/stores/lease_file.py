"""The file of a lease: it is made exclusively and whole, read until it is whole, and removed only if it is the right
one.

Records come in and go out (see lease_record). This module does not know who may take a lease, or when.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

from parallel_sharder.errors import DestinationError
from parallel_sharder.stores import durable
from parallel_sharder.stores.lease_record import LeaseState, unpacked
from parallel_sharder.stores.regular import open_regular

TICK_SECONDS = 0.1
TRIES = 10
"""How often a file that is missing or half written is looked at again, a tick apart. Taking a mistaken look back takes
a server milliseconds; a file that is no lease is refused only after all tries."""


def look(path: str) -> LeaseState | None:
    """Return what the lease at `path` says; None if there is none. Raises DestinationError for what is no lease."""
    reason = "it is no lock of this tool, or it is damaged"
    for attempt in range(TRIES):
        time.sleep(TICK_SECONDS if attempt else 0)  # it is being written, or was replaced on the server
        try:
            with open(open_regular(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                age_seconds = max(0.0, time.time() - os.fstat(file.fileno()).st_mtime)
                state = unpacked(file.read(), age_seconds)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ESTALE:
                continue
            if error.errno not in (errno.ELOOP, errno.EINVAL):
                raise
            reason = "it is a link" if error.errno == errno.ELOOP else error.strerror or str(error)
            break
        if state is not None:
            return state
    raise DestinationError(
        f"{path} has the name of a lock, and {reason}. Nothing is overwritten: if no run is at work there, move it out "
        "of the way."
    )


def make(path: str, data: bytes) -> int | None:
    """Make the file at `path` with this data, and return its descriptor; None if the name is taken.

    Where there are links, the file is whole before it has its name.
    """
    descriptor, temporary = durable.create(path)
    try:
        durable.write_all(descriptor, data)
        durable.sync(descriptor, path)
        has_links = _link(temporary, path)
        is_made = durable.is_at(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        durable.remove(temporary)
    if is_made:
        return descriptor
    os.close(descriptor)
    return None if has_links else _make_exclusively(path, data)


def _link(old: str, new: str) -> bool:
    """Give the file a second name, if that one is free; return whether the file system has links.

    The caller looks whether the file has the name: a server whose answer was lost, and that is asked again, says that
    the name is taken.
    """
    try:
        os.link(old, new, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):  # the latter: another run took the file for a killed writer's
        pass
    except OSError as error:
        if error.errno not in durable.CANNOT:
            raise
        return False
    return True


def _make_exclusively(path: str, data: bytes) -> int | None:
    """Make the file under its own name; who reads it before it is whole reads it again."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return None
    try:
        durable.write_all(descriptor, data)
        durable.sync(descriptor, path)
    except BaseException:
        durable.discard(descriptor, path)
        raise
    return descriptor


def remove(path: str, nonce: str, beat: int | None = None) -> None:
    """Remove the lease with this nonce, and this count of refreshes if it is given; another one stays.

    It is first moved away and looked at again: so of two processes that remove one lease at the same time, neither
    removes what the other makes then.
    """
    if not _is_it(path, nonce, beat):
        return
    aside = durable.temporary_beside(path)
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        if not os.path.lexists(aside):  # else the server was asked twice
            return
    if not _is_it(aside, nonce, beat):
        # Either a third process has made a lease meanwhile, and that one counts; or another run has removed this one,
        # whose name was that of a killed writer's file.
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            durable.rename_new(aside, path)
    durable.remove(aside)


def _is_it(path: str, nonce: str, beat: int | None) -> bool:
    found = None
    with contextlib.suppress(OSError, DestinationError):  # it is no lease, and so not this one
        found = look(path)
    return found is not None and found.nonce == nonce and beat in (None, found.beat)
