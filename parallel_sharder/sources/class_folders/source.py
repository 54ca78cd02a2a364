"""Class folders as a Source: the arrangement is found when the source is opened, and the scan lists the files.

All files are loose, so nothing is unpacked or kept, and a file that changes is found when it is read.
"""

from __future__ import annotations

import os
from pathlib import Path

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.model import Listing, SetKind
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.class_folders.arrangement import arrangement_at
from parallel_sharder.sources.class_folders.scan import scan
from parallel_sharder.sources.key_rule import set_name
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch, SpooledSource


class ClassFoldersSource(SpooledSource):
    """One split of a set of images in class folders, or the whole set if it has no splits. It is a Source."""

    def __init__(self, options: SourceOptions) -> None:
        super().__init__()
        root = Path(options.folder)
        if not root.is_dir():
            raise SourceError(f"{root} is no folder. Name the folder that holds the class folders with --root.")
        self._options = options
        self._arrangement = arrangement_at(root, options.split)
        folder = self._arrangement.folder
        classes = (folder / name for name in self._arrangement.classes[self._arrangement.split])
        # Links are added, because they lead to other folders.
        self.folders = [root, folder, *(path for path in classes if os.path.islink(path))]
        self.kind = SetKind("folders", "folders", self._arrangement.split, set_name(options.folder, "images"))

    def scan(self, engine: Engine, monitor: Monitor, scratch: Scratch) -> Listing:
        """Return the Listing, as Source says."""
        del scratch  # nothing is unpacked
        return scan(self._arrangement, self._options, engine, monitor.scanning)
