"""Openings: files that threads open before the worker reads them, so that it does not wait for its own opens.

A worker registers an Opening, a thread opens the file, and whoever reads the file takes the descriptor. On networks
each open is a request, even that of a file that was opened before.
"""

from __future__ import annotations

import contextlib
import os
import threading

Key = tuple[str, int]
"""The path of a file, and the offset in it from which it is read."""

registered: dict[Key, Opening] = {}
"""The openings that nobody has taken yet. It is empty unless reads wait."""

_NONE = -1


class Opening:
    """A file that one thread opens, and another waits for."""

    __slots__ = ("_descriptor", "_is_over")

    def __init__(self) -> None:
        self._descriptor = _NONE
        self._is_over = threading.Event()

    def end(self, descriptor: int = _NONE) -> None:
        """Hand over the descriptor; without one, the file could not be opened."""
        self._descriptor = descriptor
        self._is_over.set()

    def abandon(self) -> None:
        """Let nobody wait any more, if nothing was handed over."""
        self._is_over.set()

    def descriptor(self) -> int:
        """Wait for the thread, and return the descriptor, which is the caller's from now on; -1 if there is none."""
        self._is_over.wait()
        return self._descriptor


def taken(path: str, offset: int) -> int:
    """Return the descriptor of a file that was opened ahead, which is the caller's from now on; -1 if there is none."""
    opening = registered.pop((path, offset), None)
    return _NONE if opening is None else opening.descriptor()


def drop(key: Key, opening: Opening) -> None:
    """Close the file of an opening that nobody has taken."""
    if registered.get(key) is opening and registered.pop(key, None) is opening:
        descriptor = opening.descriptor()
        if descriptor != _NONE:
            with contextlib.suppress(OSError):
                os.close(descriptor)
