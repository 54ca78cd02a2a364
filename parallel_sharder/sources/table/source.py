"""A table as a Source: its place is found when the source is opened, and the scan reads it into the spool."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Listing, Role, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.key_rule import key_of
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.sources.table.found import table_place
from parallel_sharder.sources.table.scan import Scan

_NO_NAME = "images"


class TableSource:
    """The rows of a table, and the images that it names. It is a Source."""

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._place = table_place(options)
        name = key_of(os.fsencode(os.path.basename(os.path.abspath(options.folder)))).decode("ascii")
        self.kind = SetKind("table", "table", self._place.split, name or _NO_NAME)
        self.folders: Sequence[Path] = [Path(self._place.folder)]
        self._scratch = Scratch()
        self._spool: str | None = None
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing, as Source says. Captions and rows are written to the spool."""
        self._scratch = scratch
        self._spool = self._exits.enter_context(scratch.spool(needed=True))
        return Scan(self._place, self._options, self._spool).listing(engine, monitor)

    def adopt(self, listing: Listing) -> None:
        """Take the Listing, as Source says."""

    def spool_bytes(self, listing: Listing) -> int:
        """Return the bytes of all captions and rows."""
        return sum(int(part.size.clip(0).sum()) for part in listing.parts if part.role != Role.IMAGE)

    def keep_scan(self) -> None:
        """Write nothing: a resumed run reads the table again."""

    def share(self, listing: Listing) -> Listing:
        """Keep the spool, as Source says."""
        if self._spool is None:
            return listing
        kept = self._scratch.keep(self._spool)
        places = (place._replace(path=kept) if place.path == self._spool else place for place in listing.places)
        return dataclasses.replace(listing, places=tuple(places))

    def refuse_changes(self) -> None:
        """Raise nothing: rows lie in the spool, and images are checked when they are read."""
