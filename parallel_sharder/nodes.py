"""The nodes of an array job: several runs, on several hosts, that write one set, and know each other by files alone.

Each node holds a lock of its own, `.SET.node-3-of-16.lock`, so that no node runs twice. A run without node, which takes
all that is missing, holds another, and the two kinds exclude each other. The last node publishes: after its own shards
it takes the lock of publishing, reads all journals anew, and then decides. The locks are leases (see stores.lease),
which hold across hosts.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from parallel_sharder.destination import make_folder
from parallel_sharder.errors import DestinationError, OptionsError
from parallel_sharder.journal.journal import Journal
from parallel_sharder.listing_file import ListingFile, ListingFileError
from parallel_sharder.model import Plan, ShardRecord
from parallel_sharder.monitor.monitor import Monitor, waiting_for
from parallel_sharder.node import Node, of_nodes
from parallel_sharder.options import Options
from parallel_sharder.resume import is_there
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.stores.lease import STALE_SECONDS
from parallel_sharder.stores.lease_record import LeaseState
from parallel_sharder.stores.store import Lease, Waiting
from parallel_sharder.text import counted, duration

CLOCK_SECONDS = 3600
"""How far the clock of a host may be from that of the storage, whose time files get. A host that is a day off would
show wrong signs of life; a few minutes do no harm."""

LOOK_SECONDS = 5.0
"""How often a node looks whether its lock was taken over. It costs the storage a question; until then, both write the
same bytes."""


def watching(monitor: Monitor) -> Waiting:
    """Return what to call while a lock is watched: the monitor hears once why, and then for how long."""
    most = f"for {STALE_SECONDS:.0f} s at most"
    return waiting_for(monitor, lambda whom: f"{whom} may be dead: its lock is watched for a sign of life, {most}")


def is_shared(options: Options) -> bool:
    """Return whether the set is one that the nodes of an array write, or have begun to write."""
    return options.is_of_array or options.pattern.files.has_array()


class Gathered(NamedTuple):
    """The records of the set's shards that are there, in order of number; which are missing; and this run's `own`."""

    records: Sequence[ShardRecord]
    missing: Sequence[int]
    own: Sequence[ShardRecord]

    @property
    def of_set(self) -> tuple[Sequence[ShardRecord], Sequence[int]]:
        """The records and the missing numbers."""
        return self.records, self.missing


class Array:
    """The runs that write the set of `options` together, and this one's place among them; see `joined`.

    `lease` is the lock of this run; None if it is the only one.
    """

    def __init__(self, options: Options, monitor: Monitor, lease: Lease | None) -> None:
        self.lease = lease
        self._options = options
        self._monitor = monitor
        self._files = options.pattern.files

    def refuse_begun(self) -> None:
        """Raise DestinationError if nodes have begun to write the set since this run found that it is of one run.

        It is called when the run holds its journal, which the nodes look at when they hold their locks.
        """
        if self.lease is None and is_shared(self._options):
            raise DestinationError(
                "nodes of an array have begun to write this set, while this run listed the source. Wait for their end, "
                "or stop them; the same command then takes all that is missing."
            )

    def telling(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """Return the `progress` of a monitor, which also tells the other runs; it raises if the lock is lost."""
        lease = self.lease
        if lease is None:
            return progress
        started = looked = time.monotonic()

        def tell(samples: int, tar_bytes: int) -> None:
            nonlocal looked
            now = time.monotonic()
            if now - looked > LOOK_SECONDS:
                looked = now
                lease.refuse_lost()
            lease.tell({"samples": samples, "seconds": round(now - started, 1)})
            progress(samples, tar_bytes)

        return tell

    @contextlib.contextmanager
    def deciding(self, journal: Journal, made: Sequence[ShardRecord]) -> Iterator[None]:
        """Hold the lock of publishing inside the block, if several runs write the set; wait for it.

        Before that, what this run has `made` is recorded as its end: so whoever has the lock next sees it. With the
        lock, what a killed publisher has left unfinished is removed.
        """
        if self.lease is None:
            yield
            return
        journal.closed(sum(record.samples for record in made))
        path, store = self._files.publish_lock, store_of(self._files.folder)
        take_over, waiting = self._options.take_over, self._monitor.waiting
        with store.lease(path, what="publishing", take_over=take_over, waiting=waiting):
            store.remove_partials(self._files.folder, self._files.beside_names)
            self._remove_dead_lister()
            yield

    def _remove_dead_lister(self) -> None:
        """Remove the lock of a node of this host that was killed while it listed the source."""
        path, store = self._files.listing_lock, store_of(self._files.folder)
        lister = store.lease_at(path)
        if lister is not None and lister.is_dead:
            with store.lease(path, what="the listing"):
                pass  # it is taken over, and removed

    def gathered(self, journal: Journal, plan: Plan, own: Sequence[ShardRecord]) -> Gathered:
        """Return what is there of the set, with what other runs have recorded by now.

        Raises DestinationError if shards are missing and the run is to finish the set.
        """
        records = own
        if self.lease is not None:
            journal.read_others()
            records = [record for record in journal.done.values() if is_there(record)]
        done = {record.number for record in records}
        missing = [number for number in range(plan.shard_count) if number not in done]
        if self._options.finish:
            refuse_unfinished(missing, plan, self._files)
        return Gathered(sorted(records, key=lambda record: record.number), missing, own)


@contextlib.contextmanager
def joined(options: Options, monitor: Monitor) -> Iterator[Array]:
    """Hold the lock of this run among those of the set inside the block, if several runs write the set.

    Raises DestinationError if the same node runs already, if a run without node writes the set, or, for a run without
    node, if nodes are alive; and if the clock of this host is not that of the storage. Raises OptionsError for a node
    whose index is not known. The locks of dead runs that would exclude this one are removed.
    """
    if not is_shared(options):
        yield Array(options, monitor, None)
        return
    files, node = options.pattern.files, options.place
    store = store_of(files.folder)
    if node is not None and not node.is_placed:  # it has no lock of its own
        refuse_misplaced(node, left_for(files), files)
    made = make_folder(options.pattern)
    what = f"node {node}" if node is not None else f"the set {files.name}"
    try:
        with store.lease(
            files.lock_of(node), what=what, take_over=options.take_over, watching=watching(monitor)
        ) as lease:
            _refuse_alive(_others(options), options, monitor)
            _refuse_clock(files.lock_of(node))
            yield Array(options, monitor, lease)
    finally:
        store.remove_folders(made)  # only if nothing is in them


def _others(options: Options) -> Mapping[str, Node | None]:
    """Return the paths of the locks that exclude this run: those of nodes or, for a node, that of a run without."""
    files = options.pattern.files
    return files.node_locks() if options.place is None else {files.lock_of(None): None}


def _refuse_alive(others: Mapping[str, Node | None], options: Options, monitor: Monitor) -> None:
    """Raise DestinationError if one of the runs that have these locks is alive; the error names them all.

    The locks of dead runs are removed. A run that makes such a lock meanwhile finds that of this run, and is refused.
    A run that is alive nevertheless, and was only frozen, finds that its lock is gone, and stops.
    """
    files, store = options.pattern.files, store_of(options.pattern.folder)
    alive = store.live_owners(others, watching(monitor))
    if not alive:
        further = () if options.place is not None else (files.listing_lock, files.publish_lock)  # only nodes hold them
        for path in (*others, *further):
            store.remove(path)
        if options.place is not None and store.is_held(files.journal, watching(monitor)):
            raise DestinationError(
                f"a run without --node writes this set: it holds {files.journal}. Wait for its end, or stop it."
            )
        return
    raise _alive(alive, others, options)


def refuse_seen_alive(options: Options) -> None:
    """Raise DestinationError if a lock of another run looks as if that were alive; --dry-run does not watch it."""
    if is_shared(options):
        others, store = _others(options), store_of(options.pattern.folder)
        found = {path: state for path in others if (state := store.lease_at(path)) is not None}
        alive = {path: each for path, each in found.items() if not each.is_dead and each.age_seconds < STALE_SECONDS}
        if alive:
            raise _alive(alive, others, options)


def _alive(alive: Mapping[str, LeaseState], others: Mapping[str, Node | None], options: Options) -> DestinationError:
    """Return the error that other runs are at work, and what to do."""
    owners = [
        f"  node {others[path]}: {state.owner.words}" if others[path] else f"  {state.owner.words}"
        for path, state in alive.items()
    ]
    if options.place is not None:
        return DestinationError("a run without --node writes this set:", *owners, "Wait for its end, or stop it.")
    return DestinationError(
        f"{counted(len(alive), 'node')} of an array {'is' if len(alive) == 1 else 'are'} writing this set:",
        *owners,
        f"Wait for their end, or stop them; the same command then {_then(options)}.",
    )


def _then(options: Options) -> str:
    if options.finish:
        return "publishes the set, if all shards are there"
    return "begins anew" if options.overwrite else "takes all that is missing"


def _refuse_clock(path: str) -> None:
    """Raise DestinationError if the file at `path`, which was just written, has another time than this host."""
    ahead = time.time() - os.stat(path).st_mtime
    if abs(ahead) > CLOCK_SECONDS:
        raise DestinationError(
            f"the clock of {socket.gethostname()} is {duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} "
            f"that of the storage of {os.path.abspath(os.path.dirname(path))}, and at most "
            f"{duration(CLOCK_SECONDS)} are allowed. Set the clock, and start the node again."
        )


def refuse_misplaced(node: Node | None, made_for: dict[str, object] | None, files: SetFiles) -> None:
    """Raise OptionsError if the array of the set has another number of nodes, or if the node's index is not known.

    `made_for` is what the array's listing was made for; None if there is no listing.
    """
    if node is None:
        return
    count = made_for.get("nodes") if made_for else None
    if isinstance(count, int) and count != node.count:
        raise OptionsError([f"--node {_otherwise(node, files.listing, count, made_for or {})}"])
    if not node.is_placed:
        raise OptionsError(
            [
                f"--node: the array's {counted(node.count, 'number')} have gaps, so they do not say which share is "
                "whose; number the tasks from 0 (sbatch --array=0-15), or write --node I/N"
            ]
        )


def _otherwise(node: Node, listing: str, count: int, made_for: dict[str, object]) -> str:
    """Return what is wrong with a node of another count than the array's, and what to write instead."""
    first, step = made_for.get("first"), made_for.get("step")
    task = node.task
    if task is None or not isinstance(first, int) or not isinstance(step, int):
        return (
            f"{node} is one of {counted(node.count, 'node')}, and the set was begun with {count:,} ({listing} has the "
            f"record). Go on with --node I/{count}; or run once without --node, which takes all that is missing; or "
            "remove what was made with --overwrite, without --node, and begin anew"
        )
    index, rest = divmod(task.number - first, step)
    is_one = 0 <= index < count and not rest
    words = f"--node {index}/{count} does what this task is to do" if is_one else f"write --node I/{count}"
    return (
        f"alone is task {task.number} of an array of {task.count}, and the set was begun with {counted(count, 'node')} "
        f"({listing} has the record): {words}"
    )


