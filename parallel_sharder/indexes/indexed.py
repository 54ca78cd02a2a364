"""Indexed: the facts that the command `index` returns, which sets it has indexed and which files it has written.

Nothing here prints. The words for people are in report.words, which is imported only when they are asked for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Indexed:
    """The names of the sets that were indexed, their counts, and the paths of the files that were written."""

    sets: tuple[str, ...]
    samples: int
    shards: int
    written: tuple[str, ...]
    workers: int
    elapsed_seconds: float
    exit_code = 0

    def text(self) -> str:
        """Return the facts as a table for people, with the first few of the files."""
        from parallel_sharder.report import words

        return words.indexed_text(self)

    def json(self) -> dict[str, Any]:
        """Return the facts for machines."""
        return asdict(self)
