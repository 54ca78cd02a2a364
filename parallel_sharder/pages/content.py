"""The content of a page: all that is known of a set and its runs, in the page's order, as text and charts.

Paths are told relative to the data set's root and the destination, because a page is made to be mailed.
"""

from __future__ import annotations

import datetime
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from parallel_sharder.inspection.named import ShardsOfSet
from parallel_sharder.pages import charts
from parallel_sharder.pages.bottleneck import Bottleneck, bottleneck_of
from parallel_sharder.pages.charts import Chart
from parallel_sharder.pages.compared import Compared
from parallel_sharder.pages.drawn import Drawn, Group
from parallel_sharder.pages.history import History, PastRun
from parallel_sharder.pages.paged_set import PagedSet
from parallel_sharder.pages.problems import ListedProblem
from parallel_sharder.pages.short_paths import ShortPaths
from parallel_sharder.pages.timeline import Clock, joined, timeline_of, workers_at_once
from parallel_sharder.pages.wrong import Wrong
from parallel_sharder.text import counted, duration, first_few, size

PROBLEMS_SHOWN = 1_000
"""The most problems that a page lists; the file beside the set has all."""

CROP = 224
"""The side that most models train on, in pixels: below it an image is enlarged."""

Facts = list[tuple[str, str]]


class Table(NamedTuple):
    """A table that can be sorted and searched: its columns, which of them are numbers, and its rows."""

    id: str
    title: str
    caption: str
    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Any]]


class RunPart(NamedTuple):
    """What the page says of the runs: facts, what held the longest one back, charts, phases and a table of all."""

    facts: Facts
    bottleneck: Bottleneck
    charts: Sequence[Chart]
    phases: Sequence[tuple[str, str, float]]
    table: Table | None


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of a page. `run` is None where the set has no events; `no_run` says why."""

    name: str
    lead: str
    wrong: Sequence[Wrong]
    facts: Facts
    command: str
    command_notes: Sequence[str]
    braces: str
    run: RunPart | None
    no_run: str
    data: Sequence[Chart]
    data_note: str
    tables: Sequence[Table]
    notices: Sequence[str]
    groups: Sequence[Group]
    sheet_note: str
    class_names: Mapping[Any, str] = field(default_factory=dict)
    compared: Compared | None = None

    @property
    def charts(self) -> list[Chart]:
        """All charts that are drawn."""
        found = [*(self.run.charts if self.run else ()), *self.data]
        found += [self.compared.chart] if self.compared and self.compared.chart else []
        return [chart for chart in found if chart.is_drawn]


def lead(paged: PagedSet, samples: int) -> str:
    """Return the sentence below the set's name: how much it is, and who made it when."""
    words = f"{counted(samples, 'sample')} in {counted(len(paged.shards.paths), 'shard')}, {size(sum(paged.sizes))}"
    if paged.shards.manifest is None:
        return f"{words}."
    runs = paged.history.working
    on = f" on {datetime.datetime.fromtimestamp(runs[-1].ended).astimezone():%Y-%m-%d}" if runs else ""
    return f"{words}, made by {paged.shards.manifest.tool}{on}."


def facts_of(shards: ShardsOfSet, file_bytes: int, samples: int) -> Facts:
    """Return the facts that a page begins with."""
    manifest = shards.manifest
    facts: Facts = []
    if manifest is not None and manifest.options.split:
        facts.append(("Split", manifest.options.split))
    facts.append(("Samples", f"{samples:,}"))
    facts.append(("Shards", f"{len(shards.paths):,}"))
    facts.append(("Size", size(file_bytes)))
    if manifest is None:
        return facts
    choices = manifest.options
    if manifest.classes:
        order = f", in the order {choices.labels}" if choices.labels else ""
        facts.append(("Classes", f"{len(manifest.classes):,}{order}"))
    facts.append(("Seed", "none: not shuffled" if choices.seed is None else str(choices.seed)))
    facts.append(("Samples hold", ", ".join(name for name, _ in manifest.fields) or _of_form(choices.its_form)))
    facts.append(("Largest shard", f"{size(choices.maxsize)} allowed"))
    facts.append(("Made by", manifest.tool))
    return facts


