"""Files that are whole or not there: the one place that knows how a file gets its final name.

Written under a temporary name beside the final one, synced, renamed, and the folder synced. Whatever happens before
the rename leaves nothing under the final name; whatever happens after it leaves the whole file. The rename is one that
fails where the name is taken, so a file that somebody else puts there at any moment stays; only what `is_ours` says is
the tool's own gives way.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterable, Sequence

from parallel_sharder.stores import regular

PARTIAL_SUFFIX = ".partial"

TAKEN = "has that name, and nothing is overwritten: move it out of the way"
"""What is said of a name under which there is what the tool has not made."""

_AT_FDCWD, _NOREPLACE, _EXCHANGE = -100, 1, 2
"""Of renameat2, which Python does not have; from linux/fcntl.h and linux/fs.h."""

_C = ctypes.CDLL(None, use_errno=True)

_COMPARED_BYTES = 1 << 20

_CANNOT = frozenset((errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP))
"""What systems and file systems answer that cannot rename or link in this way: old ones, NFS, FAT, some FUSE."""

_NO_SYNC = frozenset((errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP))
"""What a file system answers that syncs nothing of that kind (SMB for folders, some FUSE); all else is a failure."""


def create(path: str) -> tuple[int, str]:
    """A new file beside `path`: its descriptor, open for writing, and its temporary name.

    The name begins with a dot, which no pattern of shards matches, and is random, so two runs never share a file. Where
    the file system has locks, the file is locked as long as it is open: so `remove_partials` of another run knows it.
    """
    while True:
        temporary = _temporary(path)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # nobody else holds that for longer than to look
        if is_at(descriptor, temporary):
            return descriptor, temporary
        os.close(descriptor)  # another run was quicker than the lock, and has taken it for one that was left


def is_at(descriptor: int, path: str) -> bool:
    """Whether what is at `path` is the file that this descriptor has open."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _temporary(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")


def publish(descriptor: int, temporary: str, path: str, is_ours: Callable[[str], bool] | None = None) -> None:
    """Give the file its final name: data synced first, the folder last. Closes `descriptor`, come what may.

    What has the name already stays if it is a file of the same bytes, and is replaced if `is_ours` says so of its path;
    else FileExistsError is raised. After any error but one of syncing the folder, the file is gone; after that one it
    is there, and whole, but might not outlast a power cut.
    """
    try:
        sync(descriptor, path)
        _give_name(temporary, path, is_ours)
    except BaseException:
        discard(descriptor, temporary)
        raise
    os.close(descriptor)
    sync_folder(os.path.dirname(path) or ".")


def _give_name(temporary: str, path: str, is_ours: Callable[[str], bool] | None) -> None:
    try:
        rename_new(temporary, path)
    except FileExistsError:
        before = identity(path)
        if is_same(temporary, path):
            os.unlink(temporary)
        elif is_ours is not None and is_ours(path):
            _replace(temporary, path, before)
        else:
            raise


def is_same(made: str, there: str) -> bool:
    """Whether what is `there` is a file that holds to the byte what our own file `made` does; it is synced then."""
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
    """Rename a file to a name that nothing has; whether the system itself has made sure of that.

    Raises FileExistsError if the name is taken. Where the file system can neither rename without replacing nor link,
    it is looked at before: who comes between that and the renaming is overwritten.
    """
    for rename in (_rename_without_replacing, _link_and_unlink):
        try:
            rename(old, new)
        except FileExistsError as error:
            raise taken(new) from error
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
        else:
            return True
    if os.path.lexists(new):
        raise taken(new)
    os.rename(old, new)
    return False


def keeps_names(path: str) -> bool:
    """Whether the file system of the folder of `path` can be told not to replace a file when one is renamed."""
    descriptor, temporary = create(path)
    try:
        new = _temporary(path)
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
    """Put the file in the place of what is at `path` and was `before`: if it is another by now, it stays."""
    try:
        renameat2(temporary, path, _EXCHANGE)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        if identity(path) != before:
            raise taken(path) from error
        os.rename(temporary, path)
        return
    if identity(temporary) != before:
        renameat2(temporary, path, _EXCHANGE)
        raise taken(path)
    os.unlink(temporary)


