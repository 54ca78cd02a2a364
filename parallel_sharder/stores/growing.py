"""GrowingFile: a file that is written from front to back, if need be by one run after the other.

It has a temporary name until it is finished. What was synced before a kill or a power cut is there afterwards; what the
file holds behind that is not known. Whoever writes it keeps a record of what was synced, and cuts the rest off.
"""

from __future__ import annotations

import os

from parallel_sharder.stores import durable
from parallel_sharder.stores.regular import open_regular

_BEGUN_SUFFIX = ".begun"


class GrowingFile:
    """The file that will be `path`, open for reading and writing. Raises OSError if it cannot be opened."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._begun = begun(path)
        self._descriptor = open_regular(self._begun, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)

    @property
    def size(self) -> int:
        """The size of the file in bytes, what is not synced included."""
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset` on, fewer at the end of the file."""
        return os.pread(self._descriptor, size, offset)

    def cut(self, size: int) -> None:
        """Cut the file off; what is written next follows there."""
        os.ftruncate(self._descriptor, size)
        os.lseek(self._descriptor, size, os.SEEK_SET)

    def write(self, data: bytes | memoryview) -> None:
        """Append the data."""
        durable.write_all(self._descriptor, data)

    def skip(self, size: int) -> None:
        """Leave a hole of `size` bytes, which takes no room where the file system has holes."""
        self.cut(os.lseek(self._descriptor, 0, os.SEEK_CUR) + size)

    def sync(self) -> None:
        """Make what was written safe."""
        durable.sync(self._descriptor, self._begun, data_only=True)

    def finish(self) -> None:
        """Make the file safe and give it its name. Raises FileExistsError if the name is taken."""
        durable.sync(self._descriptor, self._begun)
        durable.rename_new(self._begun, self.path)
        durable.sync_folder(os.path.dirname(self.path))

    def close(self) -> None:
        """Close the file, which keeps its temporary name if it is not finished."""
        os.close(self._descriptor)


def begun(path: str) -> str:
    """Return the temporary path of the file that will be `path`."""
    return path + _BEGUN_SUFFIX
