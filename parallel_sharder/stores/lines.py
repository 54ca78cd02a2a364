"""Lines: a file to which lines are appended, one at a time, so that a kill costs the last one at most.

Nothing is synced: whoever reads the file must take it as it is after a power cut.
"""

from __future__ import annotations

import errno
import os

from parallel_sharder.stores import durable
from parallel_sharder.stores.regular import open_regular


class LineAppender:
    """Appends to the file at `path`, which is made if need be; with `anew`, what it has is dropped.

    Raises OSError if it cannot be opened, and if it has something that does not begin with `begin`.
    """

    def __init__(self, path: str, begin: bytes, *, anew: bool = False) -> None:
        self._descriptor = open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)
        there = os.pread(self._descriptor, len(begin), 0)
        if there != begin[: len(there)]:
            os.close(self._descriptor)
            raise OSError(errno.EEXIST, "something else has that name")
        if anew:
            os.ftruncate(self._descriptor, 0)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":  # a killed run has begun a line
            self.append(b"")

    def append(self, line: bytes) -> None:
        """Append the line, whose end is added."""
        durable.write_all(self._descriptor, line + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