def identity(path: str) -> tuple[int, ...] | None:
    """What changes when another file gets the name, or the file another content; None if there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def renameat2(old: str, new: str, flags: int) -> None:
    """The system call. Raises OSError as it fails, with ENOSYS where there is none."""
    call = getattr(_C, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), old)
    if call(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), new if number == errno.EEXIST else old)


def taken(path: str) -> FileExistsError:
    """The error that what the tool has not made has the name `path`."""
    return FileExistsError(errno.EEXIST, f"{regular.kind_at(path) or 'something else'} {TAKEN}", path)


def make_folder(path: str) -> list[str]:
    """Make the folder at `path` and those above it that are missing, each durably; those that were made."""
    missing = []
    while not os.path.isdir(path or "."):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):  # or somebody has made it meanwhile
                raise
        sync_folder(os.path.dirname(folder) or ".")
    return missing[::-1]


def remove_folders(made: Sequence[str]) -> None:
    """Remove those that `make_folder` has made, if there is nothing in them."""
    for folder in reversed(made):
        with contextlib.suppress(OSError):  # there is something in it, as there should be
            os.rmdir(folder)


def sync_folder(folder: str) -> bool:
    """Make the names in `folder` survive a power cut; whether its file system does that at all."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return sync(descriptor, folder)
    finally:
        os.close(descriptor)


def sync(descriptor: int, path: str, *, data_only: bool = False) -> bool:
    """Make the data of the open file at `path` survive a power cut; whether its file system does that at all.

    `data_only` leaves out its times. Where nothing is synced, nothing can be done about it here, and whoever asked can
    say so. Raises OSError if it fails.
    """
    try:
        (os.fdatasync if data_only else os.fsync)(descriptor)
    except OSError as error:
        if error.errno in _NO_SYNC:
            return False
        error.filename = path  # which the system does not say
        raise
    return True


def discard(descriptor: int, temporary: str) -> None:
    """Remove a file that `create` made and `publish` has not published."""
    os.close(descriptor)
    remove(temporary)  # it may have its final name, if an interrupt came just behind the renaming


def remove(path: str) -> None:
    """Remove the file at `path`, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_if(path: str, identity_then: tuple[int, ...] | None) -> None:
    """Remove the file at `path` if it is still the one that was found to have this identity; None is nobody's."""
    if identity_then is not None and identity(path) == identity_then:
        remove(path)


def remove_partials(folder: str, names: str) -> None:
    """Remove the temporary files that killed writers have left of files in `folder` whose names match `names`.

    Those that are being written stay, whoever writes them: a run with other names can have one that matches.
    """
    for path in partials(folder, names):
        with contextlib.suppress(FileNotFoundError):
            if not _is_locked(path):
                remove(path)


def _is_locked(path: str) -> bool:
    """Whether a process has the file open that `create` has made for it; so does what is no file."""
    try:
        descriptor = regular.open_regular(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except PermissionError:  # it is another user's
        return True
    except OSError as error:
        return error.errno in (errno.EINVAL, errno.ELOOP, errno.EISDIR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks there
        return False
    finally:
        os.close(descriptor)
    return False


def partials(folder: str, names: str) -> list[str]:
    """The paths of the temporary files of files in `folder` whose names match `names`."""
    partial = re.compile(rf"\.({names})\.[0-9a-f]{{8}}{re.escape(PARTIAL_SUFFIX)}")
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder or ".") if partial.fullmatch(name)]
    except FileNotFoundError:  # the folder itself is gone
        return []


def set_direct(descriptor: int, wanted: bool) -> bool:
    """Whether writing past the page cache could be switched on, or off."""
    flag = getattr(os, "O_DIRECT", 0)  # not everywhere
    try:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | flag if wanted else flags & ~flag)
    except OSError:  # not on this file system
        return False
    return bool(flag) and bool(flags & flag) != wanted


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of `data`; the system may take fewer at a time.

    What cannot be written past the page cache, because the device has larger blocks or a full disk has taken a part of
    one, is written through it.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except OSError as error:
            if error.errno != errno.EINVAL or not set_direct(descriptor, False):
                raise


def write_file(path: str, data: bytes | Iterable[bytes], is_ours: Callable[[str], bool] | None = None) -> None:
    """Make `path` hold exactly `data`, atomically and durably.

    What has the name already is replaced if `is_ours` says so of its path; else FileExistsError is raised, unless it
    holds just that.
    """
    descriptor, temporary = create(path)
    try:
        for part in [data] if isinstance(data, bytes) else data:
            write_all(descriptor, part)
    except BaseException:
        discard(descriptor, temporary)
        raise
    publish(descriptor, temporary, path, is_ours)
