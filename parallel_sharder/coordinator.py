"""The story of a run: scan, plan, deal, write, record, publish.

Reads top to bottom; every step is a module of its own. Nothing is published before every shard is whole and under its
final name, and the manifest last; only this process does it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from parallel_sharder import bounds, durable, machine
from parallel_sharder.deal import deal, make_chunks, make_job
from parallel_sharder.destination import (
    ShardPattern,
    make_folder,
    refuse_full,
    refuse_in_source,
    refuse_taken,
    refuse_unfit,
    refuse_unwritable,
)
from parallel_sharder.engines import Engine, open_engine
from parallel_sharder.errors import DestinationError, DestinationGoneError, SharderError, SourceError
from parallel_sharder.journal import Journal, Past, past_of, refuse_foreign_journal, refuse_other
from parallel_sharder.limits import explain, stopping_in_words
from parallel_sharder.model import Chunk, Listing, Plan, Role, ShardRecord
from parallel_sharder.monitor import Monitor, telling
from parallel_sharder.options import WITHOUT_ANNOTATIONS, Options
from parallel_sharder.plan import Limits, in_order, make_plan
from parallel_sharder.publication import publish, refuse_in_the_way
from parallel_sharder.report import Preview, Report
from parallel_sharder.resume import archives_by_entry, fingerprint, refuse_changed
from parallel_sharder.sources import find_layout
from parallel_sharder.sources.checksums import check_archives
from parallel_sharder.sources.layout import Layout
from parallel_sharder.sources.saved import SavedIndex
from parallel_sharder.sources.scan import refuse_changed_archives, scan
from parallel_sharder.sources.spool import spool_beside
from parallel_sharder.stock import take_stock
from parallel_sharder.synsets import read_classes
from parallel_sharder.text import counted, shards_done


@stopping_in_words()
def convert(options: Options, monitor: Monitor | None = None) -> Report:
    """Convert the data set that `options` name into shards and a manifest, and report what is there now.

    Continues where an earlier run with the same choices and the same source has stopped. Raises SharderError for what
    stops a run; finished shards and the journal stay, and nothing else does. It can be called from anywhere: workers do
    not import the calling script, so it needs no `if __name__ == "__main__":`.
    """
    anchored = options.anchored()
    try:
        with telling(monitor) as monitor:
            return _convert(anchored, options, monitor)
    except SharderError as error:
        error.args = tuple(_as_typed(line, anchored, options) if isinstance(line, str) else line for line in error.args)
        raise


def _convert(options: Options, typed: Options, monitor: Monitor) -> Report:
    """Convert to where `options` say; the report names paths as they are in `typed`."""
    pattern = options.pattern
    workers = machine.usable_cores() if options.workers is None else options.workers
    times = [time.monotonic()]
    if not os.path.exists(pattern.journal_path):
        refuse_taken(pattern)
    refuse_in_the_way(options)
    layout = _layout(options)
    refuse_foreign_journal(pattern.journal_path)
    refuse_unwritable(pattern)
    checked = check_archives(layout, monitor.working) if options.check_archives else ()
    with open_engine(workers, options.start_method) as engine, spool_beside(pattern, layout) as spool:
        saved = SavedIndex.of(layout, pattern.saved_index_path)
        listing = _scan(options, layout, engine, monitor, spool, saved, checked)
        monitor.found(listing)
        times.append(time.monotonic())

        plan = _plan(options, listing)
        refuse_unfit(pattern, plan.shard_count)
        times.append(time.monotonic())

        make_folder(pattern)
        made_from = fingerprint(options, listing, plan)
        known_archives = archives_by_entry(listing)
        with Journal(pattern.journal_path, made_from, options.overwrite, known_archives) as journal:
            notices = _notices(pattern, journal)
            kept, remade, mended, withdrawn = take_stock(options, plan, engine, journal, monitor)
            if saved is not None:
                saved.save()
            numbers = {record.number for record in kept}
            missing_bytes = int(np.delete(plan.shard_bytes, list(numbers)).sum())
            refuse_full(pattern, missing_bytes, machine.free_bytes(pattern.folder))

            monitor.planned(plan, kept)
            job = make_job(options, listing, plan, workers)
            with _saying_what_is_needed(pattern, plan, journal):
                chunks = make_chunks(listing, plan, pattern, job, numbers, mended)
                made = _write(chunks, engine, journal, monitor, pattern)
                _refuse_changed_archives(listing, journal, made)
                records = sorted([*kept, *made], key=lambda record: record.number)
                refuse_changed(records)
                problems = publish(options, listing, plan, records, journal, engine, monitor)
    times.append(time.monotonic())
    seconds = dict(zip(("scan", "plan", "write"), np.diff(times).tolist(), strict=True))
    remade, notices = ([_as_typed(text, options, typed) for text in texts] for texts in (remade, notices))
    return Report.of(listing, typed, kept, made, remade, withdrawn, problems, workers, seconds, tuple(notices))


def _as_typed(text: str, anchored: Options, typed: Options) -> str:
    """The text with the paths of the destination as somebody has typed it."""
    before, after = (os.path.join(options.pattern.folder, "") for options in (anchored, typed))
    return re.sub(rf"(?<![^\s('\"]){re.escape(before)}", lambda _: after, text) if before != after else text


def _notices(pattern: ShardPattern, journal: Journal) -> list[str]:
    """What is worth knowing about the destination, and no error."""
    folder = os.path.abspath(pattern.folder)
    notices = []
    if what := journal.not_synced():
        notices.append(
            f"The file system of {folder} does not sync {what}: after a power cut, shards that were finished before it "
            "can be lost or damaged. The same command with --check finds them and makes them again."
        )
    if not durable.keeps_names(pattern.manifest_path):
        notices.append(
            f"The file system of {folder} can neither link files nor rename them without replacing others: a file that "
            "somebody else puts there under the name of a shard, in the moment in which that is finished, is lost."
        )
    if journal.damage is not None:
        kept_as, lost_bytes, done = journal.damage
        notices.append(
            f"{pattern.journal_path} was damaged, and is kept as {kept_as}. The records of "
            f"{counted(done, 'finished shard')} were whole; {counted(lost_bytes, 'byte')} of others "
            f"{'is' if lost_bytes == 1 else 'are'} lost. What is there was compared with its record, or with what was "
            "made anew."
        )
    return notices


def _write(
    chunks: Iterable[Chunk], engine: Engine, journal: Journal, monitor: Monitor, pattern: ShardPattern
) -> list[ShardRecord]:
    """Write all chunks; their records. If that fails, the files that ended workers have left go before the error."""
    try:
        return deal(chunks, engine, journal, monitor.progress)
    except BaseException:
        durable.remove_partials(pattern.folder, pattern.names)
        raise


def _refuse_changed_archives(listing: Listing, journal: Journal, made: Sequence[ShardRecord]) -> None:
    """Raise SourceError if an archive is not as it was. What this run has made is then no shard that can be kept."""
    try:
        refuse_changed_archives(listing.archives)
    except SourceError:
        journal.record(dealt=[(record.number, record.path) for record in made])
        raise


@contextlib.contextmanager
def _saying_what_is_needed(pattern: ShardPattern, plan: Plan, journal: Journal) -> Iterator[None]:
    """Tell of a destination that fails what is done, what room the rest needs, and that the same command continues."""
    try:
        yield
    except DestinationGoneError:
        raise
    except DestinationError as error:
        if journal.done:
            journal.refuse_gone()
        explain(error)  # before the rest is said
        left = int(np.delete(plan.shard_bytes, list(journal.done)).sum())
        if not left:
            raise DestinationError(
                f"{error.args[0]} All shards are done. Mend that, and the same command writes the rest."
            ) from error
        state = shards_done(len(journal.done), plan.shard_count)
        if not any(each in error.args[0] for each in (os.strerror(errno.EFBIG), durable.TAKEN)):  # room helps neither
            undone = plan.shard_count - len(journal.done)
            rest = "it needs" if plan.shard_count == 1 else "the other needs" if undone == 1 else "the others need"
            state += f"; {rest} up to {left:,} bytes, and {machine.free_bytes(pattern.folder):,} are free"
        raise DestinationError(
            f"{error.args[0]} {state}. Mend that, and the same command continues; or choose another --dest."
        ) from error


@stopping_in_words()
def preview(options: Options, monitor: Monitor | None = None) -> Preview:
    """What `convert` would do with `options`; writes nothing.

    Raises SharderError for what is wrong with source, plan or pattern. A destination that is taken or has too little
    room is no error here, because there may be time to mend it; the preview says so, and has `exit_code` 1.
    """
    workers = machine.usable_cores() if options.workers is None else options.workers
    with telling(monitor) as monitor:
        layout = _layout(options)
        checked = check_archives(layout, monitor.working) if options.check_archives else ()
        with open_engine(workers, options.start_method) as engine:
            saved = SavedIndex.of(layout, options.pattern.saved_index_path)
            listing = _scan(options, layout, engine, monitor, None, saved, checked)
    plan = _plan(options, listing)
    refuse_unfit(options.pattern, plan.shard_count)
    spool_bytes = int(listing.part(Role.ANNOTATION).size.clip(0).sum()) if layout.needs_spool else 0
    past = past_of(options.pattern.journal_path)
    return Preview.of(
        listing,
        plan,
        options,
        spool_bytes,
        machine.free_bytes(options.pattern.folder),
        past,
        _in_the_way(options, listing, plan, past),
    )


def _in_the_way(options: Options, listing: Listing, plan: Plan, past: Past | None) -> str:
    """What would stop the run that the plan is of, besides shards that no journal knows; "" if nothing does."""
    try:
        refuse_in_the_way(options)
        refuse_foreign_journal(options.pattern.journal_path)
        refuse_unwritable(options.pattern)
        if past is not None and not options.overwrite:
            made_from, archives = fingerprint(options, listing, plan), archives_by_entry(listing)
            refuse_other(options.pattern.journal_path, past.fingerprint, made_from, archives)
    except DestinationError as error:
        return str(error)
    return ""


def _layout(options: Options) -> Layout:
    layout = find_layout(options.root, options.split, options.xml_root, options.meta, options.layout)
    refuse_in_source(options.pattern, layout.folders)
    return layout if options.annotations not in WITHOUT_ANNOTATIONS else layout.without_annotations()


def _scan(
    options: Options,
    layout: Layout,
    engine: Engine,
    monitor: Monitor,
    spool: str | None = None,
    saved: SavedIndex | None = None,
    checked: Sequence[str] = (),
) -> Listing:
    classes = read_classes(layout.class_list, options.labels) if layout.class_list else ()
    listing = scan(layout, classes, engine.executor, monitor.scanning, spool, saved)
    refuse_in_source(options.pattern, [Path(place.path) for place in listing.places])  # links to folders among them
    if checked:
        row = "checked", f"{', '.join(checked)}: as published, by MD5"
        listing = dataclasses.replace(listing, found=(*listing.found, row))
    first = next((problem for problem in listing.problems if problem.leaves_out), None)
    if options.on_bad == "fail" and first is not None:
        raise SourceError(
            f"{first.path}: {first.kind.meaning}: {first.detail} (--on-bad fail). Mend it, or use --on-bad skip, which "
            "leaves out and lists what is like it."
        )
    return listing


def _plan(options: Options, listing: Listing) -> Plan:
    limits = Limits(int(options.maxsize), options.maxcount, options.shards)
    order = in_order(listing.keys, options.seed if options.shuffle else None)  # takes more memory than it gives: first
    return make_plan(listing.keys, order, bounds.sample_bytes(listing, options.annotations), limits)