def refuse_unfinished(missing: Sequence[int], plan: Plan, files: SetFiles) -> None:
    """Raise DestinationError if shards are missing, as --finish does; it names the nodes that have to write them."""
    if missing:
        are = f"{counted(len(missing), 'shard')} of {plan.shard_count:,} {'is' if len(missing) == 1 else 'are'} missing"
        raise DestinationError(
            f"{are}{of_nodes(missing, node_count(files))}, so nothing was published. Start the nodes that have to "
            "write them again; or run once without --node and without --finish, which takes all that is missing."
        )


def listing_of(files: SetFiles) -> ListingFile | None:
    """Return the listing that the nodes of a set share; None if there is none.

    Raises DestinationError if it is damaged.
    """
    try:
        return ListingFile(store_of(files.listing).read(files.listing))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise damaged(files, error.strerror or str(error)) from error
    except ListingFileError as error:
        raise damaged(files, str(error)) from error


def damaged(files: SetFiles, why: str) -> DestinationError:
    """Return the error that the listing cannot be used."""
    return DestinationError(
        f"{files.listing} cannot be used: {why}. Remove it, and start the nodes again: the first one lists the source "
        "anew. Nothing that was written is lost."
    )


def left_for(files: SetFiles) -> dict[str, Any]:
    """Return what the listing of an array was made for; nothing if there is no listing, or none that is whole."""
    with contextlib.suppress(DestinationError, ListingFileError):
        found = listing_of(files)
        return {} if found is None else found.made_for
    return {}


def node_count(files: SetFiles) -> int:
    """Return how many nodes the array of a set has, by the names of their journals; 0 if it has no array."""
    return max((node.count for node in files.journals().values() if node is not None), default=0)
