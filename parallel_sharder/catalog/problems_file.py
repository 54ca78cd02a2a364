"""The list of problems beside a finished set: what the file holds is in problems.py."""

from __future__ import annotations

from parallel_sharder.catalog.beside import FinishedSet, RecordedFile
from parallel_sharder.catalog.problems import problem_lines


class ProblemsFile(RecordedFile):
    """The list of the set's problems; a set without problems has none."""

    def content(self, finished: FinishedSet) -> bytes:
        """A line for each problem."""
        return problem_lines(finished.problems)
