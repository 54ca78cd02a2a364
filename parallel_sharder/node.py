"""The node: which share of a set's shards one run of an array job writes.

Node i of N writes the shards i, i + N, i + 2N and so on. So the shares are equal to within one shard, and they follow
from the plan alone. A node is named by text, `3/16`, or by what Slurm sets in the environment of an array's task. This
module opens no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

NODES_LIMIT = 100_000
"""More nodes than that have more journals than a folder is listed for in a second, and no cluster has them."""

_NAMED = 20
"""How many nodes a message names."""

_TEXT = re.compile("([0-9]{1,9})/([0-9]{1,9})")
_SLURM = "SLURM_ARRAY_TASK_"
"""The beginning of the variables that Slurm sets for a task of an array (sbatch's manual, "output environment")."""


@dataclass(frozen=True, slots=True)
class ArrayTask:
    """A task of a Slurm array: its number, the array's first number, the step between numbers, and their count."""

    number: int
    first: int
    step: int
    last: int
    count: int

    @property
    def is_even(self) -> bool:
        """Whether the array has all numbers from the first to the last in these steps."""
        return (self.last - self.first) // self.step + 1 == self.count and not (self.last - self.first) % self.step

    @property
    def index(self) -> int:
        """How many tasks of an even array have a lower number."""
        return (self.number - self.first) // self.step


@dataclass(frozen=True, slots=True)
class Node:
    """Node `index` of `count`; indexes begin at 0. `task` is the array's task by which it was named, if one was."""

    index: int
    count: int
    task: ArrayTask | None = None

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the node that text like `3/16` means. Raises ValueError, with the remedy, for other text."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no node; write I/N, such as 0/16 for the first of 16")
        index, count = int(match[1]), int(match[2])
        if not 1 <= count <= NODES_LIMIT:
            raise ValueError(f"{text} has {count:,} nodes, and there can be 1 to {NODES_LIMIT:,}")
        if index >= count:
            raise ValueError(f"{text} is outside 0/{count} to {count - 1}/{count}: nodes count from 0")
        return cls(index, count)

    @classmethod
    def of_array(cls, environment: Mapping[str, str]) -> Self:
        """Return the node that is this task of a Slurm array.

        The task of an array whose numbers have gaps has no index (see is_placed), because such an array does not say
        how many nodes the whole set has. Raises ValueError, with the remedy, if the environment is not that of a task.
        """
        names = ("ID", "COUNT", "MIN", "MAX")
        if missing := [f"{_SLURM}{name}" for name in names if f"{_SLURM}{name}" not in environment]:
            raise ValueError(
                f"without a value is for a task of a Slurm array, and without {', '.join(missing)} this is none; write "
                "I/N, such as 0/16 for the first of 16"
            )
        values = [environment[f"{_SLURM}{name}"] for name in names] + [environment.get(f"{_SLURM}STEP") or "1"]
        try:
            number, count, first, last, step = map(int, values)
        except ValueError as error:
            raise ValueError(
                f"{_SLURM}ID, COUNT, MIN, MAX and STEP are {values}, and should be whole numbers"
            ) from error
        task = ArrayTask(number, first, max(1, step), last, count)
        if not task.is_even:
            return cls(-1, count, task)
        return cls(task.index, count, task)

    @property
    def is_placed(self) -> bool:
        """Whether its index is known; that of a task of an array with gaps is not."""
        return self.index >= 0

    def share(self, shard_count: int) -> range:
        """Return the numbers of the shards that the node writes, of `shard_count` in all."""
        return range(self.index, shard_count, self.count)


def of_nodes(numbers: Iterable[int], count: int) -> str:
    """Return the nodes, of `count`, whose shards have these numbers, in words that follow a noun; "" without nodes."""
    if not count:
        return ""
    nodes = sorted({number % count for number in numbers})
    more = f" and {len(nodes) - _NAMED:,} more" if len(nodes) > _NAMED else ""
    return f", of {'node' if len(nodes) == 1 else 'nodes'} {', '.join(map(str, nodes[:_NAMED]))}{more}"
