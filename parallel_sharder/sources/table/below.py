"""Below: the files below the root that no row names are counted, so that nothing is left out in silence.

The rows go in, whose names have digests, and sentences for people come out. Workers list the folders, level by level.
Links to folders are followed, and no folder is listed twice.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from parallel_sharder.columns import Int64s
from parallel_sharder.engines.engine import Engine
from parallel_sharder.sources.survey import each_result
from parallel_sharder.sources.table.files import Looked, ending_of, look_into
from parallel_sharder.sources.table.rows import NO_ENDING, Rows, digests_of
from parallel_sharder.text import counted, first_few

_FOLDERS_A_TASK = 16
"""How many folders a worker lists at a time: fewer cost messages, and more leave workers idle at the end."""

_NAMED = 5


class Named(NamedTuple):
    """What rows name: the digests of the names, sorted, and the endings of those that are no images'."""

    digests: Int64s
    endings: frozenset[str]


def named_by(rows: Rows, digests: Int64s) -> Named:
    """Return what these rows name; `digests` are those of all names, sorted."""
    unusual = np.flatnonzero(rows.ending == NO_ENDING).tolist()
    return Named(digests, frozenset(ending_of(rows.names[row]) for row in unusual))


def notices_of_files(root: str, named: Named, engine: Engine, but: str) -> tuple[str, ...]:
    """Return sentences about the files below `root` that no row names.

    The file at the path `but`, which is the table, is not counted. Raises SourceError if a folder cannot be listed.
    """
    count, first = 0, b""
    others: Counter[str] = Counter()
    level, seen = [b""], set[tuple[int, int]]()
    while level:
        folders, level = sorted(level), []  # the first of several links to a folder is listed
        for each in _listed(root, folders, named.endings, engine):
            if each.identity in seen:
                continue
            seen.add(each.identity)
            level += each.folders
            images = _not_named(each.images, named.digests)
            count += len(images)
            first = min([first or images[0], *images]) if images else first
            others.update(dict(each.others))
            others.update(map(ending_of, _not_named(each.asked, named.digests)))
    return (*_of_images(root, count, first), *_of_others(root, others, but))


def _not_named(paths: bytes, named: Int64s) -> list[bytes]:
    """Return those of the paths, which are joined by NULs, whose digests are not among `named`."""
    each = paths.split(b"\0") if paths else []
    return [each[row] for row in _rows_not_in(named, digests_of(each))]


def _rows_not_in(named: Int64s, digests: Int64s) -> list[int]:
    """Return the rows of `digests` that are not among `named`, which is sorted and not empty.

    (numpy's isin sorts both columns each time, which takes minutes for a thousand folders of a thousand images.)
    """
    at = np.minimum(np.searchsorted(named, digests), len(named) - 1)
    return np.flatnonzero(named[at] != digests).tolist()


def _of_images(root: str, count: int, first: bytes) -> list[str]:
    if not count:
        return []
    are = counted(count, "image below {} is", "images below {} are").format(root)
    return [f"{are} named by no row, and not converted; the first: {os.fsdecode(first)}."]


def _of_others(root: str, others: Counter[str], but: str) -> list[str]:
    if but.startswith(os.path.join(root, "")):
        others[os.path.splitext(but)[1].lower()] -= 1
    rows = [(ending, count) for ending, count in sorted(others.items(), key=lambda row: (-row[1], row[0])) if count > 0]
    if not rows:
        return []
    total = counted(sum(count for _, count in rows), "other file is", "other files are")
    kinds = first_few([f"{count:,} {ending or 'of other names'}" for ending, count in rows], _NAMED)
    return [f"{total} below {root}, which no row needs: {kinds}."]


def _listed(root: str, folders: list[bytes], endings: frozenset[str], engine: Engine) -> Iterator[Looked]:
    """Yield what lies in these folders, in their order. Of millions of files, few names are in memory at a time."""
    some = [tuple(folders[start : start + _FOLDERS_A_TASK]) for start in range(0, len(folders), _FOLDERS_A_TASK)]
    tasks = [partial(look_into, os.fsencode(root), each, endings) for each in some]
    return itertools.chain.from_iterable(each_result(tasks, engine, root))
