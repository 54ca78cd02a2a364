"""Durable files: the one place that knows how a file gets its final name, so that it is whole or does not exist.

A file is written under a temporary name beside the final one, synced and renamed; then its folder is synced. A crash
before the rename leaves nothing under the final name; a crash after it leaves the whole file. The rename fails where
the name is taken. So a file that somebody else puts there at any moment stays; only a file for which `is_own` returns
true is replaced.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Container, Iterable, Sequence

from parallel_sharder.stores import regular

PARTIAL_SUFFIX = ".partial"

TAKEN = "has that name, and nothing is overwritten: move it out of the way"
"""The end of a message about a path at which there is a file that the tool has not made."""

_AT_FDCWD, _NOREPLACE, _EXCHANGE = -100, 1, 2
"""Arguments of renameat2, which Python lacks; from linux/fcntl.h and linux/fs.h."""

_C = ctypes.CDLL(None, use_errno=True)

_COMPARED_BYTES = 1 << 20

CANNOT = frozenset((errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP))
"""The errors of systems and file systems that cannot rename or link in this way: old ones, NFS, FAT, some FUSE."""

_NO_SYNC = frozenset((errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP))
"""The errors of file systems that cannot sync a file or a folder (SMB for folders, some FUSE); others are failures."""


def create(path: str, access: int = os.O_WRONLY) -> tuple[int, str]:
    """Create a file beside `path`, and return its descriptor, open for this `access`, and its temporary path.

    The name begins with a dot, which no pattern of shards matches, and is random, so two runs never share a file. Where
    the file system has locks, the file is locked while it is open, so that `remove_partials` of other runs keeps it.
    """
    while True:
        temporary = temporary_beside(path)
        descriptor = os.open(temporary, access | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # other runs hold it only for a moment, in remove_partials
            if is_at(descriptor, temporary):
                return descriptor, temporary
        except BaseException:
            discard(descriptor, temporary)
            raise
        os.close(descriptor)  # another run has removed the file as a leftover, before it was locked


def is_at(descriptor: int, path: str) -> bool:
    """Return whether the file at `path` is the one that the descriptor has open."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def temporary_beside(path: str) -> str:
    """Return a new temporary path beside `path`, under which `remove_partials` finds what killed processes leave."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")


def finish(descriptor: int, temporary: str, path: str, is_own: Callable[[str], bool] | None = None) -> None:
    """Sync the data, give the file its final name, and sync the folder. Closes `descriptor` in any case.

    A file that already has the name stays if it holds the same bytes, and is replaced if `is_own` of its path is true;
    else FileExistsError is raised. After an error the new file is removed. Only if syncing the folder fails does it
    stay: it is whole then, but may not survive a power cut.
    """
    try:
        sync(descriptor, path)
        _give_name(temporary, path, is_own)
    except BaseException:
        discard(descriptor, temporary)
        raise
    os.close(descriptor)
    sync_folder(os.path.dirname(path) or ".")


def _give_name(temporary: str, path: str, is_own: Callable[[str], bool] | None) -> None:
    try:
        rename_new(temporary, path)
    except FileExistsError:
        before = identity(path)
        if is_same(temporary, path):
            os.unlink(temporary)
        elif is_own is not None and is_own(path):
            _replace(temporary, path, before)
        else:
            raise


def is_same(made: str, there: str) -> bool:
    """Return whether the file at `there` holds the same bytes as our file at `made`; if so, sync the former."""
    try:
        descriptor = regular.open_regular(there, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    with open(descriptor, "rb") as other, open(made, "rb") as ours:
        if os.fstat(other.fileno()).st_size != os.fstat(ours.fileno()).st_size:
            return False
        while block := ours.read(_COMPARED_BYTES):
            if other.read(len(block)) != block:
                return False
        sync(other.fileno(), there)
    return True


def rename_new(old: str, new: str) -> bool:
    """Rename a file to a free name, and return whether the system itself refuses a name that is taken.

    Raises FileExistsError if the name is taken. Where the file system can neither rename without replacing nor link,
    this function looks for the name first: a file that appears between the look and the rename is overwritten.
    """
    for rename in (_rename_without_replacing, _link_and_unlink):
        try:
            rename(old, new)
        except FileExistsError as error:
            raise name_taken(new) from error
        except OSError as error:
            if error.errno not in CANNOT:
                raise
        else:
            return True
    if os.path.lexists(new):
        raise name_taken(new)
    os.rename(old, new)
    return False


def keeps_names(path: str) -> bool:
    """Return whether the file system of the folder of `path` can rename a file without replacing another."""
    descriptor, temporary = create(path)
    try:
        new = temporary_beside(path)
        keeps = rename_new(temporary, new)
        temporary = new
    finally:
        os.close(descriptor)
        os.unlink(temporary)
    return keeps


def _rename_without_replacing(old: str, new: str) -> None:
    renameat2(old, new, _NOREPLACE)


def _link_and_unlink(old: str, new: str) -> None:
    os.link(old, new, follow_symlinks=False)
    os.unlink(old)


def _replace(temporary: str, path: str, before: tuple[int, ...] | None) -> None:
    """Replace the file at `path`, whose identity was `before`. Raises FileExistsError if it is another file by now."""
    try:
        renameat2(temporary, path, _EXCHANGE)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
        if identity(path) != before:
            raise name_taken(path) from error
        os.rename(temporary, path)
        return
    if identity(temporary) != before:
        renameat2(temporary, path, _EXCHANGE)
        raise name_taken(path)
    os.unlink(temporary)


def identity(path: str) -> tuple[int, ...] | None:
    """Return the identity of the file at `path`, or None if there is none.

    It changes when another file gets the name, and when the file gets another content.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def renameat2(old: str, new: str, flags: int) -> None:
    """Make the system call renameat2. Raises OSError if the call fails, with ENOSYS where the system lacks it."""
    call = getattr(_C, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), old)
    if call(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), new if number == errno.EEXIST else old)


