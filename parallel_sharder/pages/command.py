"""The command `report`: it makes a page of each set that it is given, of its runs and of what is in its shards.

Takes ReportOptions, writes one HTML file for each set, and returns what was Reported. Shards are only read.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence

from parallel_sharder.engines import running
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError, SharderError, unwritable
from parallel_sharder.inspection.named import ShardsOfSet, named_sets
from parallel_sharder.monitor.monitor import Monitor, guarded
from parallel_sharder.options import ReportOptions, StatusOptions
from parallel_sharder.pages import content as parts
from parallel_sharder.pages.bottleneck import bottleneck_of, means_of
from parallel_sharder.pages.charts import compared as compared_chart
from parallel_sharder.pages.content import Compared, Content, Wrong
from parallel_sharder.pages.drawn import CLASSES_LIMIT, Drawn, Group, drawn, sheet, sheet_of_classes
from parallel_sharder.pages.history import History, PastRun, history_of, is_of
from parallel_sharder.pages.look import look
from parallel_sharder.pages.made import MadePage, Reported
from parallel_sharder.pages.page_file import is_page
from parallel_sharder.pages.problems import listed_problems
from parallel_sharder.pages.render import refuse_without_packages, rendered
from parallel_sharder.pages.timeline import timeline_of
from parallel_sharder.pattern import set_name, shard_name
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.status import SetStatus, status_of
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted, first_few, size

_NO_EVENTS = (
    "Nothing is recorded of the runs that made this set: it was made by another tool, or by a version that recorded "
    "nothing, or the hidden file with the record was not copied along with the shards."
)
_OTHER_EVENTS = (
    "What is recorded of runs in this folder is not of these shards: their sizes differ. So nothing is said of the run."
)


def report_shards(options: ReportOptions, monitor: Monitor | None = None) -> Reported:
    """Write a page of each set that `options` name, and return what was written.

    Raises MissingPackageError without the packages of the extra `report`, and SharderError for what is not there, and
    for a page that cannot be written; a file that has the page's name and is no page of this tool stays.
    """
    refuse_without_packages()
    with guarded(monitor) as monitor, running(options.workers, preload=look.__module__) as engine:
        sets = named_sets(os.fspath(options.dest), needs_all=False)
        if not all(each.has_all for each in sets):
            raise DestinationError(f"{options.dest} names a part of a set, and a page is of a whole one. Name the set.")
        if options.to is not None and len(sets) > 1:
            raise DestinationError(
                f"{options.dest} holds {counted(len(sets), 'set')}, and --to names one file. Name one set by its "
                "manifest, or leave --to out."
            )
        other = None if options.compare is None else _other(os.fspath(options.compare))
        paths = [_page_path(each, options) for each in sets]
        return Reported(
            tuple(_written(each, path, other, options, engine, monitor) for each, path in zip(sets, paths, strict=True))
        )


def _files(shards: ShardsOfSet) -> SetFiles:
    """Return the files of the set: of another tool's, by the name of its first shard."""
    if shards.manifest is not None or shards.name.endswith(".json"):
        return SetFiles.at_manifest(shards.name)
    folder, name = os.path.split(shards.paths[0])
    found = shard_name(name)
    return SetFiles(folder, set_name(found.prefix) if found else name.partition(".")[0])


def _page_path(shards: ShardsOfSet, options: ReportOptions) -> str:
    """Return where the page of the set is written. Raises DestinationError if something else has the name."""
    path = _files(shards).report if options.to is None else os.fspath(options.to)
    if os.path.lexists(path) and not is_page(path):
        raise DestinationError(
            f"{path} is there, and is no page of this tool, so it stays. Name another file with --to, or move it away."
        )
    return path


def _other(what: str) -> ShardsOfSet:
    sets = named_sets(what, needs_all=False)
    if len(sets) > 1:
        raise DestinationError(f"{what} holds {counted(len(sets), 'set')}. Name one by its manifest after --compare.")
    return sets[0]


def _written(
    shards: ShardsOfSet, path: str, other: ShardsOfSet | None, options: ReportOptions, engine: Engine, monitor: Monitor
) -> MadePage:
    content, seen = _content(shards, other, options, engine, monitor)
    page = rendered(content)
    try:
        store_of(path).put(path, page, is_page)
    except OSError as error:
        raise unwritable(path, error, "Name another file with --to.") from error
    bottleneck = content.run.bottleneck.sentence if content.run else ""
    return MadePage(shards.name, path, len(page), len(seen.looked), seen.samples, bottleneck, tuple(content.wrong))


