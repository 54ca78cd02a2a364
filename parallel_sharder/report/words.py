"""The words for the results of the four commands: a conversion, its dry run, verify and index.

Takes the facts (Report, Preview, Verdict, Indexed), and returns the text that people are shown. It also returns the
lines of Python that read the shards. Prints nothing. The classes of the facts are imported for type checkers only, so
that no command loads the modules of another one.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from parallel_sharder.catalog.loading import reading
from parallel_sharder.catalog.problems import samples_left_out
from parallel_sharder.errors import worded
from parallel_sharder.node import of_nodes
from parallel_sharder.report.lines import (
    Row,
    first_lines,
    images_rows,
    kept_phrase,
    left_out_phrase,
    lines_by_kind,
    notice_lines,
    table,
    text_of,
    workers_phrase,
)
from parallel_sharder.text import counted, duration, size

if TYPE_CHECKING:
    from parallel_sharder.indexes.indexed import Indexed
    from parallel_sharder.report.preview import Preview
    from parallel_sharder.report.summary import Report
    from parallel_sharder.verify.remarks import Remark
    from parallel_sharder.verify.verdict import Verdict

_BRACES = re.compile(r"\{([0-9]+)\.\.[0-9]+\}(?=[^/]*$)")
"""The numbers in a brace pattern."""

_HOSTS_SHOWN = 16
"""How many hosts the summary names. With more, the row hides the others; the JSON has all."""

_MENDED = {
    "swapped": ("box swapped", "boxes swapped"),
    "clamped": ("box clamped", "boxes clamped"),
    "dropped": ("box dropped", "boxes dropped"),
    "names": ("object name", ""),
    "filenames": ("file name", ""),
    "folders": ("folder", ""),
    "sizes": ("size", ""),
}
"""The fields of samples.mended.Mended in words, for one and for several."""


def summary_text(report: Report) -> str:
    """Return the summary of a conversion, with a line for each fact."""
    rows = [*_node_rows(report), *_stored_rows(report), *_speed_rows(report)]
    rows.append(("left out", left_out_phrase(report.left_out, report.problems)))
    rows += _written_rows(report)
    lines = [*table(rows), *_remade_lines(report), *notice_lines(report.notices), *lines_by_kind(report.problems)]
    return text_of(lines)


def _node_rows(report: Report) -> list[Row]:
    """Return rows for a node of an array: its share, and what others have to write before the set is published."""
    if not report.node:
        return []
    if not report.missing:
        return [("node", f"{report.node}, and all others are done: the set is published")]
    count = int(report.node.partition("/")[2])
    are = "is" if len(report.missing) == 1 else "are"
    return [
        ("node", f"{report.node}, whose share is done"),
        (
            "missing",
            f"{counted(len(report.missing), 'shard')} {are} not written yet{of_nodes(report.missing, count)}; "
            "the last node publishes the set",
        ),
    ]


def _stored_rows(report: Report) -> list[Row]:
    packed = f", {size(report.tar_bytes)} before compression" if report.file_bytes != report.tar_bytes else ""
    rows = [
        *images_rows(report.samples, report.problems),
        ("samples", f"{report.samples:,}"),
        ("shards", f"{report.shards:,}, {size(report.file_bytes)}{packed}"),
    ]
    if report.kept_shards == report.shards and (_further_indexes(report) or report.card_path or report.page_path):
        rows.append(("kept", "all of them"))
    elif report.kept_shards:
        whose = "other nodes or an earlier run" if report.node and not report.missing else "an earlier run"
        rows.append(("kept", kept_phrase(report.kept_shards, report.shards, whose)))
    return rows


def _speed_rows(report: Report) -> list[Row]:
    elapsed = max(report.elapsed_seconds, 1e-9)
    chunks = f"with {counted(report.workers, 'chunk')} at a time on {report.cluster}"
    rows = [("elapsed", f"{duration(elapsed)} {chunks if report.cluster else workers_phrase(report.workers)}")]
    if report.hosts:
        rows.append(("hosts", _hosts_phrase(report.hosts, max(report.seconds["write"], 1e-9))))
    if report.made_samples:
        rate = f"{report.made_samples / elapsed:,.0f} images/s, {report.made_bytes / elapsed / 1e6:,.0f} MB/s"
        rows.append(("rate", rate))
    return rows


def _hosts_phrase(hosts: Mapping[str, int], seconds: float) -> str:
    """Return what each host has stored, and how fast; of many hosts the first, and how many there are more."""
    each = [f"{host} {samples:,} ({samples / seconds:,.0f}/s)" for host, samples in hosts.items()]
    more = [f"and {len(each) - _HOSTS_SHOWN:,} more"] if len(each) > _HOSTS_SHOWN else []
    return ", ".join([*each[:_HOSTS_SHOWN], *more])


def _written_rows(report: Report) -> list[Row]:
    """Return rows for the files that were written besides the shards."""
    rows = [] if report.missing else [("braces", report.braces), ("manifest", report.manifest_path)]
    if further := _further_indexes(report):
        rows.append(("indexes", f"{', '.join(further)}, beside the shards"))
    if report.card_path:
        rows.append(("card", report.card_path))
    if report.page_path:
        rows.append(("page", report.page_path))
    if report.mended:
        rows.append(("mended", ", ".join(counted(count, *_MENDED[name]) for name, count in report.mended.items())))
    if report.problems and report.missing:
        rows.append(("problems", f"{len(report.problems):,}, to be listed in {report.problems_path}"))
    elif report.problems:
        rows.append(("problems", f"{len(report.problems):,}, listed in {report.problems_path}"))
    return rows


def _further_indexes(report: Report) -> list[str]:
    """Return the readers for which indexes besides the manifest were written; wids reads the manifest."""
    return [name for name in report.indexes if name != "wids"]


def _remade_lines(report: Report) -> list[str]:
    """Return lines that name the shards which were made again, and what was removed and has not been written anew."""
    lines = []
    if report.remade:
        lines = [f"made again, because they were missing, not as recorded, or incomplete: {len(report.remade):,}"]
        lines += first_lines([f"  {path}" for path in report.remade])
    if report.withdrawn and not (_further_indexes(report) and report.card_path):
        withdrawn = "indexes or a dataset card listed shards that were removed: --index and --card write them anew"
        lines.append(worded(withdrawn))
    return lines


def reading_example(report: Report) -> str:
    """Return lines of Python that read the shards with webdataset, and that can be run in any folder."""
    chain, names = reading(report.fields, report.image_field)
    return "\n".join(
        [
            "Read them with",
            "    import webdataset as wds",
            f"    dataset = wds.WebDataset({_urls(report.braces, report.shards)}, shardshuffle=False){chain}",
            f"    {names} = next(iter(dataset))",
        ]
    )


def _urls(braces: str, shards: int) -> str:
    """Return the shards' URLs for webdataset, in Python: a brace pattern, or a list if the path has braces itself."""
    path = os.path.abspath(braces)
    begin, *rest = _BRACES.split(path)
    packed = path.endswith(".zst")  # webdataset knows no zstd; the path is quoted for the shell
    opened = f"pipe:zstd -dc {shlex.quote(begin)}" if packed else begin
    if not re.search(r"[{}\\]|::", begin):
        return repr(opened + path.removeprefix(begin))
    if not rest:
        return f"[{opened!r}]"
    return f'[{opened!r} + f"{{number:0{len(rest[0])}}}{rest[1]}" for number in range({shards})]'


