"""The scratch of a source: the files that it needs while it is read, and where they lie.

The spool is the file that annotations from a compressed archive are unpacked to. Whoever has one holds a lock on it for
as long. So what killed runs have left can be told from what is in use, and the next run removes it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from parallel_sharder.destination import make_folder
from parallel_sharder.errors import DestinationError
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.stores import store_of
from parallel_sharder.stores.scratch import ScratchFile, remove_left


@dataclass(frozen=True)
class Scratch:
    """Where a source has the files that it needs while it is read: beside shards, or with the system's temporary files.

    A preview has no spool: what would be unpacked to it is counted.
    """

    beside: ShardPattern | None = None
    is_preview: bool = False

    @property
    def index_path(self) -> str | None:
        """The path at which the index of an archive is kept; None if it is not kept."""
        return self.beside.files.archive_directory if self.beside is not None else None

    def spool(self, *, needed: bool) -> AbstractContextManager[str | None]:
        """Give the path of an empty file, which is removed when the context is left; None if none is needed, or had.

        What killed runs have left of theirs is removed first. Raises DestinationError if the file cannot be made.
        """
        if self.is_preview:
            return nullcontext()
        return _spool_beside(self.beside, needed) if self.beside is not None else _spool_elsewhere(needed)


@contextlib.contextmanager
def _spool_beside(pattern: ShardPattern, needed: bool) -> Iterator[str | None]:
    """The path of an empty file beside the shards, removed on the way out; None if none is needed.

    What killed runs have left of theirs is removed first. Raises DestinationError if the file cannot be made.
    """
    remove_left(pattern.files.spool)
    if not needed:
        yield None
        return
    made = make_folder(pattern)
    try:
        file = ScratchFile(pattern.files.spool)
    except OSError as error:
        raise DestinationError(
            f"{os.path.abspath(pattern.folder)}, where annotations are unpacked to, cannot be written and locked: "
            f"{error.strerror or error}. Mend that, or choose another --dest."
        ) from error
    try:
        yield file.path
    finally:
        file.remove()
        store_of(pattern.folder).remove_folders(made)


@contextlib.contextmanager
def _spool_elsewhere(needed: bool) -> Iterator[str | None]:
    """The same in the system's folder for temporary files, for whoever writes nothing else."""
    if not needed:
        yield None
        return
    try:
        place = os.path.join(tempfile.gettempdir(), "parallel_sharder.annotations")
        remove_left(place)
        file = ScratchFile(place, is_private=True)  # that folder is everybody's
    except OSError as error:
        raise DestinationError(
            f"no temporary file can be made for the annotations: {error.strerror or error}. Name a folder with room "
            "for them in the variable TMPDIR."
        ) from error
    try:
        yield file.path
    finally:
        file.remove()
