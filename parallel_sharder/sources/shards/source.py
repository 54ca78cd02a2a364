"""Shards as a Source: tars that exist, ours or of another tool, which --root names by paths and patterns.

The shards are found when the source is opened, and a condition of --where is parsed then. The scan lists them. Nothing
is unpacked, and nothing is kept: to list shards again takes little.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Archive, Listing, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.archive_index import archive_at, refuse_changed_archives
from parallel_sharder.sources.key_rule import key_of
from parallel_sharder.sources.shards.expand import expand
from parallel_sharder.sources.shards.scan import scan
from parallel_sharder.sources.shards.where import parse
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.text import first_few

if TYPE_CHECKING:
    from parallel_sharder.sources.spool import Scratch

_SHOWN = 5


class ShardsSource:
    """The shards that --root names. It is a Source."""

    def __init__(self, options: SourceOptions) -> None:
        self._paths, self._passed_over, self._others = expand(options.root)
        self._options = options
        self._condition = None if options.where is None else parse(options.where)
        self._archives: Sequence[Archive] = ()
        folders = dict.fromkeys(os.path.dirname(path) or "." for path in self._paths)
        self.folders: Sequence[Path] = [Path(folder) for folder in folders]
        self.kind = SetKind("shards", "shards", None, _name_of(self.folders[0]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: nothing is unpacked."""

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing, as Source says."""
        del scratch  # nothing is unpacked
        listing = scan([*map(archive_at, self._paths)], self._options, self._condition, engine, monitor.scanning)
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

    def spool_bytes(self, listing: Listing) -> int:
        """Return 0: nothing is unpacked."""
        del listing
        return 0

    def keep_scan(self) -> None:
        """Do nothing, as said above."""

    def share(self, listing: Listing) -> Listing:
        """Return the listing: nothing was unpacked for it."""
        return listing

    def refuse_changes(self) -> None:
        """Raise SourceError if a shard has changed since the scan."""
        refuse_changed_archives(self._archives)


def _name_of(folder: Path) -> str:
    """Return the name of the folder, made safe, for the name of the set."""
    name = os.path.basename(os.path.abspath(folder))
    return key_of(os.fsencode(name)).decode("ascii") or "shards"
