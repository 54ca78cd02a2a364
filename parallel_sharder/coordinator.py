"""The story of a run: check the place, scan, plan, take stock, deal, write, record, publish, report.

Read `convert` from top to bottom: each call is a step, defined in the module that it is imported from. Nothing is
published before every shard is whole and has its final name. The manifest is published last, by this process alone; or,
if the nodes of an array write the set, by the node that is last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from parallel_sharder.deal import Hosts, Witness, deal, make_chunks, make_job
from parallel_sharder.destination import existing, make_folder, refuse_in_source, refuse_unfit
from parallel_sharder.events import Events
from parallel_sharder.hints import Watch, slow_source
from parallel_sharder.host_check import check_of_hosts
from parallel_sharder.journal.fingerprint import Fingerprint
from parallel_sharder.journal.journal import Journal
from parallel_sharder.journal.past import past_of
from parallel_sharder.memory import give_back_freed
from parallel_sharder.metrics import served
from parallel_sharder.model import Listing, Plan, Problem, ShardRecord
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.nodes import Array, Gathered, joined, watching
from parallel_sharder.options import CLUSTERS, STAGE_NONE, Options
from parallel_sharder.pages.after import ready_for_page, with_page
from parallel_sharder.plan import Limits, make_order, make_plan, share_of
from parallel_sharder.publish import publish
from parallel_sharder.refusals import check_place_for, check_room, saying_what_is_left, why_refused
from parallel_sharder.report.preview import Preview
from parallel_sharder.report.summary import Report, Worked
from parallel_sharder.resume import archives_by_entry, fingerprint, refuse_changed_shards, refuse_changed_source
from parallel_sharder.run import Run, opened
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.shared_listing import SharedListing, forget_spool
from parallel_sharder.sources.packed import refuse_unstaged
from parallel_sharder.sources.source import Source, SourceOptions, open_source, refuse_left_out
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.staging.stage import NO_STAGE, Stage
from parallel_sharder.stock import Stock, take_stock
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted
from parallel_sharder.worker import write_chunk

FEW = 16
"""Where fewer than one in so many samples are to be written, the source is not staged for them."""


def convert(options: Options, monitor: Monitor | None = None) -> Report:
    """Convert the data set that `options` name into shards and a manifest, and report what is there now.

    Continues where an earlier run with the same choices and the same source has stopped. Raises SharderError for what
    stops a run; finished shards, the journal and the listing of a source's archive stay, and what was begun is removed.
    It needs no `if __name__ == "__main__":` around it, because workers do not import the calling script.
    """
    with opened(options, monitor, write_chunk.__module__) as run:
        ready_for_page(options)
        metrics = run.enter(served(run.options.metrics, run))
        source = open_source(SourceOptions.of(run.options))
        check_place_for(source, run.settle(source.kind))
        stage = run.enter(_stage(source, run.options))
        run.connect()
        array = run.enter(joined(run.options, run.monitor))

        shared = run.enter(SharedListing(run.options, run.monitor))
        listing = shared.taken(run.enter(source)) or _scan(source, run, stage)
        run.monitor.found(listing)
        run.ends_phase("scan")
        plan = plan_of(listing, run.options)
        made_from = fingerprint(run.options, listing, plan)
        listing = shared.settle(source, listing, plan, made_from)
        run.ends_phase("plan")
        journal = run.enter(_open_journal(listing, made_from, array, run))
        array.refuse_begun()
        stock = take_stock(run.options, plan, run.engine, journal, run.monitor)
        source.keep_scan()
        check_room(run.options, plan, stock.kept_numbers)
        copied = _staged(stage, source, listing, plan, stock, run)

        run.monitor.planned(share_of(plan, run.options.numbers(plan.shard_count)), stock.kept)
        run.enter(saying_what_is_left(run.options, plan, journal))
        made, hosts = _write(copied, plan, stock, journal, array, run, metrics)
        refuse_changed_source(source, journal, made)
        refuse_changed_shards([*stock.kept, *made])

        run.enter(array.deciding(journal, made))
        whole = array.gathered(journal, plan, [*stock.kept, *made])
        problems = _publish(whole, listing, plan, journal, stage, run)
        run.ends_phase("write")
        worked = Worked(run.writers.workers, run.writers.name, hosts.samples, run.notices, run.seconds)
        report = Report.of(listing, run.settled, stock.worded(run.as_typed), made, problems, worked, *whole.of_set)
    return with_page(report, options, monitor)


def _stage(source: Source, options: Options) -> Stage:
    """Return the stage that the options name, or that the source needs; one without a folder if there is none.

    Raises DestinationError if its folder is a part of the source or cannot be used, and SourceError if the source needs
    a stage and the options forbid one.
    """
    folder = options.stage_folder
    is_own = folder is None and options.stage != STAGE_NONE and bool(source.packed)
    if folder is not None:
        refuse_in_source(folder, source.folders, "--stage")
    refuse_unstaged(source.packed, may_stage=options.stage != STAGE_NONE)
    is_shared = options.is_of_array or options.engine_name in CLUSTERS
    folder = options.pattern.files.stage if is_own else folder
    only = (source.kind.split or "") if source.holds_other_splits and not options.keep_stage else ""
    dest, keep = options.pattern.folder, options.keep_stage
    stage = Stage(folder, dest, is_own=is_own, keep=keep, is_shared=is_shared, only=only)
    if not is_own:
        stage.refuse_unusable()
    return stage


def _staged(stage: Stage, source: Source, listing: Listing, plan: Plan, stock: Stock, run: Run) -> Listing:
    """Return the listing from which shards are written: with its files in the stage, if there is one and work to do."""
    left = _left(plan, stock, run)
    if left and (hint := slow_source(listing, run.options)):
        run.noticed(hint)
    if not stage.folder or not left:
        return listing
    samples = int((plan.cuts[1:] - plan.cuts[:-1])[left].sum())
    if samples * FEW < len(listing) and not source.packed and not run.options.is_of_array:
        run.noticed(
            f"{counted(samples, 'sample')} of {len(listing):,} are to be written, and are read from the source: to "
            "stage all would take longer"
        )
        return listing
    shard_bytes = int(plan.shard_bytes[left].sum())
    staged = stage.filled(listing, run.engine, run.monitor, shard_bytes)
    run.ends_phase("stage")
    return staged


def _publish(
    whole: Gathered, listing: Listing, plan: Plan, journal: Journal, stage: Stage, run: Run
) -> tuple[Problem, ...]:
    """Publish the set if all of it is there, and return its problems; else those of what this node has written."""
    if whole.missing:
        return tuple(problem for record in whole.own for problem in record.problems)
    problems = publish(run.options, listing, plan, whole.records, journal, run.engine, run.monitor)
    forget_spool(run.options)
    stage.remove(listing, run.noticed)
    if not run.options.keep_stage:  # one that a run of another command has begun
        with Stage(run.options.pattern.files.stage, run.options.pattern.folder, is_own=True) as own:
            own.remove(listing, run.noticed)
    return problems


def _hosts(listing: Listing, run: Run, witnesses: Sequence[Witness]) -> Hosts:
    """Return the hosts of a deal; those of a cluster are checked while the run lasts."""
    is_cluster = bool(run.writers.name)
    check = run.enter(check_of_hosts(listing, run.options.pattern.files)) if is_cluster else None
    return Hosts(check, run.noticed, witnesses)


def _write(
    listing: Listing,
    plan: Plan,
    stock: Stock,
    journal: Journal,
    array: Array,
    run: Run,
    metrics: Sequence[Witness],
) -> tuple[list[ShardRecord], Hosts]:
    """Write the shards that are not kept, nor another node's; return their records, and the hosts that wrote them."""
    left = _left(plan, stock, run)
    journal.refuse_gone()  # before a file is opened in another folder of the same name
    events = run.enter(Events(run.options.pattern.files.events_of(run.options.place), run))
    witnesses = (events, *metrics) if left else ()
    for witness in witnesses:
        witness.begins(listing, plan, len(stock.kept_numbers), len(left))
    hosts = _hosts(listing, run, witnesses)
    job = make_job(run.options, listing, plan, run.writers.workers)
    others = frozenset(range(plan.shard_count)).difference(left)
    chunks = make_chunks(listing, plan, run.options.pattern, job, others, stock.damaged)
    watch, progress = Watch(), array.telling(run.monitor.progress)
    made = deal(chunks, write_chunk, run.writers, journal, progress, hosts)
    hint = watch.hint(run.options, run.writers.workers, sum(record.tar_bytes for record in made))
    if hint and not run.writers.name:
        run.noticed(hint)
    return made, hosts


