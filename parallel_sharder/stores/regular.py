"""Regular files: opens files that anybody can have put at a path, never waits, and refuses all but regular files.

A process that opens a pipe with the name of a shard would wait for ever, and a device can be read without end. The
kinds of other files have their names for people here.
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
    """Return the kind of a file with this mode, for people; "" for a regular file."""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def kind_at(path: str) -> str:
    """Return the kind of what is at `path`, for people; "" for a regular file, for a folder, and if nothing exists."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    return "" if stat.S_ISDIR(mode) else kind_of(mode)


def open_regular(path: str, flags: int = os.O_RDONLY, folder: int | None = None) -> int:
    """Open the regular file at `path` and return its descriptor; never wait for the other end of a pipe.

    Raises OSError as os.open does, and for a file of another kind, which the error names.
    """
    flags |= os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666, dir_fd=folder)
    except BlockingIOError:  # a file server (Samba, NFS) has a lease on the file, and has to release it first
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
    """Return all bytes of the regular file at `path`. Raises OSError as `open_regular` does."""
    with open(open_regular(path), "rb") as file:
        return file.read()


def _no_file(path: str, mode: int) -> OSError:
    return OSError(errno.EINVAL, f"it is {kind_of(mode) or 'a device'}, and no regular file", path)
