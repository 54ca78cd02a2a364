"""ImageNet as a Source: its layout is found when it is opened; the scan checks, indexes and lists what lies there."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from types import TracebackType
from typing import Self

from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Archive, Listing, Role
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.archive_index import ArchiveIndex, archive_at, refuse_changed_archives
from parallel_sharder.sources.imagenet.checksums import check_archives
from parallel_sharder.sources.imagenet.classes import read_classes
from parallel_sharder.sources.imagenet.layouts import find_layout
from parallel_sharder.sources.imagenet.scan import scan
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch


class ImageNetSource:
    """One split of ImageNet, in any of the layouts of options.LAYOUTS; it answers to Source."""

    def __init__(self, options: SourceOptions, scratch: Scratch) -> None:
        layout = find_layout(options.root, options.split, options.xml_root, options.meta, options.layout)
        self.folders = layout.folders
        self._layout = layout if options.wants_annotations else layout.without_annotations()
        self._options = options
        self._scratch = scratch
        self._spool: str | None = None
        self._index: ArchiveIndex | None = None
        self._archives: tuple[Archive, ...] = ()
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._spool = self._exits.enter_context(self._scratch.spool(needed=self._layout.needs_spool))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def scan(self, engine: Engine, monitor: Monitor) -> Listing:
        """As Source says. Archives are compared with their published MD5 first, if that is wanted."""
        layout, index_path = self._layout, self._scratch.index_path
        checked = check_archives(layout, monitor.working) if self._options.check_archives else ()
        if index_path is not None and not layout.images.is_dir():
            self._index = ArchiveIndex(index_path, archive_at(str(layout.images)), layout.split)
        classes = read_classes(layout.class_list, self._options.labels) if layout.class_list else ()
        listing = scan(layout, classes, engine, monitor.scanning, self._spool, self._index)
        self._archives = listing.archives
        self.folders = [*self.folders, *(Path(place.path) for place in listing.places)]  # links to folders among them
        if checked:
            row = "checked", f"{', '.join(checked)}: as published, by MD5"
            listing = dataclasses.replace(listing, found=(*listing.found, row))
        return listing

    def spool_bytes(self, listing: Listing) -> int:
        """As Source says: annotations in a compressed archive are unpacked."""
        return int(listing.part(Role.ANNOTATION).size.clip(0).sum()) if self._layout.needs_spool else 0

    def keep_scan(self) -> None:
        """As Source says: what an archive of images holds is kept."""
        if self._index is not None:
            self._index.save()

    def refuse_changes(self) -> None:
        """As Source says: archives are compared with what they were; a file by itself is, when it is read."""
        refuse_changed_archives(self._archives)
