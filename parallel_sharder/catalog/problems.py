"""Problems for machines and in sums: as the lines of the list beside a finished set, as JSON, and counted.

The list has one JSON object a line, for whoever wants to mend the source. The summaries of all commands have the same
objects, and count what is left out in the same way. What a problem says to people is in model and in report_lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from parallel_sharder.model import Problem


def problem_json(problem: Problem) -> dict[str, str | bool]:
    """A problem for machines; `left_out` tells whether a sample or a class is missing from the shards because of it."""
    return {
        "path": problem.path,
        "key": problem.key,
        "kind": problem.kind.value,
        "detail": problem.detail,
        "left_out": problem.leaves_out,
    }


def problem_lines(problems: Sequence[Problem]) -> bytes:
    """The bytes of the list with these problems."""
    return "".join(json.dumps(problem_json(problem)) + "\n" for problem in problems).encode("ascii")


def samples_left_out(problems: Sequence[Problem]) -> int:
    """How many images of the source are missing from the shards because of these problems."""
    return sum(problem.leaves_out_sample for problem in problems)


def classes_left_out(problems: Sequence[Problem]) -> int:
    """How many classes of the source are missing; nobody knows how many images they have."""
    return sum(problem.leaves_out_class for problem in problems)


def left_out_json(samples: int, problems: Sequence[Problem]) -> dict[str, int]:
    """The sums for machines, of a set with so many samples: its images are these and those that are left out."""
    left_out = samples_left_out(problems)
    return {"images": samples + left_out, "left_out": left_out, "left_out_classes": classes_left_out(problems)}