def _content(
    shards: ShardsOfSet, other: ShardsOfSet | None, options: ReportOptions, engine: Engine, monitor: Monitor
) -> tuple[Content, Drawn]:
    """Return the content of a set's page, and what was looked at for it."""
    files = _files(shards)
    manifest = shards.manifest
    problems, lost_problems = listed_problems(files) if manifest is not None else ([], 0)
    history, no_run = _history(shards, files)
    status = _status(files)
    shortened = parts.in_short_paths(history, files.folder or ".", problems)
    is_shuffled = manifest is not None and manifest.options.seed is not None
    noted = {each.key for each in problems if each.key and not each.left_out}
    seen = drawn(shards, is_shuffled, options.seed, noted, engine, monitor)
    sizes = [*map(store_of(files.folder).size, shards.paths)]
    wrong = [
        *_unfinished(shards, status),
        *(Wrong(f"Damaged: {shortened(fault)}", is_bad=True) for fault in seen.faults),
        *parts.problems_of(problems),
        *_lost(history, lost_problems),
        *_undecoded(seen),
    ]
    groups, sheet_note = _sheet(shards, seen, noted, options, engine, monitor)
    wrong += _faulty_pictures(groups)
    command, command_notes = parts.in_words(status.command if status else (), shortened)
    run = parts.run_part(history, shortened) if history.working else None
    notices = [*dict.fromkeys(shortened(notice) for run_ in history.runs for notice in run_.notices)]
    cells = [
        [
            shortened(each.path),
            each.key,
            each.meaning,
            shortened(each.detail),
            "left out" if each.left_out else "stored",
        ]
        for each in problems
    ]
    samples = sum(shards.counts[path] for path in shards.paths) if _is_counted(shards) else seen.samples
    return (
        Content(
            files.name,
            _lead(shards, samples, sum(sizes), history),
            wrong,
            parts.facts_of(shards, sum(sizes), samples),
            command,
            command_notes,
            shortened(shards.overview().braces),
            run,
            no_run,
            parts.data_charts(shards, sizes, seen),
            parts.data_note(seen),
            parts.tables(shards, seen, cells),
            notices,
            groups,
            sheet_note,
            {row.label: row.name for row in shards.classes},
            None if other is None else _compared(shards, history, other),
        ),
        seen,
    )


def _is_counted(shards: ShardsOfSet) -> bool:
    return all(path in shards.counts for path in shards.paths)


def _lead(shards: ShardsOfSet, samples: int, file_bytes: int, history: History) -> str:
    sentence = f"{counted(samples, 'sample')} in {counted(len(shards.paths), 'shard')}, {size(file_bytes)}"
    by = f", made by {shards.manifest.tool}" if shards.manifest is not None else ""
    at = ""
    if by and history.working:
        moment = datetime.datetime.fromtimestamp(history.working[-1].ended).astimezone()
        at = f" on {moment:%Y-%m-%d}"
    return f"{sentence}{by}{at}."


def _history(shards: ShardsOfSet, files: SetFiles) -> tuple[History, str]:
    """Return the runs of the set, and why nothing is said of them, or ""."""
    found = history_of(files)
    if not found.working:
        return found, _NO_EVENTS
    if shards.manifest is not None and not is_of(found, shards.manifest):
        return History(), _OTHER_EVENTS
    return found, ""


def _status(files: SetFiles) -> SetStatus | None:
    """Return what the journals say of the set; None of a set of another tool."""
    try:
        sets = status_of(StatusOptions(dest=files.folder or ".")).sets
    except SharderError:
        return None
    return next((each for each in sets if SetFiles.at_manifest(each.path).name == files.name), None)


def _unfinished(shards: ShardsOfSet, status: SetStatus | None) -> list[Wrong]:
    """Return what is missing of the set."""
    if shards.manifest is not None:
        missing = shards.manifest.totals.shards - len(shards.paths)
        words = f"{counted(missing, 'shard', 'shards')} of the manifest {'is' if missing == 1 else 'are'} missing."
        return [Wrong(words, is_bad=True)] if missing else []
    if status is None:
        return []
    done = status.shards - len(status.missing)
    words = f"The set is not finished: {done:,} of {counted(status.shards, 'shard')} are done."
    return [Wrong(f"{words} parallel-sharder status says what makes the rest.", is_bad=True)]


def _lost(history: History, problems: int) -> list[Wrong]:
    found = []
    if history.lost_lines:
        found.append(
            Wrong(
                f"{counted(history.lost_lines, 'line')} of the record of runs could not be read: "
                "it was cut off, or damaged. What is said of the run is of the rest.",
                is_bad=False,
            )
        )
    if problems:
        found.append(Wrong(f"{counted(problems, 'line')} of the list of problems could not be read.", is_bad=True))
    return found