def preview_text(preview: Preview) -> str:
    """Return the preview of a conversion, with a line for each fact."""
    few, many = preview.samples_per_shard
    samples = counted(many, "sample") if few == many else f"{few:,} or {counted(many, 'sample')}"
    each = f"{samples}, at most" if preview.shards == 1 else f"{samples} each, the largest at most"
    needed = f"at most {size(preview.needed_bytes)}" if preview.needed_bytes else "none"
    short = ": too little" if preview.has_too_little_space else ""
    left_out = left_out_phrase(samples_left_out(preview.problems), preview.problems)
    rows = [
        *preview.found,
        *images_rows(preview.samples, preview.problems),
        ("samples", f"{preview.samples:,}"),
        ("left out", left_out),
        ("shards", f"{preview.shards:,} with {each} {size(preview.shard_bytes[1])}"),
        ("braces", preview.braces),
        *([("node", f"{preview.node}, whose share is {counted(preview.share, 'shard')}")] if preview.node else []),
        ("space", f"{needed} needed, {size(preview.free_bytes)} free{short}"),
    ]
    if preview.stage is not None:
        stage = preview.stage
        rows.append(
            ("stage", f"some {size(stage.needed_bytes)} needed in {stage.folder}, {size(stage.free_bytes)} free")
        )
    if preview.kept_shards:
        rows.append(("kept", kept_phrase(preview.kept_shards, preview.shards)))
    rows += _refusal_rows(preview)
    return text_of([*table(rows), *notice_lines(preview.notices), *lines_by_kind(preview.problems)])