def _of_form(form: str) -> str:
    return {"original": "cls, jpg, json with the annotation", "boxes": "cls, jpg, json with boxes"}.get(form, form)


def run_part(history: History, paths: ShortPaths) -> RunPart:
    """Return what is to be said of runs of which at least one has made shards."""
    working = history.working
    main = history.largest
    timeline = timeline_of(working)
    samples, tar_bytes = sum(run.samples for run in working), sum(run.tar_bytes for run in working)
    wrote = Clock(working).seconds
    elapsed = sum(ended - began for began, ended in joined((run.began, run.ended) for run in working))
    hosts = sorted({shard.host for run in working for shard in run.made})
    workers = workers_at_once(working)
    facts = [
        ("Took", duration(elapsed)),
        ("Speed", f"{samples / max(wrote, 1e-3):,.0f} images/s, {size(round(tar_bytes / max(wrote, 1e-3)))}/s"),
        ("Workers", f"{workers:,} ({main.engine})"),
        ("Hosts", f"{first_few(hosts, 3)}{_cores(main, len(hosts))}"),
        ("Runs", f"{len(working):,}{_ends(working)}"),
        ("Deaths of workers", f"{sum(len(run.deaths) for run in working):,}"),
    ]
    table = _runs_table(working, paths) if len(working) > 1 else None
    return RunPart(facts, bottleneck_of(main), charts.over_time(timeline, workers), _phases(working), table)


def _cores(run: PastRun, hosts: int) -> str:
    return f", {counted(run.cores, 'core')}{' each' if hosts > 1 else ''}" if run.cores else ""


def _ends(runs: Sequence[PastRun]) -> str:
    ends = Counter(run.how or "without a recorded end" for run in runs)
    if [*ends] == ["done"]:
        return ""
    return f" ({', '.join(f'{count:,} {how}' for how, count in sorted(ends.items()))})"


def _phases(runs: Sequence[PastRun]) -> list[tuple[str, str, float]]:
    """Return each phase, its duration, and its share of all, summed over the runs."""
    total: dict[str, float] = {}
    for run in runs:
        for name, seconds in run.seconds.items():
            total[name] = total.get(name, 0.0) + seconds
        if "write" not in run.seconds:  # its end is not recorded
            total["write"] = total.get("write", 0.0) + run.write_seconds
    whole = max(sum(total.values()), 1e-9)
    return [(name, duration(seconds), seconds / whole) for name, seconds in total.items()]


def _runs_table(runs: Sequence[PastRun], paths: ShortPaths) -> Table:
    first = runs[0].began
    rows = [
        [
            run.node or number,
            run.host,
            round(run.began - first),
            round(run.ended - run.began, 1),
            len(run.made),
            run.samples,
            round(run.samples / max(run.write_seconds, 1e-3)),
            len(run.deaths),
            f"{run.how or 'no end is recorded'}{f': {paths.text(run.error)}' if run.error else ''}",
        ]
        for number, run in enumerate(runs, 1)
    ]
    columns = ["Run", "Host", "Began after, s", "Took, s", "Shards", "Samples", "Images/s", "Deaths", "Ended"]
    return Table("runs", "Runs", "", columns, [False, False, *[True] * 6, False], rows)


