"""Shards as a Source: tars that exist, ours or of another tool, which --root names by paths and patterns.

The shards are found when the source is opened, and a condition of --where is parsed then. The scan lists them. Of plain
shards nothing is kept, because to list them again takes little. Compressed ones, and those that are staged, are read
through once.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Archive, Listing, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.kept_index import KeptIndex, archive_at, refuse_changed_archives
from parallel_sharder.sources.key_rule import set_name
from parallel_sharder.sources.shards.expand import expand
from parallel_sharder.sources.shards.listed import ListedShard
from parallel_sharder.sources.shards.reading import Reading
from parallel_sharder.sources.shards.scan import scan
from parallel_sharder.sources.shards.where import parse
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch, SpooledSource
from parallel_sharder.text import first_few

_SHOWN = 5


class ShardsSource(SpooledSource):
    """The shards that --root names. It is a Source."""

    def __init__(self, options: SourceOptions) -> None:
        super().__init__()
        self._paths, self._passed_over, self._others, self._packed = expand(options.root)
        self._options = options
        self._condition = None if options.where is None else parse(options.where)
        self._archives: Sequence[Archive] = ()
        self._index: KeptIndex[ListedShard] | None = None
        folders = dict.fromkeys(os.path.dirname(path) or "." for path in self._paths)
        self.folders: Sequence[Path] = [Path(folder) for folder in folders]
        self.kind = SetKind("shards", "shards", None, set_name(str(self.folders[0]), "shards"))

    @property
    def packed(self) -> Sequence[str]:
        """As Source says."""
        return self._packed

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing, as Source says."""
        archives = [*map(archive_at, self._paths)]
        reading = Reading(archives, frozenset(self._packed), self._options.rename_keys, scratch)
        listing = scan(reading, self._options, self._condition, engine, monitor)
        self._index, self.looked = reading.index, reading.looked
        listing = dataclasses.replace(listing, notices=(*self._others, *listing.notices))
        if self._passed_over:
            words = f"not read: {first_few(self._passed_over, _SHOWN)}, which this tool has made or begun"
            notice = f"{words}; --root reads the shards of such a set if it names them by a pattern"
            listing = dataclasses.replace(listing, notices=(notice, *listing.notices))
        self.adopt(listing)
        return listing

    def adopt(self, listing: Listing) -> None:
        """Take the Listing, as Source says."""
        self._archives = listing.archives

    def keep_scan(self) -> None:
        """Write what was found in shards that were read through, as Source says."""
        if self._index is not None:
            self._index.save()

    def refuse_changes(self) -> None:
        """Raise SourceError if a shard has changed since the scan."""
        refuse_changed_archives(self._archives)