def _refusal_rows(preview: Preview) -> list[Row]:
    """Return rows for what would stop the run."""
    rows = []
    if preview.taken:
        existing = counted(len(preview.taken), "of these files exists", "of these files exist")
        rows.append(("taken", f"{existing} already; the first is {preview.taken[0]}"))
    if preview.in_the_way:
        first, *further = preview.in_the_way.split("\n")  # each line is printable already
        rows += [("in the way", first), *(("", line) for line in further)]
    reasons = ["there is too little space"] if preview.has_too_little_space else []
    reasons += ["something is in the way"] if preview.is_blocked else []
    if reasons:
        rows.append(("outcome", f"the run would be refused, because {' and '.join(reasons)}"))
    return rows


def verdict_text(verdict: Verdict) -> str:
    """Return the verdict on sets, with the first deviations of each file, and a line for each kind of remark."""
    elapsed = max(verdict.elapsed_seconds, 1e-9)
    rows = [("set", path) for path in (*verdict.manifests, *verdict.foreign)]
    rows += [
        ("samples", f"{verdict.samples:,}"),
        ("shards", f"{verdict.shards:,}, {size(verdict.file_bytes)}"),
        ("elapsed", f"{duration(elapsed)} {workers_phrase(verdict.workers)}"),
        ("rate", f"{verdict.samples / elapsed:,.0f} images/s, {verdict.file_bytes / elapsed / 1e6:,.0f} MB/s"),
    ]
    if verdict.source is not None:
        rows.append(("source", f"{counted(verdict.compared, 'sample')} compared with {verdict.source}"))
    if verdict.is_incomplete:
        rows.append(("left out", left_out_phrase(verdict.left_out, verdict.problems)))
    sound = "sound, but incomplete" if verdict.is_incomplete else "sound"
    noun = "fault" if verdict.foreign else "deviation"
    rows.append(("verdict", counted(len(verdict.deviations), noun) if verdict.deviations else sound))
    lines = [*table(rows), *notice_lines(verdict.notices), *lines_by_kind(verdict.problems)]
    return text_of([*lines, *_deviation_lines(verdict), *_remark_lines(verdict)])


def _remark_lines(verdict: Verdict) -> list[str]:
    """Return a line for each kind of remark, with its count and where it is first; the JSON has each file's."""
    by_detail: dict[str, list[Remark]] = defaultdict(list)
    for each in verdict.remarks:
        by_detail[each.detail].append(each)
    lines = ["remarks, which are no faults:"] if by_detail else []
    for detail, some in by_detail.items():
        first = some[0]
        offset = f"offset {first.offset:,}" if first.offset is not None else ""
        place = ", ".join(filter(None, (first.path, offset, first.key)))
        files = f" in {len(some):,} shards, first" if len(some) > 1 else ""
        lines.append(f"  {detail} ({sum(each.count for each in some):,}{files}: {place})")
    return lines


def _deviation_lines(verdict: Verdict) -> list[str]:
    """Return a line for each file, followed by its first deviations."""
    by_path: dict[str, list[str]] = defaultdict(list)
    for each in verdict.deviations:
        offset = f"offset {each.offset:,}" if each.offset is not None else ""
        place = ", ".join(filter(None, (offset, each.key)))
        by_path[each.path].append(f"  {place}: {each.detail}" if place else f"  {each.detail}")
    return [line for path, some in by_path.items() for line in (path, *first_lines(some))]


def indexed_text(indexed: Indexed) -> str:
    """Return what was indexed, with a line for each fact, and the first few files."""
    elapsed = max(indexed.elapsed_seconds, 1e-9)
    nothing = "nothing: the manifests are indexes already"
    rows = [
        ("sets", ", ".join(indexed.sets)),
        ("samples", f"{indexed.samples:,}"),
        ("shards", f"{indexed.shards:,}"),
        ("elapsed", f"{duration(elapsed)} {workers_phrase(indexed.workers)}"),
        ("rate", f"{indexed.samples / elapsed:,.0f} samples/s"),
        ("wrote", counted(len(indexed.written), "file") if indexed.written else nothing),
    ]
    return text_of([*table(rows), *first_lines([f"  {path}" for path in reversed(indexed.written)])])
