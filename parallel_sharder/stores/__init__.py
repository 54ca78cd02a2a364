"""Stores: where finished files are and go. One file each; all answer to `store.Store`.

Only they open, rename, sync or lock what is not source.
"""

from __future__ import annotations

import functools

from parallel_sharder.stores.store import Store


def store_of(path: str) -> Store:  # noqa: ARG001  there is one store so far
    """Returns the store that has what is at `path`: the local disk."""
    return _local()


@functools.cache
def _local() -> Store:
    from parallel_sharder.stores.local import LocalStore  # not before it is wanted: workers import this package

    return LocalStore()