def _left(plan: Plan, stock: Stock, run: Run) -> list[int]:
    """Return the numbers of the shards that this run writes."""
    return [number for number in run.options.numbers(plan.shard_count) if number not in stock.kept_numbers]


def preview(options: Options, monitor: Monitor | None = None) -> Preview:
    """Return what `convert` would do with `options`; nothing is written.

    Raises SharderError for what is wrong with source, plan or pattern. A destination that is taken or has too little
    room is no error here, because there may be time to mend it; the preview says so, and has `exit_code` 1.
    """
    with opened(options, monitor) as run:
        source = open_source(SourceOptions.of(options))
        run.settle(source.kind)
        options = run.settled
        refuse_in_source(options.pattern.folder, source.folders)
        stage = _stage(source, options)
        listing = _scan(run.enter(source), run, NO_STAGE, is_preview=True)
        plan = plan_of(listing, options)
        there, past = existing(options.pattern), past_of(options.pattern.files.journal)  # in this order
        is_done = past is not None and len(past.done) == plan.shard_count
        if not is_done and (hint := slow_source(listing, options)):
            listing = dataclasses.replace(listing, notices=(*listing.notices, hint))
        return Preview.of(
            listing,
            plan,
            options,
            source.spool_bytes(listing),
            store_of(options.pattern.folder).free_bytes(options.pattern.folder),
            there,
            past,
            why_refused(options, listing, plan, past),
            stage.room_for(listing),
        )