def data_charts(shards: ShardsOfSet, sizes: Sequence[int], drawn: Drawn) -> list[Chart]:
    """Return the charts of what is in the shards; of what is not known, none."""
    found = [*_of_classes(shards, drawn), *_of_images(drawn)]
    counts = [shards.counts[path] for path in shards.paths if path in shards.counts]
    limit = None
    if shards.manifest is not None and shards.manifest.totals.file_bytes == shards.manifest.totals.tar_bytes:
        limit = shards.manifest.options.maxsize
    if sizes:
        found.append(charts.of_shards("shard-bytes", "Bytes in a shard", _range(sizes, size), "bytes", sizes, limit))
    if counts and len(counts) == len(sizes):
        words = _range(counts, lambda count: counted(count, "sample"), short="{:,}".format)
        flat = max(counts) - min(counts) <= 1
        shown = counts[:1] if flat else counts
        found.append(charts.of_shards("shard-samples", "Samples in a shard", words, "number", shown, None))
    return found


def _range(values: Sequence[int], words: Callable[[int], str], short: Callable[[int], str] | None = None) -> str:
    """Return in words from what to what the values of shards go; `short` gives the words of the lowest."""
    low, high = min(values), max(values)
    if len(values) == 1:
        return f"The one shard has {words(low)}."
    if low == high:
        return f"Each shard has {words(low)}."
    return f"From {(short or words)(low)} to {words(high)}; the median is {words(round(statistics.median(values)))}."


def counts_of_classes(shards: ShardsOfSet, drawn: Drawn) -> list[tuple[Any, str, str, int]]:
    """Return label, ID, name and images of each class; without a table of classes, of those that were met."""
    if shards.classes:
        return [(row.label, row.id, row.name, row.samples) for row in shards.classes]
    met = Counter(each.line.label for each in drawn.looked if each.line.label is not None)
    names = {each.line.label: each.line.name or "" for each in drawn.looked}
    order = sorted(met.items(), key=lambda item: (isinstance(item[0], str), item[0]))
    return [(label, "", names[label], count) for label, count in order]


def _of_classes(shards: ShardsOfSet, drawn: Drawn) -> list[Chart]:
    rows = counts_of_classes(shards, drawn)
    if not rows:
        return [Chart("classes", "Images in a class", "The samples have no labels that could be counted.")]
    filled = [row for row in rows if row[3]]
    counts = [count for *_, count in filled]
    among = "" if shards.classes or drawn.is_all else f" Only the {len(drawn.looked):,} samples looked at are counted."
    if not filled:
        return [Chart("classes", "Images in a class", f"None of the {len(rows):,} classes has an image.")]
    if len(filled) == 1:
        words = f"All samples are of one class, {filled[0][2] or filled[0][0]}."
    elif min(counts) == max(counts):
        words = f"{len(filled):,} classes have {counted(counts[0], 'image')} each."
    else:
        words = f"{len(filled):,} classes have from {min(counts):,} to {counted(max(counts), 'image')}; the median is "
        words += f"{round(statistics.median(counts)):,}."
    if empty := len(rows) - len(filled):
        words += f" {empty:,} of the {len(rows):,} in the table of classes {'has' if empty == 1 else 'have'} none."
    named = [(f"{label} {name}".strip(), count) for label, _, name, count in filled]
    return [charts.ranked("classes", "Images in a class", words + among, named)]


