"""The lines that all reports to people are made of: tables, counts of what is left out, problems, notices.

Takes facts and returns lines or phrases. The caller passes all lines of a report through `text_of`, which makes them
printable, because they can hold names from the data. Prints nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from parallel_sharder.catalog.problems import classes_left_out, samples_left_out
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.text import counted, printable

Row = tuple[str, str]
"""The name of a fact, and its text. The name is "" for each further line of the same fact."""

_SHOWN = 10
"""The most files that are shown of each kind, and deviations of each file. People read no more, and --json has all."""


def text_of(lines: Iterable[str]) -> str:
    """Return the lines as one printable text."""
    return "\n".join(map(printable, lines))


def table(rows: Sequence[Row]) -> list[str]:
    """Return one line for each row, with the second column aligned."""
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:<{width}}{value}" for name, value in rows]


def first_lines(lines: list[str]) -> list[str]:
    """Return the first few of the lines, and a line that counts the others."""
    more = [f"  and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    return lines[:_SHOWN] + more


def workers_phrase(workers: int) -> str:
    """Return by whom the work was done, such as "with 2 workers"."""
    return f"with {counted(workers, 'worker')}" if workers else "in this process"


def kept_phrase(shards: int, among: int, whose: str = "an earlier run") -> str:
    """Return how many of the shards were made by others, usually an earlier run."""
    return "all of them: nothing was left to do" if shards == among else f"{counted(shards, 'shard')} of {whose}"


def images_rows(samples: int, problems: Sequence[Problem]) -> list[Row]:
    """Return a row with the number of images that were found, or none if it is the number of samples."""
    left_out = samples_left_out(problems)
    return [("images", f"{samples + left_out:,}")] if left_out else []


def left_out_phrase(samples: int, problems: Sequence[Problem]) -> str:
    """Return how many samples are left out, and how many classes these problems leave out."""
    classes = classes_left_out(problems)
    parts = [counted(samples, "sample")] if samples else []
    if classes:
        parts.append(f"{counted(classes, 'class', 'classes')}, whose images are not counted")
    return " and ".join(parts) or "nothing"


def notice_lines(notices: Sequence[str]) -> list[str]:
    """Return one line for each notice."""
    return [f"note: {notice}" for notice in notices]


def lines_by_kind(problems: Sequence[Problem]) -> list[str]:
    """Return a line for each kind of problem with its count, each followed by its first few files."""
    by_kind: dict[tuple[Kind, bool], list[Problem]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind, problem.leaves_out].append(problem)
    lines = []
    for (kind, is_left_out), some in by_kind.items():
        consequence = "left out" if is_left_out else "stored all the same" if some[0].kept else "reported only"
        lines.append(f"{kind.meaning}, {consequence}: {len(some):,}")
        lines += first_lines([f"  {problem.path}: {problem.detail}" for problem in some])
    return lines
