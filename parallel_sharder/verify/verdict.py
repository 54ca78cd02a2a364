"""Verdict: the facts that the command `verify` returns, with every deviation that was found.

Nothing here prints, and no module of a conversion is imported. The words for people are in report.words, which is
imported only when they are asked for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from parallel_sharder.catalog.problems import classes_left_out, problem_json
from parallel_sharder.model import Deviation, Problem
from parallel_sharder.verify.remarks import Remark


@dataclass(frozen=True)
class Verdict:
    """What was verified, and every deviation that was found.

    `manifests` are the paths of the sets' manifests. `samples` and `shards` count what the sets hold, and `file_bytes`
    is the size of the shards' files. `compared` counts the samples that were compared with `source`, if one was given.
    `left_out` counts images of the source that are not in the shards, by the sets' lists of problems. `problems` are
    the problems because of which images or classes are left out, if a source was given. `foreign` are the names of
    other tools' sets, which have no manifest: their deviations are faults that readers stumble over or do not notice,
    and `remarks` say what is unusual in them, and no fault.
    """

    manifests: tuple[str, ...]
    samples: int
    shards: int
    file_bytes: int
    source: str | None
    compared: int
    left_out: int
    problems: tuple[Problem, ...]
    notices: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    workers: int
    elapsed_seconds: float
    foreign: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if anything deviates, 3 if nothing deviates and something is left out, 0 otherwise."""
        return 1 if self.deviations else 3 if self.is_incomplete else 0

    @property
    def is_incomplete(self) -> bool:
        """Whether something of the source is left out."""
        return bool(self.left_out or self.problems)

    def text(self) -> str:
        """Return the verdict for people, with the first deviations of each file."""
        from parallel_sharder.report import words

        return words.verdict_text(self)

    def json(self) -> dict[str, Any]:
        """Return the verdict for machines, with all deviations; sizes and offsets are in bytes."""
        return {
            "manifests": list(self.manifests),
            "foreign": list(self.foreign),
            "samples": self.samples,
            "shards": self.shards,
            "file_bytes": self.file_bytes,
            "source": self.source,
            "compared": self.compared,
            "left_out": self.left_out,
            "left_out_classes": classes_left_out(self.problems),
            "problems": [problem_json(problem) for problem in self.problems],
            "notices": list(self.notices),
            "sound": not self.deviations,
            "deviations": [asdict(each) for each in self.deviations],
            "remarks": [asdict(each) for each in self.remarks],
            "workers": self.workers,
            "elapsed_seconds": self.elapsed_seconds,
        }
