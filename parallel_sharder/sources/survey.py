"""The survey: many places of a source, listed side by side on the workers, and what they hold together.

What a place holds comes back as Contents. What does not belong there is a problem, and what would mislabel samples or
shows that an archive is damaged a SourceError.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from parallel_sharder.engines.engine import Engine, call
from parallel_sharder.errors import Death, WorkerError
from parallel_sharder.model import Problem
from parallel_sharder.sources.contents import Contents
from parallel_sharder.sources.folders import list_class
from parallel_sharder.sources.names import Names

Progress = Callable[[int, int, int], None]
"""Told of each place: places done, places, images so far."""


class Survey(NamedTuple):
    """What the places of the images hold, whether a place's name is its class, and every problem on the way.

    `junk` counts what systems have left there, by the names that people know it by.
    """

    contents: list[Contents]
    in_class_folders: bool
    problems: list[Problem]
    junk: Counter[str]

    @classmethod
    def of(cls, contents: list[Contents], in_class_folders: bool) -> Survey:
        """What all of these places hold together."""
        junk: Counter[str] = Counter()
        for each in contents:
            junk.update(dict(each.junk))
        return cls(contents, in_class_folders, [problem for each in contents for problem in each.problems], junk)


def list_class_folders(path: str, names_of: Mapping[str, Names], engine: Engine, progress: Progress) -> list[Contents]:
    """The contents of the folders in `path` that are the keys of `names_of`, by the rule for the names in each."""
    tasks = [partial(list_class, os.path.join(path, name), names) for name, names in names_of.items()]
    return [contents for some in results_of(tasks, engine, path, progress) for contents in some]


def results_of(tasks: Sequence[partial[Any]], engine: Engine, path: str, progress: Progress) -> list[Any]:
    """What the tasks have found, in their order."""
    found: dict[partial[Any], Any] = {}
    image_count = 0
    for task, result, _ in engine.run(call, tasks):
        if isinstance(result, Death):
            raise WorkerError(
                f"a worker died listing what is in {path}: {result.cause}. If memory is short, use fewer --workers."
            ) from result
        found[task] = result
        image_count += sum(len(each.images) for each in _as_list(result))
        progress(len(found), len(tasks), image_count)
    return [found[task] for task in tasks]


def _as_list(found: Contents | list[Contents]) -> list[Contents]:
    return found if isinstance(found, list) else [found]
