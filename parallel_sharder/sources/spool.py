"""The spool: the temporary file of a source, to which annotations are unpacked, and rows of a table are written.

`Scratch` says where a source has its spool and keeps its index: beside the shards, or in the system's folder for
temporary files. A run locks its spool until it removes it. So the next run can tell the spools of killed runs, which
it removes, from spools in use.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from parallel_sharder.destination import make_folder
from parallel_sharder.errors import DestinationError, unwritable
from parallel_sharder.model import Listing
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.staging.look import Look, Looked
from parallel_sharder.staging.stage import NO_STAGE, Stage
from parallel_sharder.stores import store_of
from parallel_sharder.stores.scratch import ScratchFile, keep, remove_left


@dataclass(frozen=True)
class Scratch:
    """Where a source has its files: beside the shards of the pattern `beside`, or with the system's temporary files.

    A preview has no spool. It only counts what would be unpacked. Archives that are read through are copied to the
    `stage`, if it has a folder; with `look`, what it returns of each image in them is kept.
    """

    beside: ShardPattern | None = None
    is_preview: bool = False
    stage: Stage = NO_STAGE
    look: Look | None = None

    @property
    def index_path(self) -> str | None:
        """The path at which the index of an archive is kept; None if it is not kept."""
        return self.beside.files.archive_directory if self.beside is not None else None

    def spool(self, *, needed: bool) -> AbstractContextManager[str | None]:
        """Hold an empty, locked file inside the block, and return its path; None if `needed` is False or in a preview.

        Spools of killed runs are removed first. Raises DestinationError if the file cannot be created.
        """
        if self.is_preview:
            return nullcontext()
        return _spool_beside(self.beside, needed) if self.beside is not None else _spool_elsewhere(needed)

    def keep(self, spool: str) -> str:
        """Keep the spool beside the shards, for other runs, and return its new path. Raises DestinationError."""
        assert self.beside is not None  # noqa: S101 - a source without shards is not shared
        try:
            keep(spool, self.beside.files.kept_spool)
        except OSError as error:
            raise unwritable(self.beside.files.kept_spool, error) from error
        return self.beside.files.kept_spool


class SpooledSource:
    """What sources have in common: the spool, which lasts as long as the source is open, and what most leave undone.

    A source calls `_take_spool` in its scan, if it may have to unpack something; without that it has no spool.
    """

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._spool: str | None = None
        self.looked: Sequence[Looked] = ()
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def _take_spool(self, scratch: Scratch, *, needed: bool) -> str | None:
        """Return the path of the spool, as Scratch.spool does."""
        self._scratch = scratch
        self._spool = self._exits.enter_context(scratch.spool(needed=needed))
        return self._spool

    @property
    def packed(self) -> Sequence[str]:
        """As Source says: there are none."""
        return ()

    @property
    def holds_other_splits(self) -> bool:
        """As Source says: they do not."""
        return False

    def adopt(self, listing: Listing) -> None:
        """As Source says; nothing of the listing is needed here."""

    def spool_bytes(self, listing: Listing) -> int:
        """As Source says: nothing is unpacked."""
        del listing
        return 0

    def keep_scan(self) -> None:
        """As Source says; nothing is kept, and a resumed run scans again."""

    def share(self, listing: Listing) -> Listing:
        """As Source says: the spool is kept, if there is one."""
        if self._spool is None:
            return listing
        kept = self._scratch.keep(self._spool)
        places = (place._replace(path=kept) if place.path == self._spool else place for place in listing.places)
        return dataclasses.replace(listing, places=tuple(places))

    def refuse_changes(self) -> None:
        """As Source says; a loose file that has changed is found when it is read."""


@contextlib.contextmanager
def _spool_beside(pattern: ShardPattern, needed: bool) -> Iterator[str | None]:
    """Hold an empty file beside the shards inside the block, and yield its path; None if it is not needed.

    Spools of killed runs are removed first. Raises DestinationError if the file cannot be created.
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
            f"{os.path.abspath(pattern.folder)}, where the scan has a temporary file, cannot be written and locked: "
            f"{error.strerror or error}. Mend that, or choose another --dest."
        ) from error
    try:
        yield file.path
    finally:
        file.remove()
        store_of(pattern.folder).remove_folders(made)


@contextlib.contextmanager
def _spool_elsewhere(needed: bool) -> Iterator[str | None]:
    """Hold an empty file in the system's folder for temporary files, and yield its path; None if it is not needed."""
    if not needed:
        yield None
        return
    try:
        place = os.path.join(tempfile.gettempdir(), "parallel_sharder.annotations")
        remove_left(place)
        file = ScratchFile(place, is_private=True)  # all users write to that folder
    except OSError as error:
        raise DestinationError(
            f"no temporary file can be made for the scan: {error.strerror or error}. Name a folder with room "
            "for it in the variable TMPDIR."
        ) from error
    try:
        yield file.path
    finally:
        file.remove()
