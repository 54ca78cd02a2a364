"""The problems' file: the list of problems beside a finished set; its lines are made in `problems`."""

from __future__ import annotations

from parallel_sharder.catalog.beside import FinishedSet, RecordedFile
from parallel_sharder.catalog.problems import problem_lines


class ProblemsFile(RecordedFile):
    """The file with the set's problems; a set without problems has no such file."""

    def content(self, finished: FinishedSet) -> bytes:
        """Return a line for each problem."""
        return problem_lines(finished.problems)
