"""Preview: the facts that a dry run returns, from its plan and from the files at the destination.

`Preview.of` looks at which shards exist and how large they are, and writes nothing. Nothing here prints. The words for
people are in report.words, which is imported only when they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from parallel_sharder.catalog.problems import left_out_json, problem_json
from parallel_sharder.journal.past import Past
from parallel_sharder.model import Listing, Plan, Problem
from parallel_sharder.options import Options
from parallel_sharder.staging.stage import StageRoom
from parallel_sharder.stores import store_of


@dataclass(frozen=True)
class Preview:
    """What a run would do, and the room for it.

    `samples_per_shard` and `shard_bytes` hold the least and the most. `needed_bytes` is the space for the shards that
    would be made, and for the spool. `kept_shards` counts the shards of an earlier run that would stay. `taken` has the
    paths of existing shards that are in no journal. `in_the_way` says what else would stop the run, and is "" if
    nothing would. `node` is the node of an array that the run would be, "3/16", or ""; `share` counts its shards.
    `stage` is the room for the stage, if the source would be staged.
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
    node: str = ""
    share: int = 0
    stage: StageRoom | None = None

    @classmethod
    def of(
        cls,
        listing: Listing,
        plan: Plan,
        options: Options,
        spool_bytes: int,
        free_bytes: int,
        existing: Sequence[str],
        past: Past | None,
        in_the_way: str,
        stage: StageRoom | None = None,
    ) -> Preview:
        """Make the preview of a run of `plan`, which needs `spool_bytes` besides the shards.

        `existing` are the paths of what has the names of the set's files, found before `past` was read, which is what
        journals say of earlier runs: so a shard that a run begins meanwhile is no stranger. `in_the_way` says what
        would stop this run, besides shards that are in no journal, and is "" if nothing would.
        """
        counts = plan.cuts[1:] - plan.cuts[:-1]
        pattern, wanted = options.pattern, options.numbers(plan.shard_count)
        there = {os.path.basename(path): path for path in existing}
        ours = [path for name, path in there.items() if past is not None and name in past.names]
        kept = []
        if options.overwrite:  # the run removes them first
            free_bytes += sum(store_of(path).size(path) for path in ours)
        elif past is not None and not in_the_way:
            kept = [number for number in sorted(past.done) if number in wanted and pattern.path(number) in ours]
        return cls(
            listing.found,
            len(listing),
            plan.shard_count,
            (int(counts.min()), int(counts.max())),
            (int(plan.shard_bytes.min()), int(plan.shard_bytes.max())),
            pattern.braces(plan.shard_count),
            int(plan.shard_bytes[[number for number in wanted if number not in kept]].sum()) + spool_bytes,
            free_bytes,
            len(kept),
            tuple(path for path in there.values() if path not in ours),
            listing.problems,
            in_the_way,
            listing.notices,
            "" if options.place is None else str(options.place),
            len(wanted),
            stage if len(kept) < len(wanted) else None,
        )

    @property
    def has_too_little_space(self) -> bool:
        """Whether the run would be refused because there is too little space."""
        stage = self.stage
        beside = stage.needed_bytes if stage is not None and stage.is_beside_shards else 0
        is_stage_full = stage is not None and stage.free_bytes < stage.needed_bytes
        return is_stage_full or self.free_bytes < self.needed_bytes + beside

    @property
    def is_blocked(self) -> bool:
        """Whether the run would be refused because something is in the way."""
        return bool(self.taken or self.in_the_way)

    @property
    def exit_code(self) -> int:
        """1 if the run would be refused, 3 if the scan has left something out already, 0 otherwise."""
        if self.has_too_little_space or self.is_blocked:
            return 1
        return 3 if any(problem.leaves_out for problem in self.problems) else 0

    def text(self) -> str:
        """Return the preview for people, with a line for each fact."""
        from parallel_sharder.report import words

        return words.preview_text(self)

    def json(self) -> dict[str, Any]:
        """Return the preview for machines; sizes are in bytes."""
        return {
            "found": dict(self.found),
            "samples": self.samples,
            "shards": self.shards,
            "samples_per_shard": list(self.samples_per_shard),
            "shard_bytes": list(self.shard_bytes),
            "braces": self.braces,
            "node": self.node or None,
            "share": self.share,
            "needed_bytes": self.needed_bytes,
            "free_bytes": self.free_bytes,
            "stage": None if self.stage is None else self.stage._asdict(),
            "kept_shards": self.kept_shards,
            "taken": list(self.taken),
            "in_the_way": self.in_the_way,
            **left_out_json(self.samples, self.problems),
            "notices": list(self.notices),
            "problems": [problem_json(problem) for problem in self.problems],
        }
