"""The command `report`: it makes a page of each set that it is given, of its runs and of what is in its shards.

Takes ReportOptions, writes one HTML file for each set, and returns what was Reported. Shards are only read.
"""

from __future__ import annotations

import os
import shlex

from parallel_sharder.command_words import unknown
from parallel_sharder.engines import running
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError, unwritable
from parallel_sharder.inspection.named import named_sets
from parallel_sharder.monitor.monitor import Monitor, guarded
from parallel_sharder.options import ReportOptions
from parallel_sharder.pages import content as parts
from parallel_sharder.pages import wrong
from parallel_sharder.pages.compared import compared
from parallel_sharder.pages.content import Content
from parallel_sharder.pages.drawn import CLASSES_LIMIT, Drawn, Group, drawn, sheet, sheet_of_classes
from parallel_sharder.pages.look import look
from parallel_sharder.pages.made import MadePage, Reported
from parallel_sharder.pages.page_file import is_page
from parallel_sharder.pages.paged_set import PagedSet
from parallel_sharder.pages.problems import listed_problems
from parallel_sharder.pages.render import refuse_without_packages, rendered
from parallel_sharder.pages.short_paths import ShortPaths
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted


def report_shards(options: ReportOptions, monitor: Monitor | None = None) -> Reported:
    """Write a page of each set that `options` name, and return what was written.

    Raises MissingPackageError without the packages of the extra `report`, and SharderError for what is not there, and
    for a page that cannot be written; a file that has the page's name and is no page of this tool stays.
    """
    refuse_without_packages()
    with guarded(monitor) as monitor, running(options.workers, preload=look.__module__) as engine:
        named = _sets(os.fspath(options.dest))
        sets, begun = [each for each in named if each.shards.paths], [each for each in named if not each.shards.paths]
        if options.to is not None and len(sets) > 1:
            raise DestinationError(
                f"{options.dest} holds {counted(len(sets), 'set')}, and --to names one file. Name one set by its "
                "manifest, or leave --to out."
            )
        other = None if options.compare is None else _other(os.fspath(options.compare))
        paths = [_page_path(each, options) for each in sets]
        if len({*paths}) < len(paths):
            twice = next(path for path in paths if paths.count(path) > 1)
            raise DestinationError(
                f"{options.dest} holds several sets whose page is {twice}. Name one of them by a pattern, and its page "
                "with --to."
            )
        pages = [_written(each, path, other, options, engine, monitor) for each, path in zip(sets, paths, strict=True)]
        return Reported(tuple(pages), tuple(each.name for each in begun))


def _sets(what: str) -> list[PagedSet]:
    """Return the sets that are named, also those without a shard. Raises DestinationError for a part of a set."""
    named = named_sets(what, needs_all=False)
    if not all(each.has_all for each in named):
        raise DestinationError(f"{what} names a part of a set, and a page is of a whole one. Name the set.")
    return [*map(PagedSet.of, named)]


def _other(what: str) -> PagedSet:
    sets = [each for each in _sets(what) if each.shards.paths]
    if len(sets) > 1:
        raise DestinationError(f"{what} holds {counted(len(sets), 'set')}. Name one by its manifest after --compare.")
    return sets[0]


def _page_path(paged: PagedSet, options: ReportOptions) -> str:
    """Return where the page of the set is written. Raises DestinationError if something else has the name."""
    path = paged.files.report if options.to is None else os.fspath(options.to)
    if os.path.lexists(path) and not is_page(path):
        raise DestinationError(
            f"{path} is there, and is no page of this tool, so it stays. Name another file with --to, or move it away."
        )
    return path


def _written(
    paged: PagedSet, path: str, other: PagedSet | None, options: ReportOptions, engine: Engine, monitor: Monitor
) -> MadePage:
    content, seen = _content(paged, other, options, engine, monitor)
    page = rendered(content)
    try:
        store_of(path).put(path, page, is_page)
    except OSError as error:
        raise unwritable(path, error, "Name another file with --to.") from error
    bottleneck = content.run.bottleneck.sentence if content.run else ""
    return MadePage(
        paged.shards.name, path, len(page), len(seen.looked), seen.samples, bottleneck, tuple(content.wrong)
    )


def _content(
    paged: PagedSet, other: PagedSet | None, options: ReportOptions, engine: Engine, monitor: Monitor
) -> tuple[Content, Drawn]:
    """Return the content of a set's page, and what was looked at for it."""
    shards, history = paged.shards, paged.history
    problems, lost_problems = listed_problems(paged.files) if shards.manifest is not None else ([], 0)
    paths = ShortPaths(history, paged.files.folder or os.curdir)
    status = paged.status()
    noted = {each.key for each in problems if each.key and not each.left_out}
    seen = drawn(shards, paged.is_shuffled, options.seed, noted, engine, monitor)
    groups, sheet_note = _sheet(paged, seen, noted, options, engine, monitor)
    command = paths.words(status.command if status else ())
    samples = seen.samples if paged.samples is None else paged.samples
    content = Content(
        name=paged.name,
        lead=parts.lead(paged, samples),
        wrong=[
            *wrong.of_set(paged, status),
            *wrong.of_shards(seen, paths),
            *wrong.of_problems(problems),
            *wrong.of_records(history, lost_problems),
            *wrong.of_pictures(groups),
        ],
        facts=parts.facts_of(shards, sum(paged.sizes), samples),
        command=shlex.join(command),
        command_notes=unknown(command) if command else (),
        braces=paths.path(shards.braces),
        run=parts.run_part(history, paths) if history.working else None,
        no_run=paged.no_run,
        data=parts.data_charts(shards, paged.sizes, seen),
        data_note=parts.data_note(seen),
        tables=parts.tables(shards, seen, problems, paths),
        notices=[*dict.fromkeys(paths.text(notice) for run in history.runs for notice in run.notices)],
        groups=groups,
        sheet_note=sheet_note,
        class_names={row.label: row.name for row in shards.classes},
        compared=None if other is None else compared(paged, other),
    )
    return content, seen


def _sheet(
    paged: PagedSet, seen: Drawn, noted: set[str], options: ReportOptions, engine: Engine, monitor: Monitor
) -> tuple[list[Group], str]:
    """Return the groups of the contact sheet, and a note on it."""
    if not options.images:
        return [], "The page was made with --no-images."
    note = "Pictures are small copies of the images in the shards, with the boxes of their annotations."
    classes = len(parts.counts_of_classes(paged.shards, seen))
    if options.sheet == "classes" and classes <= CLASSES_LIMIT:
        groups, missing = sheet_of_classes(paged.shards, seen, engine, monitor)
        if missing:
            note += f" Of {counted(len(missing), 'class', 'classes')} no sample was found."
        return groups, note
    if options.sheet == "classes":
        note += f" A sheet of classes has at most {CLASSES_LIMIT:,}, and the set has {classes:,}."
    return sheet(seen, options.seed, noted, engine, monitor), note