def _scan(source: Source, run: Run, stage: Stage, *, is_preview: bool = False) -> Listing:
    """Return what the source holds, if shards can be made of it at the run's place. A preview writes nothing."""
    listing = source.scan(run.engine, run.monitor, Scratch(run.options.pattern, is_preview, stage))
    give_back_freed()
    if source.kind.besides:
        listing = dataclasses.replace(listing, found=(*listing.found, ("not read as", source.kind.besides)))
    refuse_in_source(run.options.pattern.folder, source.folders)
    if run.options.on_bad == "fail":
        refuse_left_out(listing)
    return listing


def plan_of(listing: Listing, options: Options) -> Plan:
    """Return the plan for what is listed. Raises PlanError, and DestinationError for a pattern with too few digits."""
    limits = Limits(int(options.maxsize), options.maxcount, options.shards)
    seed = options.seed if options.shuffle else None
    order = make_order(listing.keys, seed, listing.source_order)  # first, because it takes most memory
    plan = make_plan(listing.keys, order, FORMS[options.form].sample_bytes(listing), limits)
    refuse_unfit(options.pattern, plan.shard_count)
    return plan


def _open_journal(listing: Listing, made_from: Fingerprint, array: Array, run: Run) -> Journal:
    options = run.options
    make_folder(options.pattern)
    return Journal(
        options.journal_path,
        made_from,
        options.overwrite,
        archives_by_entry(listing),
        take_over=options.take_over,
        watching=watching(run.monitor),
        is_shared=array.lease is not None,
    )