def name_taken(path: str) -> FileExistsError:
    """Return the error that a file which the tool has not made has the name `path`."""
    return FileExistsError(errno.EEXIST, f"{regular.kind_at(path) or 'something else'} {TAKEN}", path)


def make_folder(path: str) -> list[str]:
    """Make the folder at `path` and the missing folders above it, each durably; return those that were made."""
    missing = []
    while not os.path.isdir(path or "."):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):  # else another process has made it meanwhile
                raise
        sync_folder(os.path.dirname(folder) or ".")
    return missing[::-1]


def remove_folders(made: Sequence[str]) -> None:
    """Remove the folders that `make_folder` has made, if they are empty."""
    for folder in reversed(made):
        with contextlib.suppress(OSError):  # the folder is not empty
            os.rmdir(folder)


def sync_folder(folder: str) -> bool:
    """Make the names in `folder` survive a power cut; return whether its file system can sync folders."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return sync(descriptor, folder)
    finally:
        os.close(descriptor)


def sync(descriptor: int, path: str, *, data_only: bool = False) -> bool:
    """Make the data of the open file at `path` survive a power cut; return whether its file system can sync it.

    `data_only` does not sync the file's times. A file system that cannot sync is no error here: the caller can report
    it. Raises OSError if syncing fails.
    """
    try:
        (os.fdatasync if data_only else os.fsync)(descriptor)
    except OSError as error:
        if error.errno in _NO_SYNC:
            return False
        error.filename = path  # fsync does not set it
        raise
    return True


def discard(descriptor: int, temporary: str) -> None:
    """Close and remove a file that `create` has made and `finish` has not finished."""
    os.close(descriptor)
    remove(temporary)  # it may already have its final name, if an interrupt came just after the rename


def remove(path: str) -> None:
    """Remove the file at `path`, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_identified(path: str, identity_then: tuple[int, ...] | None) -> None:
    """Remove the file at `path` if it still has this identity; None is no file's identity."""
    if identity_then is not None and identity(path) == identity_then:
        remove(path)


def remove_partials(
    folder: str,
    names: str,
    among: Container[str] | None = None,
    is_in_use: Callable[[str], bool] = lambda _: False,
) -> None:
    """Remove the temporary files that killed writers have left, of files in `folder` whose names match `names`.

    With `among`, only those of files with these names are removed. Files that are being written stay, because another
    run can have a name that matches. On a file system without locks, `is_in_use` of the path decides: by default the
    caller ensures that no other run writes files of these names.
    """
    for path in partials(folder, names, among):
        with contextlib.suppress(FileNotFoundError):
            if not _is_locked(path, is_in_use):
                remove(path)


def _is_locked(path: str, is_in_use: Callable[[str], bool]) -> bool:
    """Return whether a process still has the file open that `create` made. True if it is another user's, or no file."""
    try:
        descriptor = regular.open_regular(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except PermissionError:  # the file is another user's
        return True
    except OSError as error:
        return error.errno in (errno.EINVAL, errno.ELOOP, errno.EISDIR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # the file system has no locks
        return is_in_use(path)
    finally:
        os.close(descriptor)
    return False


def partials(folder: str, names: str, among: Container[str] | None = None) -> list[str]:
    """Return the paths of the temporary files of those files in `folder` whose names match `names`, and are `among`."""
    partial = re.compile(rf"\.({names})\.[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}")
    try:
        there = os.listdir(folder or ".")
    except FileNotFoundError:  # the folder itself is gone
        return []
    found = ((name, match[1]) for name in there if (match := partial.fullmatch(name)))
    return [os.path.join(folder, name) for name, final in found if among is None or final in among]


def set_direct(descriptor: int, wanted: bool) -> bool:
    """Switch writing past the page cache on or off, and return whether that has changed anything."""
    flag = getattr(os, "O_DIRECT", 0)  # not everywhere
    try:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | flag if wanted else flags & ~flag)
    except OSError:  # the file system has no O_DIRECT
        return False
    return bool(flag) and bool(flags & flag) != wanted


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of `data`, in as many system calls as that takes.

    If a write past the page cache fails, because the device has larger blocks or a full disk has taken a part of one,
    the bytes are written through the page cache.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except OSError as error:
            if error.errno != errno.EINVAL or not set_direct(descriptor, False):
                raise


def write_file(path: str, data: bytes | Iterable[bytes], is_own: Callable[[str], bool] | None = None) -> None:
    """Make `path` hold exactly `data`, atomically and durably.

    A file that already has the name stays if it holds the same bytes, and is replaced if `is_own` of its path is true;
    else FileExistsError is raised.
    """
    descriptor, temporary = create(path)
    try:
        for part in [data] if isinstance(data, bytes) else data:
            write_all(descriptor, part)
    except BaseException:
        discard(descriptor, temporary)
        raise
    finish(descriptor, temporary, path, is_own)
