"""The command `index`: it writes the readers' indexes of anybody's finished shards, from their headers.

Takes IndexOptions; finds the sets at DEST, refuses what is not finished or cannot be indexed, and returns Indexed. It
holds the folder's lock while it writes. Nothing is printed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from parallel_sharder.catalog.sets import sets_in
from parallel_sharder.engines import running
from parallel_sharder.errors import DestinationError
from parallel_sharder.indexes.folder import FolderIndexes, unwritten
from parallel_sharder.indexes.headers import index_headers
from parallel_sharder.indexes.indexed import Indexed
from parallel_sharder.indexes.shard_sets import ShardSet, listed_sets, refuse_unfinished, split_in
from parallel_sharder.monitor.monitor import Monitor, guarded
from parallel_sharder.options import INDEXES, SEEKING, IndexOptions
from parallel_sharder.pattern import ShardName, ShardPattern, fits_set_name, is_pattern, set_name, shard_name
from parallel_sharder.stores import store_of


@contextlib.contextmanager
def _locked(folder: str, sets: Sequence[ShardSet], monitor: Monitor) -> Iterator[None]:
    """Hold the folder's lock inside the block. Raises SharderError unless these sets are finished."""
    with store_of(folder).lock(folder, monitor.waiting):
        refuse_unfinished(folder, sets)
        yield


def index_shards(options: IndexOptions, monitor: Monitor | None = None) -> Indexed:
    """Write the indexes for the readers and the shards that `options` name, and return what was written.

    Raises SharderError for shards that are missing or damaged, for compressed shards that a reader cannot take, and for
    files in the way. Then no index of a whole folder is written.
    """
    start = time.monotonic()
    with guarded(monitor) as monitor, running(options.workers, preload=index_headers.__module__) as engine:
        folder, sets = _sets_at(os.fspath(options.dest), options.readers)
        paths = [os.path.join(folder, name) for each in sets for name in each.names]
        try:
            with (
                _locked(folder, sets, monitor),
                engine,  # its workers write into the folder, so they end before the lock is released
                FolderIndexes(folder, sets, options.readers) as indexes,
            ):
                for found in index_headers(paths, options.readers, engine, monitor, md5=options.md5):
                    indexes.add(found)
                written = indexes.write(monitor)
        except (OSError, sqlite3.Error) as error:
            raise unwritten(folder, error) from error
    set_names = tuple(each.name for each in sets)
    return Indexed(set_names, indexes.samples, len(paths), tuple(written), engine.workers, time.monotonic() - start)


def _sets_at(dest: str, readers: Collection[str]) -> tuple[str, list[ShardSet]]:
    """Return the folder that `dest`, a path or a pattern, names, and the sets in it, sorted by name.

    Shards that no manifest lists belong to the set that their names begin with. Raises DestinationError if there are no
    shards, if shards are compressed and one of the `readers` cannot take that, and if only some of a set's shards are.
    """
    pattern = ShardPattern.parse(dest) if is_pattern(dest) else None
    folder = pattern.folder if pattern else dest
    try:
        found = sets_in(folder)
    except OSError as error:
        raise DestinationError(f"{folder} cannot be read: {error.strerror}. Name the folder of the shards.") from error
    listed = [each for each in listed_sets(found) if fits_set_name(each.set.name, each.set.names[0])]
    prefix = pattern.prefix if pattern else None
    names = sorted(name for each in found for name in each.there)
    shards = {name: parts for name in names if (parts := shard_name(name, prefix))}
    if pattern:
        shards = {name: parts for name, parts in shards.items() if parts.suffix == pattern.suffix}
    for name, parts in shards.items():
        if parts.suffix != ".tar":
            _refuse_compressed(os.path.join(folder, name), readers)
    listed_in = {} if pattern else {name: each.set.name for each in listed for name in each.set.names}
    sets = _by_set(folder, shards, listed_in)
    if not sets:
        raise DestinationError(
            f"{dest} holds no shards, such as imagenet_train-000000.tar. Name the folder of shards, or their pattern."
        )
    splits = {each.set.name: each.set.split for each in listed}
    missing = [each.set for each in listed if each.is_ours and each.set.name not in sets and not pattern]
    return folder, missing + [
        ShardSet.of(name, splits.get(name) or split_in(name), some) for name, some in sorted(sets.items())
    ]


def _by_set(folder: str, shards: Mapping[str, ShardName], listed_in: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of the shards of each set, in order of number, by the set's name.

    A shard belongs to the set that it is `listed_in`; if no manifest lists it, to the set that its name begins with.
    Raises DestinationError if the shards of a set have different endings.
    """
    sets: dict[str, list[tuple[int, str]]] = defaultdict(list)
    suffixes: dict[str, str] = {}
    for name, (prefix, number, suffix) in shards.items():
        its_set = listed_in.get(name, set_name(prefix))
        if suffixes.setdefault(its_set, suffix) != suffix:
            raise DestinationError(
                f"{folder} holds shards of {its_set} that end in {suffixes[its_set]} and in {suffix}. Name one kind by "
                f"a pattern, such as {os.path.join(folder, prefix)}%0{len(number)}d{suffix}."
            )
        sets[its_set].append((int(number), name))
    return {its_set: [name for _, name in sorted(some)] for its_set, some in sets.items()}


def _refuse_compressed(path: str, readers: Collection[str]) -> None:
    """Raise DestinationError if one of the readers reads from an offset in the shard, instead of from its beginning."""
    unable = [name for name in INDEXES if name in readers and name in (*SEEKING, "wids")]
    able = [name for name in INDEXES if name not in (*SEEKING, "wids")]
    if unable:
        raise DestinationError(
            f"{path} is compressed, so its samples have no place in the file from which {' or '.join(unable)} could "
            "read them. Make uncompressed shards, name others by a pattern, or write "
            f"--for {','.join(able)} alone."
        )
