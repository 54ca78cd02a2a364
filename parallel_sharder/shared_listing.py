"""The shared listing: the source is listed once for all nodes of an array, by the node that comes first.

The first node scans the source and leaves the listing beside the journals, with what it was made for: the fingerprint
of the set, the number of nodes, and the command. A node that comes meanwhile waits. A node that comes later takes the
listing, after it has compared 1,000 of the source's files with it. What is listed differently, or made for another set,
stops the node. The bytes of the file are listing_file's.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np

from parallel_sharder import __version__
from parallel_sharder.errors import DestinationError, SourceError, unwritable
from parallel_sharder.host_check import versions
from parallel_sharder.journal.fingerprint import Fingerprint, refuse_other
from parallel_sharder.listing_file import Folders, ListingFileError, to_bytes
from parallel_sharder.model import Listing, Plan
from parallel_sharder.monitor.monitor import Monitor, waiting_for
from parallel_sharder.node import Node
from parallel_sharder.nodes import damaged, listing_of, refuse_misplaced
from parallel_sharder.options import Options
from parallel_sharder.resume import archives_by_entry
from parallel_sharder.sources.source import Source
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted

COMPARED_FILES = 1000
"""How many files of the source a node compares with the listing. Each costs a network file system a question or two; a
thousand show another copy of the source, or one that is still being copied."""


_BEGIN_ANEW = (
    "(A node does not take --overwrite: a run without --node does, and then writes the whole set. If no shard is "
    "written yet, it is enough to remove {} and the journals beside it.)"
)


class SharedListing:
    """The listing of the set that `options` name, as a context manager; without a node it takes and leaves nothing.

    Inside the block, `taken` is called first, and `settle` with the listing and the plan. Between the two, a node that
    has to scan holds the lock of the listing.
    """

    def __init__(self, options: Options, monitor: Monitor) -> None:
        self._options = options
        self._monitor = monitor
        self._files = options.pattern.files
        self._folders = Folders(options.root_folder, options.pattern.folder)
        self._made_for: dict[str, Any] | None = None
        self._has_taken = False
        self._lock = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def taken(self, source: Source) -> Listing | None:
        """Return the listing that another node has left; None if this run has to scan.

        Raises DestinationError for a file that is no whole listing, OptionsError if it was made for another number of
        nodes, and SourceError if the source's files are not as it says.
        """
        if not self._options.is_of_array:
            return None
        listing = self._read()
        if listing is None and self._options.finish:
            raise DestinationError(
                f"there is no {self._files.listing}, which --finish needs. Start any node of the set: it lists the "
                "source, and publishes if all shards are there."
            )
        if listing is None:
            self._wait()
            listing = self._read()
        if listing is None:
            refuse_misplaced(self._options.place, None, self._files)
            return None
        self._lock.close()
        self._compare(listing)
        source.adopt(listing)
        self._has_taken = True
        return listing

    def settle(self, source: Source, listing: Listing, plan: Plan, made_from: Fingerprint) -> Listing:
        """Leave the listing for the other nodes, if this run has scanned, and return it with the places it is kept at.

        `made_from` is the fingerprint of the set.
        Raises DestinationError if the set is another one than that of the listing, by seed, limits or source.
        """
        node = self._options.place
        if self._made_for is not None:
            before = self._made_for.get("fingerprint")
            if not isinstance(before, dict):
                raise damaged(self._files, "it does not say what it was made for")
            try:
                refuse_other(self._files.listing, before, made_from, archives_by_entry(listing))
            except DestinationError as error:
                raise DestinationError(*error.args, _BEGIN_ANEW.format(self._files.listing)) from None
        if node is not None and not self._has_taken:
            listing = self._leave(source, listing, node, made_from)
        if node is not None:
            share, shards = len(node.share(plan.shard_count)), counted(plan.shard_count, "shard")
            what = f"{counted(share, 'shard')} of {plan.shard_count:,}" if share else f"nothing: the set has {shards}"
            self._monitor.noticed(f"node {node} writes {what}")
        return listing

    def _leave(self, source: Source, listing: Listing, node: Node, made_from: Fingerprint) -> Listing:
        """Write the listing for the other nodes."""
        listing = source.share(listing)
        data = to_bytes(listing, self._folders, self._purpose(node, made_from))
        try:
            store_of(self._files.listing).put(self._files.listing, data, lambda _: True)
        except OSError as error:
            raise unwritable(self._files.listing, error) from error
        self._lock.close()
        return listing

    def _read(self) -> Listing | None:
        """Return the listing in the file; None if there is none, or what it needs was removed since."""
        file = listing_of(self._files)
        if file is None:
            return None
        try:
            refuse_misplaced(self._options.place, file.made_for, self._files)
            self._refuse_versions(file.made_for)
            listing = file.listing(self._folders)
        except ListingFileError as error:
            raise damaged(self._files, str(error)) from error
        self._made_for = file.made_for
        spool = self._files.kept_spool
        needs_spool = any(place.path == spool for place in listing.places) and not self._options.finish
        if needs_spool and not store_of(spool).exists(spool):
            return None  # it was removed when the set was published
        return listing

    def _wait(self) -> None:
        """Take the lock of the listing; wait while another node makes it."""
        waiting = waiting_for(
            self._monitor, lambda _: "another node lists the source, and this one waits for its listing"
        )
        path = self._files.listing_lock
        lease = store_of(path).lease(path, what="the listing", take_over=self._options.take_over, waiting=waiting)
        self._lock.enter_context(lease)
        name = os.path.basename(self._files.listing)
        store_of(path).remove_partials(self._files.folder, re.escape(name))  # of a node that was killed

    def _purpose(self, node: Node, made_from: Fingerprint) -> dict[str, Any]:
        """Return what the listing is made for; `first` and `step` are those of the Slurm array, if it is one."""
        return {
            "fingerprint": dict(made_from),
            "nodes": node.count,
            "first": node.task.first if node.task else 0,
            "step": node.task.step if node.task else 1,
            "versions": _versions(),
            "host": socket.gethostname(),
            "command": self._options.command(),
        }

    def _refuse_versions(self, made_for: dict[str, Any]) -> None:
        """Raise DestinationError if this host has other versions of what decides bytes than the one that listed."""
        before = made_for.get("versions")
        if not isinstance(before, dict):
            raise ListingFileError("it does not say with which versions it was made")
        for name, version in _versions().items():
            if before.get(name) != version:
                raise DestinationError(
                    f"{socket.gethostname()} has {version}, and {made_for.get('host')}, which began the set, "
                    f"{before.get(name)} ({self._files.listing} has the record). Install the same version of {name} on "
                    "all hosts; or run once without --node, which takes all that is missing."
                )

    def _compare(self, listing: Listing) -> None:
        """Raise SourceError if one of COMPARED_FILES files of the source is not as listed. Each node draws others."""
        index = self._options.place.index if self._options.place is not None else 0
        remedy = (
            "this is another copy of the source, or it has changed. Name the same data set on all nodes; if it has "
            "changed, begin anew with --overwrite, without --node."
        )
        for path, size, mtime_ns in _drawn(listing, index):
            try:
                found = os.stat(path)
            except OSError as error:
                raise SourceError(
                    f"{path} cannot be read: {error.strerror}. {self._files.listing} lists it with "
                    f"{counted(size, 'byte')}: name the same data set with --root, where this host sees it."
                ) from error
            if found.st_size != size:
                has = counted(found.st_size, "byte")
                raise SourceError(f"{path} has {has}, and {self._files.listing} lists {size:,}: {remedy}")
            if mtime_ns not in (None, found.st_mtime_ns):
                has = "another modification time than the one in"
                raise SourceError(f"{path} has {has} {self._files.listing}: {remedy} (cp -p keeps the time.)")


def _versions() -> dict[str, str]:
    """Return the versions, by name, of this package and of what decides bytes besides it."""
    return {"parallel_sharder": f"parallel_sharder {__version__}", **dict(versions())}


def _drawn(listing: Listing, seed: int) -> Iterator[tuple[str, int, int | None]]:
    """Yield the path and the size of files: of loose ones drawn by this seed, and, with their times, of archives."""
    yield from listing.archives
    left = COMPARED_FILES
    rows = np.random.default_rng(seed).permutation(len(listing))[:COMPARED_FILES] if len(listing) else ()
    for row in map(int, rows):
        for part in listing.parts:
            if part.extent is None and part.size[row] >= 0 and left:
                left -= 1
                yield listing.path_of(part, row), int(part.size[row]), None


def forget(options: Options) -> None:
    """Remove what nodes have listed and unpacked, because the set is begun anew."""
    files = options.pattern.files
    store = store_of(files.folder)
    store.remove(files.listing)
    store.remove(files.kept_spool)


def forget_spool(options: Options) -> None:
    """Remove what was unpacked for the nodes, because all shards are published."""
    store_of(options.pattern.folder).remove(options.pattern.files.kept_spool)
