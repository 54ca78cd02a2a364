"""Scratch files: local files of one run, which only that run reads, and which are removed when it ends.

The owner of a scratch file holds a lock on it. So files that killed runs have left can be told from files in use, and
the next run removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re

from parallel_sharder.stores import durable


class ScratchFile:
    """A new, empty file at `path`: a temporary file beside `place` (see durable), locked until it is removed.

    With `is_private`, only its owner can read it. Raises OSError if it cannot be created and locked.
    """

    def __init__(self, place: str, *, is_private: bool = False) -> None:
        self._descriptor, self.path = durable.create(place)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # create does not raise if it cannot lock
            if is_private:
                os.fchmod(self._descriptor, 0o600)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove and close the file. Errors of the removal are ignored."""
        with contextlib.suppress(OSError):
            durable.remove(self.path)
        os.close(self._descriptor)


class ScratchAppender:
    """Appends to the scratch file at `path`, from another process than the file's owner."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def append(self, data: bytes) -> None:
        """Write all of the data."""
        durable.write_all(self._descriptor, data)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def remove_left(place: str) -> None:
    """Remove the scratch files of `place` that ended runs have left. Errors are ignored: ScratchFile raises them."""
    folder, name = os.path.split(place)
    with contextlib.suppress(OSError):
        durable.remove_partials(folder, re.escape(name))
