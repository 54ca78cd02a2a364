"""Beside: the interface of everything that may lie beside shards.

Before work it refuses foreign files of its names; before shards are removed it withdraws what lists them; at the end it
is written. The manifest, the list of problems, the class table, the card and the readers' indexes answer to it, each in
a module of its own; `publish` knows which of them a run writes, and in which order. Each file appears whole or not at
all, and no foreign file is replaced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import unwritable
from parallel_sharder.journal.journal import Journal
from parallel_sharder.model import Listing, Plan, Problem, ShardRecord
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.stores import store_of
from parallel_sharder.stores.durable import name_taken
from parallel_sharder.stores.traces import trace_of, traced_identity


@dataclass(frozen=True)
class FinishedSet:
    """A set whose shards are all whole, with all that the files beside them are made from.

    `records` are in order of number; `manifest` is the one that will be written.
    """

    listing: Listing
    plan: Plan
    records: Sequence[ShardRecord]
    problems: Sequence[Problem]
    manifest: Manifest
    journal: Journal
    engine: Engine
    monitor: Monitor


class Beside:
    """One kind of file, or of files, that may lie beside the shards of a set.

    `is_shared` is true if it also covers other sets in the folder. The caller of `withdraw` or `write` then holds the
    folder's lock.
    """

    is_shared: ClassVar[bool] = False

    def refuse(self) -> None:
        """Raise DestinationError now, not after hours, if a foreign file has the name of one that will be written."""

    def withdraw(self) -> bool:
        """Remove all lists of the set's shards, before these are removed; return whether there were any."""
        return False

    def write(self, finished: FinishedSet) -> None:
        """Write the file. Raises DestinationError if it cannot be written, and if a foreign file has its name."""
        raise NotImplementedError

    def remove_partials(self) -> None:
        """Remove the unfinished files that killed runs, or an interrupt, have left."""
        raise NotImplementedError


class RecordedFile(Beside):
    """A file of one set at `path`, of which the journal has a record.

    The trace that the file will have is recorded before it is written. So the file at the path can be recognised as the
    tool's own. `stock` refuses a foreign one with foreign shards, and removes the tool's own with the shards.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def content(self, finished: FinishedSet) -> bytes:
        """Return the content of the file; if it is empty, no file is written."""
        raise NotImplementedError

    def is_own(self, path: str, journal: Journal) -> bool:
        """Return whether the tool has made the file at `path` for this set."""
        return traced_identity(path, journal.traces(path)) is not None

    def write(self, finished: FinishedSet) -> None:
        """Make the file hold its content, if it does not already; without content, remove the tool's own file."""
        content, journal, store = self.content(finished), finished.journal, store_of(self._path)
        try:
            if content:
                trace = trace_of(content)
                journal.record_beside(self._path, trace)
                if traced_identity(self._path, [trace]) is None:
                    store.put(self._path, content, lambda path: self.is_own(path, journal))
            elif store.exists(self._path):
                if (identity := traced_identity(self._path, journal.traces(self._path))) is None:
                    raise name_taken(self._path)
                store.remove_identified(self._path, identity)
        except OSError as error:
            raise unwritable(self._path, error) from error

    def remove_partials(self) -> None:
        """Remove the unfinished versions of this file."""
        folder, name = os.path.split(self._path)
        store_of(folder).remove_partials(folder, re.escape(name))