def _undecoded(seen: Drawn) -> list[Wrong]:
    without = [each.line.key for each in seen.looked if each.image is None]
    if not without:
        return []
    words = f"{counted(len(without), 'sample')} of those looked at {'has' if len(without) == 1 else 'have'} no image"
    return [Wrong(f"{words}: {first_few(without, 3)}.", is_bad=False)]


def _faulty_pictures(groups: Sequence[Group]) -> list[Wrong]:
    keys = [
        *dict.fromkeys(small.key for group in groups for looked, small in group.entries if small.fault and looked.image)
    ]
    if not keys:
        return []
    words = f"{counted(len(keys), 'image')} of the contact sheet cannot be decoded"
    return [Wrong(f"{words}: {first_few(keys, 3)}.", is_bad=True)]


def _sheet(
    shards: ShardsOfSet, seen: Drawn, noted: set[str], options: ReportOptions, engine: Engine, monitor: Monitor
) -> tuple[list[Group], str]:
    """Return the groups of the contact sheet, and a note on it."""
    if not options.images:
        return [], "The page was made with --no-images."
    note = "Pictures are small copies of the images in the shards, with the boxes of their annotations."
    if options.sheet != "classes":
        return sheet(seen, options.seed, noted, engine, monitor), note
    classes = len(parts.counts_of_classes(shards, seen))
    if classes > CLASSES_LIMIT:
        groups = sheet(seen, options.seed, noted, engine, monitor)
        return groups, f"{note} A sheet of classes has at most {CLASSES_LIMIT:,}, and the set has {classes:,}."
    groups, missing = sheet_of_classes(shards, seen, engine, monitor)
    if missing:
        note += f" Of {counted(len(missing), 'class', 'classes')} no sample was found."
    return groups, note


def _compared(shards: ShardsOfSet, history: History, other: ShardsOfSet) -> Compared:
    """Return both sets side by side."""
    other_files = _files(other)
    other_history, _ = _history(other, other_files)
    names = _files(shards).name, other_files.name
    if names[0] == names[1]:
        names = f"{names[0]} (this one)", f"{names[1]} (the other)"
    both = [(shards, history), (other, other_history)]
    rows = [(name, *(words(*each) for each in both)) for name, words in _SIDES.items()]
    timelines = [(name, timeline_of(each.working)) for name, (_, each) in zip(names, both, strict=True) if each.working]
    chart = compared_chart(timelines) if len(timelines) == 2 else None
    return Compared(names, [row for row in rows if {*row[1:]} != {"-"}], chart)  # type: ignore[misc]


def _of_run(words: Callable[[PastRun], str]) -> Callable[[ShardsOfSet, History], str]:
    """Return a function that gives the words of the run that has written most; "-" if there is none."""

    def said(_: ShardsOfSet, history: History) -> str:
        return words(max(history.working, key=lambda run: run.tar_bytes)) if history.working else "-"

    return said


def _samples(shards: ShardsOfSet, _: History) -> str:
    return f"{sum(shards.counts[path] for path in shards.paths):,}" if _is_counted(shards) else "-"


def _bytes(shards: ShardsOfSet, _: History) -> str:
    return size(sum(map(store_of(shards.paths[0]).size, shards.paths)))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


_SIDES: dict[str, Callable[[ShardsOfSet, History], str]] = {
    "Samples": _samples,
    "Shards": lambda shards, _: f"{len(shards.paths):,}",
    "Size": _bytes,
    "Tool": lambda shards, _: "-" if shards.manifest is None else shards.manifest.tool,
    "Seed": lambda shards, _: "-" if shards.manifest is None else str(shards.manifest.options.seed),
    "Host": _of_run(lambda run: run.host),
    "Workers": _of_run(lambda run: f"{run.workers:,} ({run.engine})"),
    "Wrote for": _of_run(lambda run: f"{run.write_seconds:,.1f} s"),
    "Images a second": _of_run(lambda run: f"{run.samples / max(run.write_seconds, 1e-3):,.0f}"),
    "MB a second": _of_run(lambda run: f"{run.tar_bytes / max(run.write_seconds, 1e-3) / 1e6:,.1f}"),
    "Workers had a shard": _of_run(lambda run: _percent(means_of(run).workers)),
    "Processors busy": _of_run(lambda run: _percent(means_of(run).cpu)),
    "Waited for storage": _of_run(lambda run: _percent(means_of(run).wait)),
    "What held it back": _of_run(lambda run: bottleneck_of(run).sentence),
}
