"""Taking stock: which files of an earlier run stay, and which are removed before shards are written.

A file is removed only if the journal has a trace of it (size and digest), and only while the file has that trace; a
manifest proves itself by its own digest. Everything that stops the run is found before anything is removed. A node of
an array takes stock of its own share alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from parallel_sharder.catalog.manifest import is_manifest
from parallel_sharder.destination import refuse_taken
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError
from parallel_sharder.events import forget_events
from parallel_sharder.journal.journal import Journal, Taken
from parallel_sharder.model import Plan, ShardRecord
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.options import Options
from parallel_sharder.pages.page_file import forget_page
from parallel_sharder.publish import withdraw
from parallel_sharder.resume import intact
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.shared_listing import forget
from parallel_sharder.stores import store_of
from parallel_sharder.stores.traces import identify
from parallel_sharder.text import counted, there_are


class Stock(NamedTuple):
    """What an earlier run has left.

    `kept` are the records of the shards that are as recorded. `remade` are the paths of the finished shards that are
    not, or that lack samples which could not be read then. `damaged` are the numbers of shards under whose names a
    damaged copy may exist. `withdrawn` is whether indexes or a card listed shards that are removed. `notices` are
    sentences on the destination that people should know, and no errors.
    """

    kept: list[ShardRecord]
    remade: list[str]
    damaged: frozenset[int]
    withdrawn: bool
    notices: list[str]

    @property
    def kept_numbers(self) -> frozenset[int]:
        """The numbers of the shards that are kept."""
        return frozenset(record.number for record in self.kept)

    def worded(self, wording: Callable[[str], str]) -> Stock:
        """Return the stock with `wording` applied to each path and notice."""
        return self._replace(remade=[*map(wording, self.remade)], notices=[*map(wording, self.notices)])


def take_stock(options: Options, plan: Plan, engine: Engine, journal: Journal, monitor: Monitor) -> Stock:
    """Remove the files of an earlier run that have to be made again, and return what is left of that run.

    Raises DestinationError for a file that has the name of a file of the set and that this tool may not have made. A
    file under the name of a shard that was begun, but not recorded as done, stays: the new shard is compared with it.
    """
    pattern, store = options.pattern, store_of(options.pattern.folder)
    notices = _notices(options, journal)
    share = options.numbers(plan.shard_count)
    own = _own_names(options, plan, journal)
    refuse_taken(pattern, [each.path for each in journal.taken()], _note(options.journal_path, journal), own)
    recorded = {number: record for number, record in journal.done.items() if options.place is None or number in share}
    kept = [] if options.overwrite else intact(recorded.values(), engine, _reads_all(options, journal))
    stay = {record.number for record in kept}
    remade = (
        sorted(recorded[number].path for number in recorded.keys() - stay)
        if not (options.overwrite or options.finish)
        else []
    )
    is_complete = stay.issuperset(share)
    there = [
        each
        for each in journal.taken()
        if (not is_complete if each.number is None else _is_to_go(each.number, options, share, stay))
        and store.exists(each.path)
    ]
    ours = _ours(there, pattern.files, engine, journal, monitor)
    left = [each for each in there if each.path not in ours]
    _refuse_left([each.path for each in left if each.number is None or not journal.is_same], pattern.files.journal)

    lists_ours = bool(there) if options.place is not None else bool(journal.taken())
    withdrawn = not is_complete and lists_ours and withdraw(options, journal, monitor)
    for path, identity in ours.items():  # the manifest before the shards
        store.remove_identified(path, identity)
    shards = [(each.number, each.path) for each in left if each.number is not None]
    damaged = frozenset(number for number, path in shards if journal.traces(path))
    if options.overwrite:
        forget(options)
        forget_events(pattern.files)
        forget_page(pattern.files)
        store.sync_folder(pattern.folder)  # or a power cut could bring removed files back, without a record
        journal.begin_anew()
        journal.record(dealt=shards)
    if options.place is None:
        for path in journal.outdated():
            store.remove(path)
    store.remove_partials(pattern.folder, f"{pattern.file_names}|{pattern.files.hidden_names}", own)
    return Stock(kept, remade, damaged, withdrawn, notices)


def _is_to_go(number: int, options: Options, share: Container[int], stay: Container[int]) -> bool:
    """Return whether the file of a shard is removed if it is ours: it does not stay, and this run writes such shards.

    A run without node removes those too that only the plan of an earlier run had.
    """
    return number not in stay and not options.finish and (options.place is None or number in share)


def _own_names(options: Options, plan: Plan, journal: Journal) -> set[str] | None:
    """Return the names of the files that are a node's business; None for a run without node, whose all files are.

    The files beside the shards are among them while the node has shards to write, because nobody publishes until then.
    """
    if options.place is None:
        return None
    pattern, share = options.pattern, options.numbers(plan.shard_count)
    files = pattern.files
    beside = files.beside if any(number not in journal.done for number in share) else ()
    locks = (files.lock_of(options.place), files.listing_lock, files.publish_lock)
    paths = (*beside, options.journal_path, *locks, *(pattern.path(number) for number in share))
    return {os.path.basename(path) for path in paths}


def _notices(options: Options, journal: Journal) -> list[str]:
    pattern = options.pattern
    folder = os.path.abspath(pattern.folder)
    notices = []
    if what := journal.not_synced():
        notices.append(
            f"The file system of {folder} does not sync {what}: after a power cut, shards that were finished before it "
            "can be lost or damaged. The same command with --check finds them and makes them again."
        )
    if not store_of(pattern.folder).keeps_names(pattern.files.manifest):
        notices.append(
            f"The file system of {folder} can neither link files nor rename them without replacing others: a file that "
            "somebody else puts there under the name of a shard, in the moment in which that is finished, is lost."
        )
    if journal.damage is not None:
        kept_as, lost_bytes, done = journal.damage
        notices.append(
            f"{options.journal_path} was damaged, and is kept as {kept_as}. The records of "
            f"{counted(done, 'finished shard')} were whole; {counted(lost_bytes, 'byte')} of others "
            f"{'is' if lost_bytes == 1 else 'are'} lost. What is there was compared with its record, or with what was "
            "made anew."
        )
    return notices


def _note(journal_path: str, journal: Journal) -> str:
    """Return the note on a journal with a damaged end, which may have named a file that has no record; else ""."""
    if not journal.unread_bytes:
        return ""
    return f" ({journal_path} is damaged: its last {counted(journal.unread_bytes, 'byte')} may have named it.)"


def _reads_all(options: Options, journal: Journal) -> bool:
    """Return whether finished shards are read: with --check, and where the journal was damaged."""
    return options.check or journal.damage is not None


def _ours(
    there: Sequence[Taken], files: SetFiles, engine: Engine, journal: Journal, monitor: Monitor
) -> dict[str, tuple[int, ...]]:
    """Return the path and the identity of each file that is as this tool has written it."""
    identities: dict[str, tuple[int, ...] | None] = {}
    tasks = [(each.path, frozenset(traces)) for each in there if (traces := journal.traces(each.path))]
    for done, (path, identity) in enumerate(engine.each(identify, tasks), 1):
        identities[path] = identity
        monitor.working("reading shards", done, len(tasks))
    if any(each.path == files.manifest for each in there) and is_manifest(files.manifest):
        identities[files.manifest] = store_of(files.manifest).identity(files.manifest)
    return {each.path: identity for each in there if (identity := identities.get(each.path)) is not None}


def _refuse_left(paths: Sequence[str], journal_path: str) -> None:
    """Raise DestinationError if there are paths: their files are not as recorded."""
    if paths:
        are, them = there_are(paths)
        raise DestinationError(
            f"{are} there, and not as {journal_path} has {them} recorded, so this tool may not have made {them}. "
            f"Nothing was removed: remove {them}, or move {them} out of the way, and type the same command again; or "
            "choose another --dest."
        )
