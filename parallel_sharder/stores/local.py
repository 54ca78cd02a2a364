"""The local disk, and whatever is mounted as one: a store whose paths are those of files.

How a file gets its name is in `durable`, how shards are written in `direct`, how logs are in `log`, locks in `lock`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from io import FileIO

from parallel_sharder.stores import durable
from parallel_sharder.stores.direct import DirectFile
from parallel_sharder.stores.regular import kind_at, open_regular, read_regular
from parallel_sharder.stores.store import Building, IsOwn, Log, Mark, Waiting, Writer

_NO_FILES_WITHOUT_NAMES = frozenset((errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP))
"""What systems and file systems answer that have none (O_TMPFILE): old ones, NFS, some FUSE."""


class LocalStore:
    """The Store of files; see `store.Store` for its methods."""

    def names(self, folder: str) -> list[str]:
        """As Store says."""
        return os.listdir(folder or ".")

    def exists(self, path: str) -> bool:
        """As Store says; a broken link is something too."""
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
        """As Store says; never waits for whoever has put a pipe there."""
        return open(path, "rb", buffering=0, opener=open_regular)

    def read(self, path: str) -> bytes:
        """As Store says."""
        return read_regular(path)

    def mark(self, path: str) -> Mark | None:
        """As Store says."""
        return durable.identity(path)

    def size(self, path: str) -> int:
        """As Store says."""
        return os.stat(path).st_size

    def create(self, path: str, *, md5: bool = False, mends: bool = False) -> Writer:
        """As Store says."""
        return DirectFile(path, md5=md5, mends=mends)

    def build(self, path: str) -> Building:
        """As Store says; the local file lies beside its final name, and is renamed."""
        return _LocalBuilding(path)

    def put(self, path: str, data: bytes | Iterable[bytes], is_own: IsOwn | None = None) -> None:
        """As Store says."""
        durable.write_file(path, data, is_own)

    def remove(self, path: str) -> None:
        """As Store says."""
        durable.remove(path)

    def remove_marked(self, path: str, mark: Mark | None) -> None:
        """As Store says."""
        durable.remove_if(path, mark)

    def remove_partials(self, folder: str, names: str) -> None:
        """As Store says."""
        durable.remove_partials(folder, names)

    def make_folder(self, folder: str) -> list[str]:
        """As Store says."""
        return durable.make_folder(folder)

    def remove_folders(self, made: Sequence[str]) -> None:
        """As Store says."""
        durable.remove_folders(made)

    def sync_folder(self, folder: str) -> None:
        """As Store says; where the file system does not sync folders, nothing is done."""
        durable.sync_folder(folder or ".")

    def refuse_unwritable(self, folder: str) -> None:
        """As Store says; a file without a name is made, where there are such."""
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

    def log(self, path: str, held: Callable[[float], None]) -> Log:
        """As Store says."""
        from parallel_sharder.stores.log import LocalLog  # here and below, because workers do without it

        return LocalLog(path, held)

    def is_held(self, path: str) -> bool:
        """As Store says."""
        from parallel_sharder.stores.log import is_held

        return is_held(path)

    def lock(self, folder: str, waiting: Waiting) -> AbstractContextManager[None]:
        """As Store says."""
        from parallel_sharder.stores.lock import locked_folder

        return locked_folder(folder, waiting)

    def free_bytes(self, folder: str) -> int:
        """As Store says: what this user may still write."""
        import psutil

        return int(psutil.disk_usage(_nearest(folder)).free)

    def keeps_names(self, folder: str) -> bool:
        """As Store says: whether the file system can link files, or rename them without replacing others."""
        return durable.keeps_names(os.path.join(folder, "name"))


def _nearest(folder: str) -> str:
    """Returns the folder, or the nearest above it that there is; a broken link is followed by an OSError."""
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
        durable.publish(os.dup(self._descriptor), self.local_path, self._path, is_own)

    def abort(self) -> None:
        """Remove the local file, and the folders that were made for it."""
        durable.discard(self._descriptor, self.local_path)
        durable.remove_folders(self._made)
