"""What may lie beside shards: refused before work, withdrawn before shards are removed, written at the end.

The manifest, the list of problems, the class table, the card and the readers' indexes each answer to this interface, in
a file of their own; publish.py says which of them a run writes, and in which order. Each file appears whole or not at
all, and nothing of anybody else's is replaced.
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
from parallel_sharder.stores.durable import taken
from parallel_sharder.stores.traces import identity_if, trace_of


@dataclass(frozen=True)
class FinishedSet:
    """A set whose shards are all whole, and what a run has at hand when it writes what lies beside them.

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
    """One thing that may lie beside the shards of a set.

    `is_shared` says whether it says something of other sets in the folder too: then whoever withdraws or writes it
    holds the folder's lock.
    """

    is_shared: ClassVar[bool] = False

    def refuse(self) -> None:
        """Raise DestinationError now, not after hours, if something else has the name of what will be written."""

    def withdraw(self) -> bool:
        """Remove what is said of the set's shards, which are about to be removed; return whether anything was."""
        return False

    def write(self, finished: FinishedSet) -> None:
        """Write it. Raises DestinationError for what cannot be written, and for what is in the way."""
        raise NotImplementedError

    def remove_partials(self) -> None:
        """Remove what killed runs, or an interrupt, have left of files that were being written."""
        raise NotImplementedError


class RecordedFile(Beside):
    """A file of one set at `path`, of which the journal has a record.

    It is journalled before it is begun, with the trace that it will have, so that what is there is known to be the
    tool's own. A foreign one is refused with foreign shards, and the tool's own is removed with the shards, both by the
    journal: see stock.py.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def content(self, finished: FinishedSet) -> bytes:
        """What the file holds; without content there is no such file."""
        raise NotImplementedError

    def is_own(self, path: str, journal: Journal) -> bool:
        """Whether the file at `path` is one that the tool has made for this set."""
        return identity_if(path, journal.traces(path)) is not None

    def write(self, finished: FinishedSet) -> None:
        """Make the file hold its content, if it does not already; remove it if there is no content."""
        content, journal, store = self.content(finished), finished.journal, store_of(self._path)
        try:
            if content:
                trace = trace_of(content)
                journal.record_beside(self._path, trace)
                if identity_if(self._path, [trace]) is None:
                    store.put(self._path, content, lambda path: self.is_own(path, journal))
            elif store.exists(self._path):
                if (identity := identity_if(self._path, journal.traces(self._path))) is None:
                    raise taken(self._path)
                store.remove_marked(self._path, identity)
        except OSError as error:
            raise unwritable(self._path, error) from error

    def remove_partials(self) -> None:
        """Remove what is left of this file."""
        folder, name = os.path.split(self._path)
        store_of(folder).remove_partials(folder, re.escape(name))
