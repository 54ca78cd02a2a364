"""The stores, for finished files and for the source's: where bytes are read and where they go.

Each kind of storage for finished files answers to `store.Store`; the local disk is the only one so far. A bucket would
be one more such file, and a line in `store_of`, which chooses the store of a path; `pattern` refuses addresses until
then. Only this package opens, renames, syncs or locks files that are not the source's. Files of the source are read
as `blob`s, with `readahead`.
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
