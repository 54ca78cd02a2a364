"""The lines that all reports to people are made of: tables, counts of what is left out, problems, notices.

Takes facts and returns lines or phrases. Whoever puts a report together passes all its lines through `text_of`, which
makes them printable, whatever names from the data they hold. Prints nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from parallel_sharder.catalog.problems import classes_left_out, samples_left_out
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.text import counted, printable

Row = tuple[str, str]
"""The name of a fact and what is said of it; the name is "" where a fact goes on in a further line."""

_SHOWN = 10
"""Files shown of each kind, and deviations of each shard. People read no more; --json has all."""


def text_of(lines: Iterable[str]) -> str:
    """The lines as people are shown them."""
    return "\n".join(map(printable, lines))


def table(rows: Sequence[Row]) -> list[str]:
    """A line a row, the second column aligned."""
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:<{width}}{value}" for name, value in rows]


def beginning(lines: list[str]) -> list[str]:
    """The first few of the lines, and a line that counts the others."""
    more = [f"  and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    return lines[:_SHOWN] + more


def workers_phrase(workers: int) -> str:
    """Who has worked: with 2 workers."""
    return f"with {counted(workers, 'worker')}" if workers else "in this process"


def kept_phrase(shards: int, among: int) -> str:
    """How many of the shards are of an earlier run."""
    return "all of them: nothing was left to do" if shards == among else f"{counted(shards, 'shard')} of an earlier run"


def images_rows(samples: int, problems: Sequence[Problem]) -> list[Row]:
    """How many images were found, where that is another number than that of the samples."""
    left_out = samples_left_out(problems)
    return [("images", f"{samples + left_out:,}")] if left_out else []


def left_out_phrase(samples: int, problems: Sequence[Problem]) -> str:
    """How many samples are left out, and how many classes by these problems."""
    classes = classes_left_out(problems)
    parts = [counted(samples, "sample")] if samples else []
    if classes:
        parts.append(f"{counted(classes, 'class', 'classes')}, whose images are not counted")
    return " and ".join(parts) or "nothing"


def notice_lines(notices: Sequence[str]) -> list[str]:
    """A line a notice."""
    return [f"note: {notice}" for notice in notices]


def lines_by_kind(problems: Sequence[Problem]) -> list[str]:
    """Every kind with its count, and the first few files of it by name."""
    by_kind: dict[tuple[Kind, bool], list[Problem]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind, problem.leaves_out].append(problem)
    lines = []
    for (kind, is_left_out), some in by_kind.items():
        consequence = "left out" if is_left_out else "stored all the same" if some[0].kept else "reported only"
        lines.append(f"{kind.meaning}, {consequence}: {len(some):,}")
        lines += beginning([f"  {problem.path}: {problem.detail}" for problem in some])
    return lines
