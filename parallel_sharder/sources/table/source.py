"""A table as a Source: its place is found when the source is opened, and the scan reads it into the spool."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Archive, Listing, Role, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.kept_index import KeptIndex, refuse_changed_archives
from parallel_sharder.sources.key_rule import set_name
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch, SpooledSource
from parallel_sharder.sources.table.chosen import ColumnOptions, choose
from parallel_sharder.sources.table.embedded_rows import ListedImages
from parallel_sharder.sources.table.formats import PARQUET_ENDINGS, files_of, open_table
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
        self._archives: Sequence[Archive] = ()
        self._index: KeptIndex[ListedImages] | None = None
        self.kind = SetKind("table", "table", self._place.split, set_name(options.folder, "images"))
        self.folders: Sequence[Path] = [Path(self._place.folder)]

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing, as Source says. Captions and rows are written to the spool."""
        scan = Scan(self._place, self._options, self._take_spool(scratch, needed=True), scratch)
        listing = scan.listing(engine, monitor)
        if scan.embedded is not None:
            self.looked, self._index = scan.embedded.looked, scan.index
        self.adopt(listing)
        return listing

    @functools.cached_property
    def packed(self) -> Sequence[str]:
        """As Source says: the files of a table whose rows hold their images."""
        if not self._place.table.lower().endswith(PARQUET_ENDINGS):
            return ()
        options = self._options
        table = open_table(self._place.table, ())
        wanted = ColumnOptions(options.image, options.label, options.caption, options.key, options.columns)
        choice = choose(self._place.table, table.columns, wanted, table.embedded)
        return files_of(self._place.table) if table.holds_images(choice.image) else ()

    def keep_scan(self) -> None:
        """Write what was found of images within the table, as Source says."""
        if self._index is not None:
            self._index.save()

    def adopt(self, listing: Listing) -> None:
        """Take the Listing, as Source says."""
        self._archives = listing.archives

    def refuse_changes(self) -> None:
        """Raise SourceError if a table that holds the images has changed since the scan."""
        refuse_changed_archives(self._archives)

    def spool_bytes(self, listing: Listing) -> int:
        """Return the bytes of all captions and rows."""
        return sum(int(part.size.clip(0).sum()) for part in listing.parts if part.role != Role.IMAGE)
