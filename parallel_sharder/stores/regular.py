"""Opening files that anybody can have put there: never waits, and takes nothing but a regular file.

A pipe of the name of a shard would have whoever opens it wait for ever, and a device can be read without end.
"""

from __future__ import annotations

import errno
import os
import stat

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind_of(mode: int) -> str:
    """What a file with this mode is, for people; "" for a regular one."""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def kind_at(path: str) -> str:
    """What is at `path` if it is neither a regular file nor a folder, for people; "" also if nothing is there."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    return "" if stat.S_ISDIR(mode) else kind_of(mode)


def open_regular(path: str, flags: int = os.O_RDONLY, folder: int | None = None) -> int:
    """A descriptor of the regular file at `path`, opened without waiting for anybody to write to it or read it.

    Raises OSError as os.open does, and one that says what it is for anything else than a regular file.
    """
    flags |= os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666, dir_fd=folder)
    except BlockingIOError:  # whoever shares the file (Samba, an NFS server) has a lease on it, and has to give that up
        mode = os.stat(path, dir_fd=folder).st_mode
        if not stat.S_ISREG(mode):
            raise _no_file(path, mode) from None
        descriptor = os.open(path, flags, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket; a pipe that is opened for writing
            raise _no_file(path, os.stat(path, dir_fd=folder).st_mode) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise _no_file(path, mode)


def read_regular(path: str) -> bytes:
    """All bytes of the regular file at `path`. Raises OSError as `open_regular` does."""
    with open(open_regular(path), "rb") as file:
        return file.read()


def _no_file(path: str, mode: int) -> OSError:
    return OSError(errno.EINVAL, f"it is {kind_of(mode) or 'a device'}, and no regular file", path)
