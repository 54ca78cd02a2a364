"""The stage: the folder of a run's staging files, on a disk that gives bytes in any order at once.

`Stage.filled` copies the files of a Listing there, on the workers, and returns the Listing with the places of the
copies. Whole stretches that an earlier run has left are kept. When the set is published, the files that it used are
removed, unless they are to serve the next split or seed. No run removes files that another run uses.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import numpy as np

from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import DestinationError, unwritable
from parallel_sharder.model import Archive, Listing, Place
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.setfiles import COPY_SUFFIX, STRETCH_SUFFIX
from parallel_sharder.staging.copy import (
    SUFFIXES,
    Copying,
    check,
    checks_of,
    copied_bytes,
    copying,
    paths_of,
)
from parallel_sharder.staging.done import done
from parallel_sharder.staging.stretch import Staged, read_notes, stage
from parallel_sharder.staging.stretches import Files
from parallel_sharder.staging.through import copy_through
from parallel_sharder.stores import store_of
from parallel_sharder.stores.packing import is_packed
from parallel_sharder.stores.store import Store
from parallel_sharder.stores.use import Use
from parallel_sharder.text import counted, size

_NAMES = rf"[0-9a-f]{{32}}\{STRETCH_SUFFIX}"
_ANOTHER = "Mend that, or name another folder with --stage."


class StageRoom(NamedTuple):
    """The room for a stage in `folder`, in bytes: needed at least for what is not there yet, and free.

    The shards may take theirs beside it.
    """

    folder: str
    needed_bytes: int
    free_bytes: int
    is_beside_shards: bool


T = TypeVar("T")
R = TypeVar("R")


def _read_from(listing: Listing) -> list[Archive]:
    """Return the archives from which files of the listing are read; others have been unpacked already."""
    paths = {place.path for place in listing.places}
    return [archive for archive in listing.archives if archive.path in paths]


def _column(listing: Listing) -> str:
    """Return the column of a table that holds its images; "" for any other listing."""
    return listing.selection.get("image") or ""


def _ends(listing: Listing) -> dict[str, int]:
    """Return the offset behind the last file of the listing in each of its archives, by their paths."""
    ends: dict[str, int] = dict.fromkeys((place.path for place in listing.places), 0)
    for part in listing.parts:
        if part.extent is None:
            continue
        end = np.zeros(len(listing.places), np.int64)
        there = part.place >= 0
        np.maximum.at(end, part.place[there], part.extent[there, 0] + part.size[there])
        for place, its_end in zip(listing.places, end.tolist(), strict=True):
            ends[place.path] = max(ends[place.path], its_end)
    return ends


def _bytes_in(listing: Listing, path: str) -> int:
    """Return the bytes of the listing's files in the archive at `path`."""
    places = [number for number, place in enumerate(listing.places) if place.path == path]
    return sum(int(part.size[np.isin(part.place, places)].sum()) for part in listing.parts)


def is_stage(folder: str) -> bool:
    """Return whether anything is staged in the folder, whole or begun."""
    try:
        return any(name.endswith((STRETCH_SUFFIX, *SUFFIXES)) for name in store_of(folder).names(folder))
    except OSError:
        return False


