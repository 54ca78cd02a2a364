"""The stores: each kind of storage for finished files answers to `store.Store`; the local disk is the only one so far.

`store_of` chooses the store of a path. Only this package opens, renames, syncs or locks files that are not the
source's. It also has the files of the source as `blob`s, and `readahead` for them.
"""

from __future__ import annotations

import functools

from parallel_sharder.stores.store import Store


def store_of(path: str) -> Store:  # noqa: ARG001  there is one store so far
    """Return the store to which `path` belongs: the local disk."""
    return _local()


@functools.cache
def _local() -> Store:
    from parallel_sharder.stores.local import LocalStore  # imported here because every worker imports this package

    return LocalStore()
