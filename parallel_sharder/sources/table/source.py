"""A table as a Source: its place is found when the source is opened, and the scan reads it into the spool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Listing, Role, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.key_rule import set_name
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch, SpooledSource
from parallel_sharder.sources.table.found import table_place
from parallel_sharder.sources.table.scan import Scan


class TableSource(SpooledSource):
    """The rows of a table, and the images that it names. It is a Source.

    A table that changes after the scan is not refused: its rows lie in the spool.
    """

    def __init__(self, options: SourceOptions) -> None:
        super().__init__()
        self._options = options
        self._place = table_place(options)
        self.kind = SetKind("table", "table", self._place.split, set_name(options.folder, "images"))
        self.folders: Sequence[Path] = [Path(self._place.folder)]

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing, as Source says. Captions and rows are written to the spool."""
        return Scan(self._place, self._options, self._take_spool(scratch, needed=True)).listing(engine, monitor)

    def spool_bytes(self, listing: Listing) -> int:
        """Return the bytes of all captions and rows."""
        return sum(int(part.size.clip(0).sum()) for part in listing.parts if part.role != Role.IMAGE)
