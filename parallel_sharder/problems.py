"""The list of problems beside a finished set: one JSON object a line, for whoever wants to mend the source."""

from __future__ import annotations

import json
from collections.abc import Sequence

from parallel_sharder.beside import FinishedSet, RecordedFile
from parallel_sharder.model import Problem


class Problems(RecordedFile):
    """The list of the set's problems."""

    def content(self, finished: FinishedSet) -> bytes:
        """A line for each problem."""
        return problem_lines(finished.problems)


def problem_json(problem: Problem) -> dict[str, str | bool]:
    """A problem for machines; `left_out` says whether a sample, or a class, is missing from the shards for it."""
    return {
        "path": problem.path,
        "key": problem.key,
        "kind": problem.kind.value,
        "detail": problem.detail,
        "left_out": problem.leaves_out,
    }


def problem_lines(problems: Sequence[Problem]) -> bytes:
    """The content of the file with these problems."""
    return "".join(json.dumps(problem_json(problem)) + "\n" for problem in problems).encode("ascii")
