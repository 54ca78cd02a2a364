"""By index: where a sample lies, as energon's index of its folder says, so that no shard has to be searched.

Source: megatron-energon keeps `.nv-meta/index.sqlite`, whose table `samples` has the number of the shard and the offset
for each key, and `.nv-meta/.info.json`, which lists the shards by name in the order of their numbers. An index that is
not of these shards any more is no harm: whoever asks looks whether the sample is there.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from parallel_sharder.catalog.sets import json_at
from parallel_sharder.indexes.energon import FOLDER, TABLE

_QUERY = "SELECT tar_file_id, byte_offset, byte_size FROM samples WHERE sample_key = ?"


class Place(NamedTuple):
    """The path of a shard, the offset of a sample's first header in it, and how many bytes the sample has."""

    path: str
    offset: int
    length: int


def place_of(key: str, paths: Collection[str]) -> Place | None:
    """Return where the sample with this key lies, if it is in one of the shards at `paths` and an index says so."""
    for folder in dict.fromkeys(map(os.path.dirname, paths)):
        place = _in_folder(folder, key)
        if place is not None and place.path in paths and place.path.endswith(".tar"):
            return place
    return None


def _in_folder(folder: str, key: str) -> Place | None:
    database = os.path.join(folder, FOLDER, TABLE)
    if not os.path.isfile(database) or os.path.exists(f"{database}-wal"):  # somebody writes it
        return None
    with contextlib.suppress(
        OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError, sqlite3.Error
    ):
        address = f"{Path(database).absolute().as_uri()}?mode=ro&immutable=1"  # else SQLite may write files beside it
        with closing(sqlite3.connect(address, uri=True)) as connection:
            number, offset, length = connection.execute(_QUERY, (key,)).fetchone()
        names = [*(json_at(os.path.join(folder, FOLDER, ".info.json")) or {})["shard_counts"]]
        return Place(os.path.join(folder, names[number]), int(offset), int(length))
    return None
