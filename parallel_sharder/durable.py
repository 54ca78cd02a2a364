"""Files that are whole or not there: the one place that knows how a file gets its final name.

Written under a temporary name beside the final one, synced, renamed, and the folder synced. Whatever happens before
the rename leaves nothing under the final name; whatever happens after it leaves the whole file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Sequence

PARTIAL_SUFFIX = ".partial"

_NO_SYNC = frozenset((errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP))
"""What a file system answers that syncs nothing of that kind (SMB for folders, some FUSE); all else is a failure."""


def create(path: str) -> tuple[int, str]:
    """A new file beside `path`: its descriptor, open for writing, and its temporary name.

    The name begins with a dot, which no pattern of shards matches, and is random, so two runs never share a file.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), temporary


def publish(descriptor: int, temporary: str, path: str, *, replace: bool = False) -> None:
    """Give the file its final name: data synced first, the folder last. Closes `descriptor`, come what may.

    Raises FileExistsError if the name is taken, unless it is to be replaced. After any error but one of syncing the
    folder, the file is gone; after that one it is there, and whole, but might not outlast a power cut.
    """
    try:
        sync(descriptor, path)
        if not replace and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        os.rename(temporary, path)
    except BaseException:
        discard(descriptor, temporary)
        raise
    os.close(descriptor)
    sync_folder(os.path.dirname(path) or ".")


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


def remove_partials(folder: str, names: str) -> None:
    """Remove the temporary files that killed writers have left of files in `folder` whose names match `names`."""
    for path in partials(folder, names):
        remove(path)


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


def write_file(path: str, data: bytes | Iterable[bytes]) -> None:
    """Make `path` hold exactly `data`, atomically and durably, whether it was there before or not."""
    descriptor, temporary = create(path)
    try:
        for part in [data] if isinstance(data, bytes) else data:
            write_all(descriptor, part)
    except BaseException:
        discard(descriptor, temporary)
        raise
    publish(descriptor, temporary, path, replace=True)
