"""What is wrong, for the head of a page: what is missing of a set, left out of it, damaged, or not known of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from parallel_sharder.pages.drawn import Drawn, Group
from parallel_sharder.pages.history import History
from parallel_sharder.pages.paged_set import PagedSet
from parallel_sharder.pages.problems import ListedProblem, by_kind
from parallel_sharder.pages.short_paths import ShortPaths
from parallel_sharder.status import SetStatus
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted, first_few, shards_done

SHOWN = 3
"""How many samples are named of each kind."""


class Wrong(NamedTuple):
    """What is wrong with the set, or worth knowing: a sentence. `is_bad` is whether samples or shards are missing."""

    text: str
    is_bad: bool


def of_set(paged: PagedSet, status: SetStatus | None) -> list[Wrong]:
    """Return what is missing of the set."""
    manifest, files = paged.shards.manifest, paged.files
    if manifest is not None:
        there = {*map(os.path.basename, paged.shards.paths)}
        missing = [shard.name for shard in manifest.shards if shard.name not in there]
        words = f"{counted(len(missing), 'shard')} of the manifest {'is' if len(missing) == 1 else 'are'} missing"
        return [Wrong(f"{words}: {first_few(missing, SHOWN)}.", is_bad=True)] if missing else []
    found = []
    if store_of(files.manifest).is_file(files.manifest) and status is not None:
        found.append(Wrong(f"The manifest, {os.path.basename(files.manifest)}, is damaged.", is_bad=True))
    if status is not None and (status.missing or not found):
        done = shards_done(status.shards - len(status.missing), status.shards)
        words = f"The set is not finished: {done[0].lower()}{done[1:]}."
        found.append(Wrong(f"{words} parallel-sharder status says what makes the rest.", is_bad=True))
    return found


def of_shards(seen: Drawn, paths: ShortPaths) -> list[Wrong]:
    """Return which of the shards that were looked at are damaged, and which samples have no image."""
    found = [Wrong(f"Damaged: {paths.text(fault)}", is_bad=True) for fault in seen.faults]
    without = [each.line.key for each in seen.looked if each.image is None]
    if without:
        words = f"{counted(len(without), 'sample has', 'samples have')} no image, of those looked at"
        found.append(Wrong(f"{words}: {first_few(without, SHOWN)}.", is_bad=False))
    return found


def of_problems(problems: Sequence[ListedProblem]) -> list[Wrong]:
    """Return a sentence for each kind of problem, those first that leave samples out."""
    found = []
    for meaning, left_out, count in by_kind(problems):
        some = [each for each in problems if (each.meaning, each.left_out) == (meaning, left_out)]
        keys = [each.key or os.path.basename(each.path) for each in some]
        found.append(Wrong(f"{count:,} {some[0].consequence}: {meaning} ({first_few(keys, SHOWN)}).", left_out))
    return found


def of_records(history: History, lost_problems: int) -> list[Wrong]:
    """Return what could not be read of the record of runs, and of the list of problems."""
    found = []
    if history.lost_lines:
        words = f"{counted(history.lost_lines, 'line')} of the record of runs could not be read: it was cut off, or "
        found.append(Wrong(f"{words}damaged. What is said of the run is of the rest.", is_bad=False))
    if lost_problems:
        words = f"{counted(lost_problems, 'line')} of the list of problems could not be read."
        found.append(Wrong(words, is_bad=True))
    return found


def of_pictures(groups: Sequence[Group]) -> list[Wrong]:
    """Return which images of the contact sheet cannot be decoded."""
    entries = [entry for group in groups for entry in group.entries]
    keys = [*dict.fromkeys(small.key for looked, small in entries if small.fault and looked.image)]
    if not keys:
        return []
    words = f"{counted(len(keys), 'image')} of the contact sheet cannot be decoded"
    return [Wrong(f"{words}: {first_few(keys, SHOWN)}.", is_bad=True)]
