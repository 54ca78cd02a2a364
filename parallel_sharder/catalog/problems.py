"""Problems for machines: as JSON objects, as the lines of the list beside a finished set, and as counts.

The list has one JSON object a line, for people who mend the source. The summaries of all commands have the same
objects, and the same counts of what is left out. Problems for people are in model and in report.lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from parallel_sharder.model import Problem


def problem_json(problem: Problem) -> dict[str, str | bool]:
    """Return a problem for machines; `left_out` is whether the shards lack a sample or a class because of it."""
    return {
        "path": problem.path,
        "key": problem.key,
        "kind": problem.kind.value,
        "detail": problem.detail,
        "left_out": problem.leaves_out,
    }


def problem_lines(problems: Sequence[Problem]) -> bytes:
    """Return the bytes of the list with these problems."""
    return "".join(json.dumps(problem_json(problem)) + "\n" for problem in problems).encode("ascii")


def samples_left_out(problems: Sequence[Problem]) -> int:
    """Return how many images of the source the shards lack because of these problems."""
    return sum(problem.leaves_out_sample for problem in problems)


def classes_left_out(problems: Sequence[Problem]) -> int:
    """Return how many classes of the source the shards lack; how many images these have is not known."""
    return sum(problem.leaves_out_class for problem in problems)


def left_out_json(samples: int, problems: Sequence[Problem]) -> dict[str, int]:
    """Return the counts for machines of a set with so many `samples`; `images` includes those that are left out."""
    left_out = samples_left_out(problems)
    return {"images": samples + left_out, "left_out": left_out, "left_out_classes": classes_left_out(problems)}
