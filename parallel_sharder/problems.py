"""The list of problems beside a finished set: one JSON object a line, for whoever wants to mend the source."""

from __future__ import annotations

import json
from collections.abc import Sequence

from parallel_sharder.model import Problem


def problem_json(problem: Problem) -> dict[str, str | bool]:
    """A problem for machines; `left_out` tells whether a sample, or a class, is missing from the shards for it."""
    return {
        "path": problem.path,
        "key": problem.key,
        "kind": problem.kind.value,
        "detail": problem.detail,
        "left_out": problem.leaves_out,
    }


def problem_lines(problems: Sequence[Problem]) -> bytes:
    """What the file with these problems holds."""
    return "".join(json.dumps(problem_json(problem)) + "\n" for problem in problems).encode("ascii")
