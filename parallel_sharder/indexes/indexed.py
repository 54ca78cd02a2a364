"""What `index` has done: the facts of making readers' indexes of finished sets.

Nothing here prints; the words for people are in report_words, and no module of a conversion is imported.
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
        """The facts for people, a line each, and the first of the files."""
        from parallel_sharder.report import words

        return words.indexed_text(self)

    def json(self) -> dict[str, Any]:
        """The facts for machines."""
        return asdict(self)
