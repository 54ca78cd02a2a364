"""The story of a run: scan, plan, deal, write, record, publish.

Reads top to bottom; every step is a module of its own. Nothing is published before every shard is whole and under its
final name, and the manifest last; only this process does it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from parallel_sharder.deal import deal, make_chunks, make_job
from parallel_sharder.destination import (
    make_folder,
    refuse_full,
    refuse_in_source,
    refuse_taken,
    refuse_unfit,
    refuse_unwritable,
)
from parallel_sharder.engines import running
from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.limits import explain
from parallel_sharder.errors import DestinationError, DestinationGoneError, SharderError, SourceError
from parallel_sharder.journal.file import refuse_foreign_journal
from parallel_sharder.journal.fingerprint import refuse_other
from parallel_sharder.journal.journal import Journal, Past, past_of
from parallel_sharder.model import Chunk, Listing, Plan, ShardRecord
from parallel_sharder.monitor.monitor import Monitor, guarded
from parallel_sharder.options import Options
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.plan import Limits, in_order, make_plan
from parallel_sharder.publish import publish, refuse_in_the_way
from parallel_sharder.report.preview import Preview
from parallel_sharder.report.summary import Report
from parallel_sharder.resume import archives_by_entry, fingerprint, refuse_changed
from parallel_sharder.samples import sizes
from parallel_sharder.sources.source import Source, SourceOptions, open_source, refuse_left_out
from parallel_sharder.stock import take_stock
from parallel_sharder.stores import store_of
from parallel_sharder.stores.durable import TAKEN
from parallel_sharder.text import counted, shards_done
from parallel_sharder.worker import write_chunk


def convert(options: Options, monitor: Monitor | None = None) -> Report:
    """Convert the data set that `options` name into shards and a manifest, and report what is there now.

    Continues where an earlier run with the same choices and the same source has stopped. Raises SharderError for what
    stops a run; finished shards and the journal stay, and nothing else does. It can be called from anywhere: workers do
    not import the calling script, so it needs no `if __name__ == "__main__":`.
    """
    with guarded(monitor) as monitor, running(options.workers, options.start_method, write_chunk.__module__) as engine:
        anchored = options.anchored()
        try:
            return _convert(anchored, options, engine, monitor)
        except SharderError as error:
            lines = (_as_typed(line, anchored, options) if isinstance(line, str) else line for line in error.args)
            error.args = tuple(lines)
            raise


def _convert(options: Options, typed: Options, engine: Engine, monitor: Monitor) -> Report:
    """Convert to where `options` say; the report names paths as they are in `typed`."""
    pattern = options.pattern
    times = [time.monotonic()]
    if not store_of(pattern.files.journal).exists(pattern.files.journal):
        refuse_taken(pattern)
    refuse_in_the_way(options)
    source = open_source(SourceOptions.of(options), pattern)
    refuse_in_source(pattern, source.folders)
    refuse_foreign_journal(pattern.files.journal)
    refuse_unwritable(pattern)
    with source:
        listing = _scan(options, source, engine, monitor)
        monitor.found(listing)
        times.append(time.monotonic())

        plan = _plan(options, listing)
        refuse_unfit(pattern, plan.shard_count)
        times.append(time.monotonic())

        make_folder(pattern)
        made_from = fingerprint(options, listing, plan)
        known_archives = archives_by_entry(listing)
        with Journal(pattern.files.journal, made_from, options.overwrite, known_archives) as journal:
            notices = _notices(pattern, journal)
            kept, remade, mended, withdrawn = take_stock(options, plan, engine, journal, monitor)
            source.keep_scan()
            numbers = {record.number for record in kept}
            missing_bytes = int(np.delete(plan.shard_bytes, list(numbers)).sum())
            refuse_full(pattern, missing_bytes, store_of(pattern.folder).free_bytes(pattern.folder))

            monitor.planned(plan, kept)
            job = make_job(options, listing, plan, engine.workers)
            with _saying_what_is_needed(pattern, plan, journal):
                chunks = make_chunks(listing, plan, pattern, job, numbers, mended)
                made = _write(chunks, engine, journal, monitor, pattern)
                _refuse_changed_source(source, journal, made)
                records = sorted([*kept, *made], key=lambda record: record.number)
                refuse_changed(records)
                problems = publish(options, listing, plan, records, journal, engine, monitor)
    times.append(time.monotonic())
    seconds = dict(zip(("scan", "plan", "write"), np.diff(times).tolist(), strict=True))
    remade, notices = ([_as_typed(text, options, typed) for text in texts] for texts in (remade, notices))
    return Report.of(listing, typed, kept, made, remade, withdrawn, problems, engine.workers, seconds, tuple(notices))


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
    if not store_of(pattern.folder).keeps_names(pattern.folder):
        notices.append(
            f"The file system of {folder} can neither link files nor rename them without replacing others: a file that "
            "somebody else puts there under the name of a shard, in the moment in which that is finished, is lost."
        )
    if journal.damage is not None:
        kept_as, lost_bytes, done = journal.damage
        notices.append(
            f"{pattern.files.journal} was damaged, and is kept as {kept_as}. The records of "
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
        return deal(chunks, write_chunk, engine, journal, monitor.progress)
    except BaseException:
        store_of(pattern.folder).remove_partials(pattern.folder, pattern.names)
        raise


def _refuse_changed_source(source: Source, journal: Journal, made: Sequence[ShardRecord]) -> None:
    """Raise SourceError if the source is not as it was. What this run has made is then no shard that can be kept."""
    try:
        source.refuse_changes()
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
        if not any(each in error.args[0] for each in (os.strerror(errno.EFBIG), TAKEN)):  # room helps neither
            undone = plan.shard_count - len(journal.done)
            rest = "it needs" if plan.shard_count == 1 else "the other needs" if undone == 1 else "the others need"
            state += (
                f"; {rest} up to {left:,} bytes, and {store_of(pattern.folder).free_bytes(pattern.folder):,} are free"
            )
        raise DestinationError(
            f"{error.args[0]} {state}. Mend that, and the same command continues; or choose another --dest."
        ) from error


def preview(options: Options, monitor: Monitor | None = None) -> Preview:
    """What `convert` would do with `options`; writes nothing.

    Raises SharderError for what is wrong with source, plan or pattern. A destination that is taken or has too little
    room is no error here, because there may be time to mend it; the preview says so, and has `exit_code` 1.
    """
    with guarded(monitor) as monitor, running(options.workers, options.start_method) as engine:
        source = open_source(SourceOptions.of(options), options.pattern, is_preview=True)
        refuse_in_source(options.pattern, source.folders)
        with source:
            listing = _scan(options, source, engine, monitor)
        plan = _plan(options, listing)
        refuse_unfit(options.pattern, plan.shard_count)
        past = past_of(options.pattern.files.journal)
        return Preview.of(
            listing,
            plan,
            options,
            source.spool_bytes(listing),
            store_of(options.pattern.folder).free_bytes(options.pattern.folder),
            past,
            _in_the_way(options, listing, plan, past),
        )


def _in_the_way(options: Options, listing: Listing, plan: Plan, past: Past | None) -> str:
    """What would stop the run that the plan is of, besides shards that no journal knows; "" if nothing does."""
    try:
        refuse_in_the_way(options)
        refuse_foreign_journal(options.pattern.files.journal)
        refuse_unwritable(options.pattern)
        if past is not None and not options.overwrite:
            made_from, archives = fingerprint(options, listing, plan), archives_by_entry(listing)
            refuse_other(options.pattern.files.journal, past.fingerprint, made_from, archives)
    except DestinationError as error:
        return str(error)
    return ""


def _scan(options: Options, source: Source, engine: Engine, monitor: Monitor) -> Listing:
    """Return what the source holds, if shards can be made of it at the place that `options` name."""
    listing = source.scan(engine, monitor)
    refuse_in_source(options.pattern, source.folders)
    if options.on_bad == "fail":
        refuse_left_out(listing)
    return listing


def _plan(options: Options, listing: Listing) -> Plan:
    limits = Limits(int(options.maxsize), options.maxcount, options.shards)
    order = in_order(listing.keys, options.seed if options.shuffle else None)  # takes more memory than it gives: first
    return make_plan(listing.keys, order, sizes.sample_bytes(listing, options.annotations), limits)
