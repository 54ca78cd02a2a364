"""Class folders as a Source: the arrangement is found when the source is opened, and the scan lists the files.

All files are loose, so nothing is unpacked or kept, and a file that changes is found when it is read.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.model import Listing, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.class_folders.arrangement import arrangement_at
from parallel_sharder.sources.class_folders.scan import scan
from parallel_sharder.sources.key_rule import key_of
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch


class ClassFoldersSource:
    """One split of a set of images in class folders, or the whole set if it has no splits. It is a Source."""

    def __init__(self, options: SourceOptions) -> None:
        root = Path(options.folder)
        if not root.is_dir():
            raise SourceError(f"{root} is no folder. Name the folder that holds the class folders with --root.")
        self._options = options
        self._arrangement = arrangement_at(root, options.split)
        self.folders = [root, self._arrangement.folder]
        self.kind = SetKind("folders", "folders", self._arrangement.split, set_name(root))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing, as Source says."""
        del scratch
        return scan(self._arrangement, self._options, engine, monitor.scanning)

    def adopt(self, listing: Listing) -> None:
        """Take the Listing, as Source says; it holds nothing that is needed here."""

    def spool_bytes(self, listing: Listing) -> int:
        """Return 0: nothing is unpacked."""
        del listing
        return 0

    def keep_scan(self) -> None:
        """Keep nothing: loose files are listed again."""

    def share(self, listing: Listing) -> Listing:
        """Return the listing, because nothing was unpacked."""
        return listing

    def refuse_changes(self) -> None:
        """Do nothing: a loose file that has changed is found when it is read."""


def set_name(root: Path) -> str:
    """Return the name of a set by its root folder, made safe by the key rule."""
    return key_of(os.fsencode(root.resolve().name)).decode("ascii") or "images"