def _of_images(drawn: Drawn) -> list[Chart]:
    """Return the charts of the images that were looked at."""
    found = []
    formats = [*_formats(drawn)]
    if len(formats) == 1:
        words = "No sample has an image." if formats == ["no image"] else f"All images are {formats[0]}."
        found.append(Chart("formats-said", "Formats", words))
    pixels = [each.line.pixels for each in drawn.looked if each.line.pixels]
    if pixels:
        shorter = [min(each) for each in pixels]
        small = sum(side < CROP for side in shorter) / len(shorter)
        words = f"The shorter side has from {min(shorter):,} to {max(shorter):,} pixels; the median is "
        words += f"{round(statistics.median(shorter)):,}. In {small:.1%} of the images it has fewer than {CROP}."
        if min(shorter) == max(shorter):
            words = f"The shorter side of every image has {shorter[0]:,} pixels."
        if unknown_sizes := len(drawn.looked) - len(pixels):
            words += f" Of {counted(unknown_sizes, 'sample')} the size is not known."
        found.append(
            charts.histogram("pixels", "Size of the images", words, shorter, "Shorter side, pixels", "number", log=True)
        )
    image_bytes = [each.image[1] for each in drawn.looked if each.image]
    if image_bytes:
        words = f"From {size(min(image_bytes))} to {size(max(image_bytes))}; the median is "
        words += f"{size(round(statistics.median(image_bytes)))}."
        found.append(
            charts.histogram("image-bytes", "Bytes of an image", words, image_bytes, "Bytes", "bytes", log=True)
        )
    boxes = [each.line.boxes or 0 for each in drawn.looked]
    if any(boxes):
        share = sum(map(bool, boxes)) / len(boxes)
        with_boxes = [count for count in boxes if count]
        words = f"{share:.1%} of the samples have boxes, {statistics.mean(with_boxes):.1f} each on average."
        found.append(charts.of_whole_numbers("boxes", "Boxes in an image", words, boxes, "Boxes"))
    elif boxes:
        found.append(Chart("boxes", "Boxes in an image", "No sample that was looked at has boxes in a known form."))
    return found


def tables(shards: ShardsOfSet, drawn: Drawn, problems: Sequence[ListedProblem], paths: ShortPaths) -> list[Table]:
    """Return the tables of classes, of formats, and of problems."""
    found = []
    rows = counts_of_classes(shards, drawn)
    total = max(1, sum(count for *_, count in rows))
    has_ids = any(id_ not in ("", name) for _, id_, name, _ in rows)
    if rows:
        columns = ["Label", *(["ID"] if has_ids else []), "Name", "Images", "Share, %"]
        numeric = [False, *([False] if has_ids else []), False, True, True]
        cells = [
            [str(label), *([id_] if has_ids else []), name, count, round(100 * count / total, 3)]
            for label, id_, name, count in sorted(rows, key=lambda row: -row[3])
        ]
        found.append(Table("class-table", "Classes", "", columns, numeric, cells))
    formats = _formats(drawn)
    if len(formats) > 1:
        cells = [[name, count, round(100 * count / len(drawn.looked), 2)] for name, count in formats.most_common()]
        found.append(Table("formats", "Formats", "", ["Ending", "Samples", "Share, %"], [False, True, True], cells))
    if problems:
        more = f"The first {PROBLEMS_SHOWN:,} of {len(problems):,}." if len(problems) > PROBLEMS_SHOWN else ""
        columns = ["Path", "Key", "What", "Detail", "Consequence"]
        rows_shown = [_problem_row(each, paths) for each in problems[:PROBLEMS_SHOWN]]
        found.append(Table("problem-table", "Problems", more, columns, [False] * 5, rows_shown))
    return found


def _problem_row(problem: ListedProblem, paths: ShortPaths) -> list[str]:
    return [paths.path(problem.path), problem.key, problem.meaning, paths.text(problem.detail), problem.consequence]


def _formats(drawn: Drawn) -> Counter[str]:
    """Return how many samples have an image of each format, by its ending."""
    return Counter(
        f".{each.image[0].rpartition('.')[2].lower()}" if each.image else "no image" for each in drawn.looked
    )


def data_note(drawn: Drawn) -> str:
    """Return which samples the sizes, formats and boxes are of."""
    if not drawn.looked:
        return "No sample could be looked at."
    if drawn.is_all:
        return f"Sizes, formats and boxes are of all {counted(len(drawn.looked), 'sample')}."
    if not drawn.is_random:
        return (
            f"Sizes, formats and boxes are of {len(drawn.looked):,} of {counted(drawn.samples, 'sample')}: of damaged "
            "shards only what comes before the damage could be looked at. So shares can be off."
        )
    how = f"all of {counted(drawn.shards, 'random shard')}" if drawn.whole_shards else "drawn at random"
    return (
        f"Sizes, formats and boxes are of {len(drawn.looked):,} of {drawn.samples:,} samples, {how}. Shares are within "
        "1 % of those of the set."
    )
