"""The preview: the facts of a dry run, from its plan and from what is at the destination.

`Preview.of` looks at which shards are there and how large they are, and writes nothing. Nothing here prints; the words
for people are in report_words.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from parallel_sharder.catalog.problems import left_out_json, problem_json
from parallel_sharder.destination import existing
from parallel_sharder.journal.journal import Past
from parallel_sharder.model import Listing, Plan, Problem
from parallel_sharder.options import Options


@dataclass(frozen=True)
class Preview:
    """What a run would do, and the room for it.

    `samples_per_shard` and `shard_bytes` are the least and the most. `needed_bytes` counts the shards that would be
    made, and the spool. `kept_shards` counts those of an earlier run that would stay. `taken` are the paths of shards
    that are there and that no journal has; `in_the_way` says what else would stop the run, and is "" if nothing does.
    """

    found: tuple[tuple[str, str], ...]
    samples: int
    shards: int
    samples_per_shard: tuple[int, int]
    shard_bytes: tuple[int, int]
    braces: str
    needed_bytes: int
    free_bytes: int
    kept_shards: int
    taken: tuple[str, ...]
    problems: tuple[Problem, ...]
    in_the_way: str
    notices: tuple[str, ...]

    @classmethod
    def of(
        cls,
        listing: Listing,
        plan: Plan,
        options: Options,
        spool_bytes: int,
        free_bytes: int,
        past: Past | None,
        in_the_way: str,
    ) -> Preview:
        """The preview of carrying out `plan`, which needs `spool_bytes` besides the shards while it runs.

        `past` is what a journal says of an earlier run. `in_the_way` says what would stop this run, besides shards that
        no journal has, and is "" if nothing does.
        """
        counts = plan.cuts[1:] - plan.cuts[:-1]
        pattern = options.pattern
        there = {os.path.basename(path): path for path in existing(pattern)}
        ours = [path for name, path in there.items() if past is not None and name in past.names]
        kept = []
        if options.overwrite:  # which removes them first
            free_bytes += sum(os.path.getsize(path) for path in ours)
        elif past is not None and not in_the_way:
            kept = [
                number for number in sorted(past.done) if number < plan.shard_count and pattern.path(number) in ours
            ]
        return cls(
            listing.found,
            len(listing),
            plan.shard_count,
            (int(counts.min()), int(counts.max())),
            (int(plan.shard_bytes.min()), int(plan.shard_bytes.max())),
            pattern.braces(plan.shard_count),
            int(plan.shard_bytes.sum() - plan.shard_bytes[kept].sum()) + spool_bytes,
            free_bytes,
            len(kept),
            tuple(path for path in there.values() if path not in ours),
            listing.problems,
            in_the_way,
            listing.notices,
        )

    @property
    def has_too_little_space(self) -> bool:
        """Whether the run would be refused for want of space."""
        return self.free_bytes < self.needed_bytes

    @property
    def is_blocked(self) -> bool:
        """Whether the run would be refused because something is in the way."""
        return bool(self.taken or self.in_the_way)

    @property
    def exit_code(self) -> int:
        """0 if the run would store all, 1 if it would be refused, 3 if something is left out already."""
        if self.has_too_little_space or self.is_blocked:
            return 1
        return 3 if any(problem.leaves_out for problem in self.problems) else 0

    def text(self) -> str:
        """The preview for people, a line a fact."""
        from parallel_sharder.report import words

        return words.preview_text(self)

    def json(self) -> dict[str, Any]:
        """The preview for machines; sizes in bytes."""
        return {
            "found": dict(self.found),
            "samples": self.samples,
            "shards": self.shards,
            "samples_per_shard": list(self.samples_per_shard),
            "shard_bytes": list(self.shard_bytes),
            "braces": self.braces,
            "needed_bytes": self.needed_bytes,
            "free_bytes": self.free_bytes,
            "kept_shards": self.kept_shards,
            "taken": list(self.taken),
            "in_the_way": self.in_the_way,
            **left_out_json(self.samples, self.problems),
            "notices": list(self.notices),
            "problems": [problem_json(problem) for problem in self.problems],
        }
