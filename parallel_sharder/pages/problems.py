"""What is wrong with a set, for the head of its page: samples that are left out, problems, and what is not finished."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from parallel_sharder.errors import DestinationError
from parallel_sharder.kinds import Kind
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of


class ListedProblem(NamedTuple):
    """A line of a set's list of problems."""

    path: str
    key: str
    kind: str
    detail: str
    left_out: bool

    @property
    def meaning(self) -> str:
        """What its kind means, in words; a kind of a later version is its own name."""
        try:
            return Kind(self.kind).meaning
        except ValueError:
            return self.kind

    @property
    def consequence(self) -> str:
        """What follows from it for the shards, in words."""
        return "left out" if self.left_out else "reported only, or stored all the same"


def listed_problems(files: SetFiles) -> tuple[list[ListedProblem], int]:
    """Return the problems of a finished set, and how many lines of their list could not be read.

    Raises DestinationError if the list is there and cannot be read.
    """
    try:
        data = store_of(files.problems).read(files.problems)
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise DestinationError(f"{files.problems} cannot be read: {error.strerror}. Copy it again.") from error
    found, lost = [], 0
    for line in data.splitlines():
        try:
            entry = json.loads(line)
            path, key, kind, detail = (str(entry[name]) for name in ("path", "key", "kind", "detail"))
            found.append(ListedProblem(path, key, kind, detail, entry["left_out"] is True))
        except (ValueError, TypeError, KeyError, RecursionError):
            lost += 1
    return found, lost


def by_kind(problems: Sequence[ListedProblem]) -> list[tuple[str, bool, int]]:
    """Return each kind of problem in words, whether it leaves samples out, and how often it occurs, those first."""
    counts = Counter((each.meaning, each.left_out) for each in problems)
    return [(meaning, left_out, count) for (meaning, left_out), count in sorted(counts.items(), key=_rank)]


def _rank(item: tuple[tuple[str, bool], int]) -> tuple[bool, int, str]:
    (meaning, left_out), count = item
    return not left_out, -count, meaning
