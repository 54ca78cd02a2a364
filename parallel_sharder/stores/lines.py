"""Lines: a file to which lines are appended, one at a time, so that a kill costs the last one at most.

Nothing is synced: whoever reads the file must take it as it is after a power cut.
"""

from __future__ import annotations

import os

from parallel_sharder.stores import durable
from parallel_sharder.stores.regular import open_regular


class LineAppender:
    """Appends to the file at `path`, which is made if need be; with `anew`, what it has is dropped. Raises OSError."""

    def __init__(self, path: str, *, anew: bool = False) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if anew else 0)
        self._descriptor = open_regular(path, flags)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":  # a killed run has begun a line
            self.append(b"")

    def append(self, line: bytes) -> None:
        """Append the line, whose end is added."""
        durable.write_all(self._descriptor, line + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
