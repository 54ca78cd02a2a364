"""ImageNet as a Source: its layout is found when the source is opened, and the scan checks and lists the files.

It also holds the spool for annotations, keeps the index of the images' archive, and refuses archives that have changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from parallel_sharder.engines.engine import Engine
from parallel_sharder.model import Archive, Listing, Role, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.archive_index import ArchiveIndex
from parallel_sharder.sources.imagenet.checksums import check_archives
from parallel_sharder.sources.imagenet.classes import read_classes
from parallel_sharder.sources.imagenet.layouts import find_layout
from parallel_sharder.sources.imagenet.scan import scan
from parallel_sharder.sources.imagenet.survey import survey_through
from parallel_sharder.sources.kept_index import archive_at, refuse_changed_archives
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch, SpooledSource
from parallel_sharder.stores.packing import is_packed


class ImageNetSource(SpooledSource):
    """One split of ImageNet in any layout of options.IMAGENET_LAYOUTS. It is a Source."""

    def __init__(self, options: SourceOptions) -> None:
        super().__init__()
        split = options.split or "train"
        layout = find_layout(options.folder, split, options.xml_root, options.meta, options.layout)
        self.kind = SetKind(options.layout or "tree", "", split, "imagenet")
        self.folders = layout.folders
        self._layout = layout if options.wants_annotations else layout.without_annotations()
        self._options = options
        self._index: ArchiveIndex | None = None
        self._archives: tuple[Archive, ...] = ()

    @property
    def packed(self) -> Sequence[str]:
        """As Source says."""
        return [path for path in self._layout.image_archives if is_packed(path)]

    @property
    def holds_other_splits(self) -> bool:
        """As Source says."""
        return self._layout.archive_form == "tree" and not self._layout.is_zip

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing, as Source says. With `check_archives`, archives are first compared with their MD5."""
        layout, index_path = self._layout, scratch.index_path
        checked = check_archives(layout, monitor.working) if self._options.check_archives else ()
        looks_into_tree = scratch.look is not None and layout.archive_form == "tree" and bool(self.packed)
        spool = self._take_spool(scratch, needed=layout.needs_spool or looks_into_tree)
        if layout.image_archives:
            self._index = ArchiveIndex(index_path, [*map(archive_at, layout.image_archives)], layout.split)
            if self._index.found is None and (self.packed or (scratch.stage.folder and not layout.is_zip)):
                found = survey_through(layout, scratch.stage, engine, monitor, scratch.look, spool)
                self._index.found, self.looked = found
        classes = read_classes(layout.class_list, self._options.labels or "devkit") if layout.class_list else ()
        listing = scan(layout, classes, engine, monitor.scanning, spool, self._index)
        self.adopt(listing)
        if checked:
            row = "checked", f"{', '.join(checked)}: as published, by MD5"
            listing = dataclasses.replace(listing, found=(*listing.found, row))
        return listing

    def adopt(self, listing: Listing) -> None:
        """Take the Listing, as Source says."""
        self._archives = listing.archives
        # The places of the listing are added, because links may lead to other folders.
        self.folders = [*self.folders, *(Path(place.path) for place in listing.places)]

    def spool_bytes(self, listing: Listing) -> int:
        """Return the bytes of all annotations, if they are in a compressed archive, and 0 otherwise."""
        return int(listing.part(Role.ANNOTATION).size.clip(0).sum()) if self._layout.needs_spool else 0

    def keep_scan(self) -> None:
        """Write the index of the images' archive, as Source says."""
        if self._index is not None:
            self._index.save()

    def refuse_changes(self) -> None:
        """Raise SourceError if an archive has changed since the scan. Loose files are checked when they are read."""
        refuse_changed_archives(self._archives)