class Stage:
    """The stage in `folder`, as a context manager: inside the block, no other run removes the files that it uses.

    Without a folder, nothing is staged. `dest` is the folder of the shards. A folder that `is_own` has the files of
    this set alone. With `keep`, they stay when the set is published. With `is_shared`, several hosts fill the stage and
    read from it. With `only`, a split, archives are copied for its files alone.
    """

    def __init__(
        self,
        folder: str | None,
        dest: str = "",
        *,
        is_own: bool,
        keep: bool = False,
        is_shared: bool = False,
        only: str = "",
    ) -> None:
        self.folder = folder or ""
        self._dest = dest
        self._is_own = is_own
        self._keep = keep
        self._is_shared = is_shared
        self._only = only
        self._use: Use | None = None
        self._is_open = False
        self._fresh: set[str] = set()
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def refuse_unusable(self) -> None:
        """Raise DestinationError if the folder cannot be written, or is none. Nothing is made."""
        if not self.folder:
            return
        try:
            self._store.refuse_unwritable(self.folder)
        except OSError as error:
            raise unwritable(self.folder, error, _ANOTHER) from error

    def copyings(self, archives: Sequence[Archive], column: str = "") -> list[Copying]:
        """Return how these archives are copied to the stage while they are read; without a folder they are only read.

        `column` names the images of Parquet files.
        Raises OSError if an archive cannot be read, and DestinationError if there is too little room.
        """
        found = self._copyings(archives, column)
        if self.folder:
            self._open()
            # How much of an archive is a split's is not known before.
            missing = (max(0, each.archive.size - copied_bytes(each.path)) for each in found if not each.only)
            self._refuse_full(sum(missing), 0)
            self._fresh |= {each.path for each in found if not self._store.is_file(each.path)}
        return found

    def copies(self, archives: Sequence[Archive], column: str = "") -> dict[str, str]:
        """Return the paths of whole copies in the stage, by those of their archives; none without a folder.

        `column` names the images of Parquet files.
        """
        found = self._copyings(archives, column) if self.folder else []
        return {each.archive.path: each.path for each in found if self._store.is_file(each.path)}

    def filled(self, listing: Listing, engine: Engine, monitor: Monitor, shard_bytes: int) -> Listing:
        """Return the listing with its files in the stage, where they are copied unless an earlier run has done that.

        Without a folder it is returned as it is. `shard_bytes` are to be written later. Raises DestinationError if
        there is too little room or the stage cannot be written, and Death if a worker dies.
        """
        if not self.folder:
            return listing
        self._open()
        with self._store.lock(self.folder, monitor.waiting, across_hosts=self._is_shared):
            self._store.remove_partials(self.folder, _NAMES)
            self._copy(listing, engine, monitor)
            listing = self._with_copies(listing)
            files = Files.of(listing, self._is_staged)
            stretches = [*files.stretches(self.folder, is_checked=not self._is_shared)]
            there = sum(stretch.total_bytes for stretch in stretches if read_notes(stretch.path) is not None)
            self._refuse_full(files.total_bytes - there, shard_bytes)
            staged = self._done(stage, {stretch: stretch.total_bytes for stretch in stretches}, engine, monitor)
        self._tell(listing, files, staged, monitor)
        return files.moved(staged)

    def room_for(self, listing: Listing) -> StageRoom | None:
        """Return the room that the stage of this listing takes; None without a folder."""
        if not self.folder:
            return None
        listing = self._with_copies(listing)
        ends = _ends(listing)
        packed = [each for each in self._copyings_of(listing) if is_packed(each.archive.path)]
        paths = {each.archive.path for each in packed}
        files = Files.of(listing, lambda place: place.path not in paths and self._is_staged(place))
        there = 0
        if self._store.is_folder(self.folder):
            stretches = files.stretches(self.folder)
            there = sum(each.total_bytes for each in stretches if read_notes(each.path) is not None)
        needed = files.total_bytes - there
        for each in packed:
            whole = max(each.archive.size, ends[each.archive.path])
            its_bytes = _bytes_in(listing, each.archive.path) if each.only else whole
            needed += max(0, its_bytes - copied_bytes(each.path))
        free = self._store.free_bytes(self.folder)
        return StageRoom(self.folder, needed, free, self._store.is_same_disk(self.folder, self._dest))

    def _copy(self, listing: Listing, engine: Engine, monitor: Monitor) -> None:
        """Copy the archives that have to be copied as a whole, and remove copies that are damaged."""
        copyings = self._copyings_of(listing)
        there = [each for each in copyings if self._store.is_file(each.path)]
        if not self._is_shared:
            tasks = {task: task.bytes for each in there if each.path not in self._fresh for task in checks_of(each)}
            for path in {task.path for task, is_whole in self._done(check, tasks, engine, monitor) if not is_whole}:
                self._store.remove(path)
        missing = [each for each in copyings if each.packing and not self._store.is_file(each.path)]
        self._done(copy_through, {each: each.archive.size for each in missing}, engine, monitor)

    def _with_copies(self, listing: Listing) -> Listing:
        """Return the listing with the places of the archives of which there are copies."""
        copies = self.copies(_read_from(listing), _column(listing))
        places = (place._replace(path=copies.get(place.path, place.path)) for place in listing.places)
        return dataclasses.replace(listing, places=tuple(places))

    def _is_staged(self, place: Place) -> bool:
        """Return whether files of a place go to the stage: not those of a copy there, nor those of the spool."""
        folder, name = os.path.split(place.path)
        is_copy = folder == self.folder and name.endswith(COPY_SUFFIX)
        return not is_copy and not (folder == self._dest and name.startswith("."))

    def remove(self, listing: Listing, noticed: Callable[[str], None]) -> None:
        """Remove the files of this listing, because the set is published; `noticed` is told if they stay."""
        if not self.folder or not self._store.is_folder(self.folder):
            return
        self._open()  # an earlier run may have been killed while it removed them
        names = {name for name in self._store.names(self.folder) if name.endswith((STRETCH_SUFFIX, *SUFFIXES))}
        if not self._is_own:
            used = {path for each in self._copyings_of(listing) for path in paths_of(each.path)}
            files = Files.of(self._with_copies(listing), self._is_staged)
            used.update(stretch.path for stretch in files.stretches(self.folder))
            others = names.difference(map(os.path.basename, used))
            names -= others
            if others:
                noticed(self._told_of(others))
        if not names:
            return
        if self._keep:
            noticed(f"{self.folder} keeps what was staged, as --keep-stage asks; remove it when it serves no more")
        elif self._use is not None and not self._use.is_alone():
            noticed(f"{self.folder} keeps what was staged, because another run uses the folder; remove it afterwards")
        else:
            for name in names:
                self._store.remove(os.path.join(self.folder, name))

    def _told_of(self, others: Collection[str]) -> str:
        total = 0
        for name in others:
            with contextlib.suppress(FileNotFoundError):  # another run has removed it
                total += self._store.size(os.path.join(self.folder, name))
        return (
            f"{self.folder} also has {counted(len(others), 'file')}, {size(total)}, that runs of other sources, or of "
            "an earlier state of this one, have staged; remove them when no run needs them"
        )

    @property
    def _store(self) -> Store:
        return store_of(self.folder)

    def _copyings_of(self, listing: Listing) -> list[Copying]:
        return self._copyings(_read_from(listing), _column(listing))

    def _copyings(self, archives: Sequence[Archive], column: str) -> list[Copying]:
        return [copying(archive, self.folder, column, self._only) for archive in archives]

    def _tell(self, listing: Listing, files: Files, staged: Sequence[Staged], monitor: Monitor) -> None:
        """Say what lies in the stage."""
        copies = {place.path for place in listing.places if os.path.dirname(place.path) == self.folder}
        of_copy = partial(_bytes_in, listing) if self._only else self._store.size
        copied_bytes = sum(map(of_copy, copies))
        what = [counted(len(copies), "archive")] if copies else []
        what += [counted(len(files.row), "file")] if len(files.row) else []
        words = f"staged {' and '.join(what)}, {size(files.total_bytes + copied_bytes)}, in {self.folder}"
        kept = sum(each.was_there for each in staged)
        if kept:
            words += f"; {kept:,} of {counted(len(staged), 'stretch', 'stretches')} kept from an earlier run"
        monitor.noticed(words)

    def _open(self) -> None:
        """Make the folder, and begin its use. What is made is removed at the end of the block, if it is empty."""
        if self._is_open:
            return
        self._is_open = True
        try:
            made = self._store.make_folder(self.folder)
            self._exits.callback(self._store.remove_folders, [self.folder] if self._is_own else made)
            if not self._is_own:
                self._use = Use(self.folder)
                self._exits.callback(self._use.close)
        except OSError as error:
            raise unwritable(self.folder, error, _ANOTHER) from error

    def _refuse_full(self, needed_bytes: int, shard_bytes: int) -> None:
        """Raise DestinationError if the stage has no room; shards need room beside it if they are on the same disk."""
        free = self._store.free_bytes(self.folder)
        beside = shard_bytes if self._store.is_same_disk(self.folder, self._dest) else 0
        needed = needed_bytes + beside
        if free < needed:
            shards = f", and the shards on the same disk up to {beside:,}" if beside else ""
            raise DestinationError(
                f"{self.folder} has {counted(free, 'byte')} free, and staging needs {needed_bytes:,}{shards}. Make "
                f"{counted(needed - free, 'byte')} of room, or name a folder on another disk with --stage."
            )

    def _done(
        self, function: Callable[[T, Progress], R], tasks: Mapping[T, int], engine: Engine, monitor: Monitor
    ) -> list[R]:
        """Return what `done` does; if that is stopped, no unfinished stretch stays."""
        try:
            return done(function, tasks, "staging MB", engine, monitor)
        except BaseException:
            engine.stop()
            with contextlib.suppress(OSError):
                self._store.remove_partials(self.folder, _NAMES)
            raise


NO_STAGE = Stage(None, is_own=False)
"""The stage without a folder, in which nothing is staged."""
