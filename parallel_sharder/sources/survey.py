"""The survey: the places of a source are listed on the workers, and their contents are collected.

Tasks go to an Engine, and each returns the Contents of one place or of several. A file that does not belong in its
place is a problem. A file that would mislabel samples, and a damaged archive, is a SourceError.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.limits import explain
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death, SharderError, WorkerError
from parallel_sharder.model import Problem
from parallel_sharder.sources.contents import Contents
from parallel_sharder.sources.folders import list_class
from parallel_sharder.sources.names import NameRule, junk_in

ScanProgress = Callable[[int, int, int], None]
"""It is called after each place with the count of places done, the count of all places, and the images so far."""


class Survey(NamedTuple):
    """The contents of the images' places, and the problems in them.

    `in_class_folders` says whether a place's name is the class of its images. `junk` counts the junk in these places
    by its usual names.
    """

    contents: list[Contents]
    in_class_folders: bool
    problems: list[Problem]
    junk: Counter[str]

    @classmethod
    def of(cls, contents: list[Contents], in_class_folders: bool) -> Survey:
        """Return the survey of the places with these contents."""
        problems = [problem for each in contents for problem in each.problems]
        return cls(contents, in_class_folders, problems, junk_in(each.junk for each in contents))


def _untold(*_: int) -> None:
    """Tell no progress: the ScanProgress of what takes little, and of what is no image's place."""


def list_class_folders(
    path: str, rules: Mapping[str, NameRule], engine: Engine, progress: ScanProgress = _untold
) -> list[Contents]:
    """Return the contents of the folders in `path` that are the keys of `rules`, each listed by its rule."""
    tasks = [partial(list_class, os.path.join(path, name), rule) for name, rule in rules.items()]
    return [contents for some in results_of(tasks, engine, path, progress) for contents in some]


def results_of(tasks: Sequence[partial[Any]], engine: Engine, path: str, progress: ScanProgress = _untold) -> list[Any]:
    """Return the results of the tasks, as `each_result` yields them."""
    return [*each_result(tasks, engine, path, progress)]


def each_result(
    tasks: Sequence[partial[Any]], engine: Engine, path: str, progress: ScanProgress = _untold
) -> Iterator[Any]:
    """Yield the results of the tasks, in the order of the tasks. `path` names in messages what is being listed.

    Of several errors, that of the first task is raised, whichever came first. Raises WorkerError if a worker dies.
    """
    waiting: dict[partial[Any], Any] = {}  # results that came before those of earlier tasks
    left = iter(tasks)
    task = next(left, None)
    image_count = 0
    for count, (done, result, _) in enumerate(engine.run(_tried, tasks), 1):
        if not isinstance(result, Exception):
            image_count += sum(len(each.images) for each in _as_list(result))
            progress(count, len(tasks), image_count)
        waiting[done] = result
        while task in waiting:
            yield _result(waiting.pop(task), path)
            task = next(left, None)


def _tried(task: partial[Any], _: Progress) -> Any:
    """Return what the task returns or, as a value, the error that it raises."""
    try:
        return task()
    except (SharderError, OSError) as error:
        explain(error)  # the error may cross to another process, where it has no cause any more
        return error


def _result(result: Any, path: str) -> Any:
    """Return the result, or raise the error that it is; the Death of a worker is put into words."""
    if isinstance(result, Death) and result.__cause__ is None:
        words = f"a worker died listing what is in {path}: {result.cause}. If memory is short, use fewer --workers."
        raise WorkerError(words) from result
    if isinstance(result, Exception):
        raise result
    return result


def _as_list(found: Contents | list[Contents]) -> list[Contents]:
    return found if isinstance(found, list) else [found]
