"""The words for the status of sets. Takes the facts of `status.Status`, and returns the text that people are shown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from parallel_sharder.command_words import unknown
from parallel_sharder.report.lines import Row, first_lines, table, text_of
from parallel_sharder.text import counted, duration

if TYPE_CHECKING:
    from parallel_sharder.status import RunStatus, SetStatus, Status

_SHOWN_RANGES = 10
_PLAN = {
    "samples": "{:,} samples",
    "form": "--layout {}",
    "split": "--split {}",
    "labels": "--labels {}",
    "annotations": "--annotations {}",
    "seed": "--seed {}",
    "maxsize": "--maxsize {:,}",
    "maxcount": "--maxcount {:,}",
    "on_bad": "--on-bad {}",
    "names of shards": "the first shard {}",
}
"""The entries of the fingerprint that people choose by, in words; --json has all."""


def status_text(status: Status) -> str:
    """Return the status of the sets, a paragraph each."""
    return "\n\n".join(text_of(_set_lines(each)) for each in status.sets)


def _set_lines(each: SetStatus) -> list[str]:
    done = each.shards - len(each.missing)
    lacks = "published, but not whole any more" if each.is_published else "not finished"
    state = "finished" if each.is_finished else lacks
    rows: list[Row] = [
        ("set", each.path.removesuffix(".json")),
        ("state", f"{state}: {done:,} of {counted(each.shards, 'shard')} done"),
    ]
    if each.plan:
        chosen = [words.format(each.plan[name]) for name, words in _PLAN.items() if each.plan.get(name) is not None]
        rows.append(("plan", f"{counted(each.shards, 'shard')}; {', '.join(chosen)}"))
    if each.missing:
        rows.append(("missing", f"{counted(len(each.missing), 'shard')}: {ranges(each.missing)}"))
    return [*table([*rows, *_next_rows(each)]), *_run_lines(each.runs)]


def _run_lines(runs: Sequence[RunStatus]) -> list[str]:
    """Return a table of the runs, a line each, with a head; a column of which nothing is known is left out."""
    if not runs:
        return []
    lines = [("node", "host", "state", "shards", "last sign of life", "samples/s")]
    for run in runs:
        quiet = "-" if run.quiet_seconds is None else f"{duration(run.quiet_seconds)} ago"
        rate = "-" if run.samples_per_second is None else f"{run.samples_per_second:,.0f}"
        name = "-" if run.node is None else str(run.node)
        lines.append((name, run.host or "-", run.state, f"{run.done:,} of {run.share:,}", quiet, rate))
    columns = [column for column in zip(*lines, strict=True) if {*column[1:]} != {"-"}]
    widths = [max(map(len, column)) for column in columns]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in zip(*columns, strict=True)]


def _next_rows(each: SetStatus) -> list[Row]:
    """Return rows that say what would be done next, and by whom."""
    if each.is_finished:
        made_by = [shlex.join(each.command), *unknown(each.command)] if each.command else []
        names = ["made by", *[""] * len(made_by)]
        return [("next", "nothing"), *zip(names, made_by, strict=False)]
    alive = [run for run in each.runs if run.is_alive]
    commands = [shlex.join(words) for words in each.next_commands]
    rows: list[Row] = []
    if alive:
        rows.append(("next", f"wait for {counted(len(alive), 'run')} at work"))
    if not commands and not alive:
        rows.append(("next", "type the command that made it again"))
    for line in first_lines(commands):
        rows.append(("next" if not rows else "", line))
    if len(commands) > 1 and not alive:
        rows.append(("", f"or, for all of it at once, {shlex.join(each.command)}"))
    rows += [("", line) for line in unknown(each.command) if commands]
    return rows


def ranges(numbers: Sequence[int]) -> str:
    """Return sorted numbers in words, with a dash for those that follow each other: 3, 5-8."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in found]
    more = f" and {len(words) - _SHOWN_RANGES:,} more stretches" if len(words) > _SHOWN_RANGES else ""
    return ", ".join(words[:_SHOWN_RANGES]) + more
