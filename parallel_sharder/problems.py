"""The list of problems beside a finished set: one JSON object a line, for whoever wants to mend the source."""

from __future__ import annotations

import json
from collections.abc import Sequence

from parallel_sharder import durable
from parallel_sharder.errors import DestinationError
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


def write_problems(path: str, problems: Sequence[Problem]) -> None:
    """Make `path` hold the problems, whole and synced; without any, there is no such file.

    Raises DestinationError if that cannot be.
    """
    try:
        if problems:
            lines = (json.dumps(problem_json(problem)) + "\n" for problem in problems)
            durable.write_file(path, "".join(lines).encode("ascii"))
        else:
            durable.remove(path)
    except OSError as error:
        raise DestinationError(f"{path} cannot be written: {error.strerror or error}.") from error
