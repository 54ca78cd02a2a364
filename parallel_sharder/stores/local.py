"""LocalStore: the store of the local disk, and of everything that is mounted like one; its paths are paths of files.

It only calls the modules that do the work: `durable` gives files their names, `direct` writes shards, `log` appends,
`lock` locks, `regular` opens files for reading.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import AbstractContextManager
from io import FileIO
from typing import TYPE_CHECKING

from parallel_sharder.stores import durable
from parallel_sharder.stores.direct import DirectFile
from parallel_sharder.stores.regular import kind_at, open_regular, read_regular
from parallel_sharder.stores.store import Building, Identity, IsOwn, Lease, Log, Waiting, Writer

if TYPE_CHECKING:
    from parallel_sharder.stores.lease_record import LeaseState

_NO_FILES_WITHOUT_NAMES = frozenset((errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP))
"""The errors of systems and file systems without O_TMPFILE: old ones, NFS, some FUSE."""


class LocalStore:
    """The Store of files; see `store.Store` for its methods."""

    def names(self, folder: str) -> list[str]:
        """As Store says."""
        return os.listdir(folder or ".")

    def exists(self, path: str) -> bool:
        """As Store says; a broken link exists too."""
        return os.path.lexists(path)

    def is_folder(self, path: str) -> bool:
        """As Store says."""
        return os.path.isdir(path or ".")

    def is_file(self, path: str) -> bool:
        """As Store says."""
        return os.path.isfile(path)

    def kind(self, path: str) -> str:
        """As Store says."""
        return kind_at(path)

    def open(self, path: str) -> FileIO:
        """As Store says; a pipe is refused without waiting for its other end."""
        return open(path, "rb", buffering=0, opener=open_regular)

    def read(self, path: str) -> bytes:
        """As Store says."""
        return read_regular(path)

    def identity(self, path: str) -> Identity | None:
        """As Store says."""
        return durable.identity(path)

    def size(self, path: str) -> int:
        """As Store says."""
        return os.stat(path).st_size

    def create(self, path: str, *, md5: bool = False, replaces_damaged: bool = False) -> Writer:
        """As Store says."""
        return DirectFile(path, md5=md5, replaces_damaged=replaces_damaged)

    def build(self, path: str) -> Building:
        """As Store says; the local file lies beside `path`, and is renamed at the end."""
        return _LocalBuilding(path)

    def put(self, path: str, data: bytes | Iterable[bytes], is_own: IsOwn | None = None) -> None:
        """As Store says."""
        durable.write_file(path, data, is_own)

    def remove(self, path: str) -> None:
        """As Store says."""
        durable.remove(path)

    def remove_identified(self, path: str, identity: Identity | None) -> None:
        """As Store says."""
        durable.remove_identified(path, identity)

    def remove_partials(self, folder: str, names: str, among: Container[str] | None = None) -> None:
        """As Store says."""
        durable.remove_partials(folder, names, among)

    def need_folder(self, folder: str) -> None:
        """As Store says."""
        os.makedirs(folder or ".", exist_ok=True)

    def make_folder(self, folder: str) -> list[str]:
        """As Store says."""
        return durable.make_folder(folder)

    def remove_folders(self, made: Sequence[str]) -> None:
        """As Store says."""
        durable.remove_folders(made)

    def sync_folder(self, folder: str) -> None:
        """As Store says; where the file system cannot sync folders, this does nothing."""
        durable.sync_folder(folder or ".")

    def refuse_unwritable(self, folder: str) -> None:
        """As Store says; it creates a file without a name, where the file system has these (O_TMPFILE)."""
        folder = _nearest(folder)
        try:
            os.close(os.open(folder, os.O_WRONLY | os.O_CLOEXEC | getattr(os, "O_TMPFILE", 0), 0o600))
        except OSError as error:
            if error.errno not in _NO_FILES_WITHOUT_NAMES:
                raise
            if not os.access(folder, os.W_OK | os.X_OK):
                number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
                raise OSError(number, os.strerror(number), folder) from error

    def refuse_unappendable(self, path: str) -> None:
        """As Store says."""
        os.close(open_regular(path, os.O_RDWR))

    def log(
        self,
        path: str,
        held: Callable[[float], None],
        *,
        take_over: bool = False,
        watching: Waiting | None = None,
    ) -> Log:
        """As Store says."""
        from parallel_sharder.stores.log import LocalLog  # imported in the methods because workers do without it

        return LocalLog(path, held, take_over=take_over, watching=watching)

    def is_held(self, path: str, watching: Waiting | None = None) -> bool:
        """As Store says."""
        from parallel_sharder.stores.log import is_held

        return is_held(path, watching)

    def seems_held(self, path: str) -> bool:
        """As Store says."""
        from parallel_sharder.stores.log import seems_held

        return seems_held(path)

    def lock(
        self, folder: str, waiting: Waiting, *, take_over: bool = False, across_hosts: bool = False
    ) -> AbstractContextManager[None]:
        """As Store says."""
        from parallel_sharder.stores.lock import locked_folder

        return locked_folder(folder, waiting, take_over=take_over, across_hosts=across_hosts)

    def lease(
        self,
        path: str,
        *,
        what: str,
        take_over: bool = False,
        waiting: Waiting | None = None,
        watching: Waiting | None = None,
    ) -> Lease:
        """As Store says."""
        from parallel_sharder.stores.lease import lease

        return lease(path, what=what, take_over=take_over, waiting=waiting, watching=watching)

    def live_owners(self, paths: Iterable[str], watching: Waiting | None = None) -> dict[str, LeaseState]:
        """As Store says."""
        from parallel_sharder.stores.lease import live_owners

        return live_owners(paths, watching)

    def lease_at(self, path: str) -> LeaseState | None:
        """As Store says."""
        from parallel_sharder.stores.lease import lease_at

        return lease_at(path)

    def free_bytes(self, folder: str) -> int:
        """As Store says: the bytes that this user may still write."""
        import psutil

        folder = os.path.abspath(folder)
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        return int(psutil.disk_usage(folder).free)

    def is_same_disk(self, folder: str, other: str) -> bool:
        """As Store says."""
        return os.stat(_nearest(folder)).st_dev == os.stat(_nearest(other)).st_dev

    def keeps_names(self, path: str) -> bool:
        """As Store says: the file system can link files, or rename them without replacing others."""
        return durable.keeps_names(path)


def _nearest(folder: str) -> str:
    """Return the folder, or the nearest existing one above it. Raises OSError for a broken link."""
    folder = os.path.abspath(folder)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    os.stat(folder)
    return folder


class _LocalBuilding:
    """A temporary file beside `path`, as `store.Building` describes it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._made = durable.make_folder(os.path.dirname(path))
        self._descriptor, self.local_path = durable.create(path)

    def finish(self, is_own: IsOwn) -> None:
        """Make the file safe, and give it its name."""
        durable.finish(os.dup(self._descriptor), self.local_path, self._path, is_own)

    def abort(self) -> None:
        """Remove the local file, and the folders that were made for it."""
        durable.discard(self._descriptor, self.local_path)
        durable.remove_folders(self._made)
