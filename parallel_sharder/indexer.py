"""The indexer: writes the readers' own indexes, for finished shards of anybody's and for those of a run.

Of the former the headers are read, side by side on workers; of the latter all is known. What is beside a shard is
written as soon as its members are known, what tells of the whole folder last (see indexes.folder).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import starmap

from parallel_sharder import machine
from parallel_sharder.destination import ShardPattern, journal_beside, sets_in
from parallel_sharder.engines import Engine, open_engine
from parallel_sharder.errors import DestinationError, SharderError, SourceError, WorkerDiedError, WorkerError
from parallel_sharder.indexes import Columns, Member, Shard
from parallel_sharder.indexes.folder import (
    FolderIndexes,
    Found,
    ShardSet,
    counted,
    index_columns,
    index_members,
    split_of,
)
from parallel_sharder.model import ShardRecord
from parallel_sharder.monitor import Monitor, Silent
from parallel_sharder.options import SEEKING, IndexOptions
from parallel_sharder.report import Indexed
from parallel_sharder.sources.tarindex import reader, tar_members
from parallel_sharder.worker import path_and_md5


def index_shards(options: IndexOptions, monitor: Monitor | None = None) -> Indexed:
    """Write the indexes that `options` name for the shards they name, and say what is there now.

    Raises SharderError for shards that are missing, compressed or damaged, and for files in the way; nothing that tells
    of a whole folder is written then.
    """
    monitor = monitor or Silent()
    workers = machine.usable_cores() if options.workers is None else options.workers
    start = time.monotonic()
    dest = os.fspath(options.dest)
    sets = _uncompressed(dest)
    folder = os.path.dirname(sets[0].paths[0])
    try:
        with open_engine(workers, None) as engine, FolderIndexes(folder, sets, options.readers) as indexes:
            paths = [path for each in sets for path in each.paths]
            _add_read(indexes, paths, options.readers, options.md5, engine, monitor)
            written = indexes.publish()
    except WorkerDiedError as error:
        raise WorkerError(f"a worker died ({error.cause}). If memory is short, use fewer --workers.") from error
    except (OSError, sqlite3.Error) as error:
        raise SharderError(str(error)) from error
    finally:
        monitor.close()
    names = tuple(each.name for each in sets)
    return Indexed(names, indexes.samples, len(paths), tuple(written), workers, time.monotonic() - start)


def index_made(
    pattern: ShardPattern,
    split: str,
    made: Iterable[tuple[ShardRecord, Callable[[], Columns]]],
    readers: Collection[str],
    engine: Engine,
    monitor: Monitor,
) -> list[str]:
    """Write the indexes for `readers` of the shards that a run has `made`, in order of number; the paths of all.

    Where the members of each are, its function computes. Finished sets beside them are taken in, by their headers where
    an index needs that. Raises SharderError as index_shards does.
    """
    seeks = any(name in SEEKING for name in readers)
    records = {record.path: (record, columns) for record, columns in made}
    others = _finished_beside(pattern)
    known = {path: shard for each in others for path, shard in counted(pattern.folder, each.name).items()}
    if "energon" not in readers:  # then what their manifests say is enough
        others = [each for each in others if known.keys() >= {*each.paths}]
    sets = sorted([ShardSet(pattern.set_name, split, [*records]), *others])
    try:
        with FolderIndexes(pattern.folder, sets, readers) as indexes:
            for each in sets:
                if each.name == pattern.set_name:
                    for done, (path, (record, columns)) in enumerate(records.items(), 1):
                        if seeks:
                            found = index_columns(path, record.file_bytes, columns(), readers)
                        else:
                            found = Found(Shard(os.path.basename(path), record.samples, record.file_bytes))
                        indexes.add(path, found)
                        monitor.working("indexing shards", done, len(records))
                elif "energon" in readers:
                    _add_read(indexes, each.paths, readers, False, engine, monitor)
                else:
                    for path in each.paths:
                        indexes.add(path, Found(known[path]))
            return indexes.publish()
    except (OSError, sqlite3.Error) as error:
        raise DestinationError(f"the indexes in {pattern.folder} cannot be written: {error}.") from error


def _add_read(
    indexes: FolderIndexes,
    paths: Sequence[str],
    readers: Collection[str],
    with_md5: bool,
    engine: Engine,
    monitor: Monitor,
) -> None:
    """Tell the indexes of these shards what their headers say."""
    task = partial(_index_shard, readers=readers, with_md5=with_md5)
    for done, (path, found) in enumerate(engine.each(task, paths), 1):
        indexes.add(path, found)
        monitor.working("indexing shards", done, len(paths))


def _index_shard(path: str, *, readers: Collection[str], with_md5: bool) -> tuple[str, Found]:
    """Read the headers of a shard, all of it for the MD5, and write the indexes that stand beside it."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            members = [*starmap(Member, tar_members(reader(file.fileno()), 0, size, path))]
        md5 = path_and_md5(path)[1] if with_md5 else ""
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    return path, index_members(path, size, members, readers, md5)


def _uncompressed(dest: str) -> list[ShardSet]:
    """The sets at `dest`, a folder or a pattern, by name. Raises DestinationError if there are none, or compressed."""
    sets = sets_in(dest)
    for paths in sets.values():
        for path in paths:
            if not path.endswith(".tar"):
                raise DestinationError(
                    f"{path} is compressed. An index points to places in a file, and there are none to point to in a "
                    "compressed one: readers would get garbage. Make uncompressed shards, or index others."
                )
    if not sets:
        raise DestinationError(f"{dest} holds no shards, such as imagenet_train-000000.tar.")
    return [ShardSet(name, split_of(os.path.dirname(paths[0]), name), paths) for name, paths in sets.items()]


def _finished_beside(pattern: ShardPattern) -> list[ShardSet]:
    """The other sets in the pattern's folder that an index can take in: uncompressed, and not in the making."""
    found = []
    for name, paths in sets_in(pattern.folder).items():
        manifest = os.path.join(pattern.folder, f"{name}.json")
        in_the_making = os.path.exists(journal_beside(manifest)) and not os.path.exists(manifest)
        if name != pattern.set_name and not in_the_making and all(path.endswith(".tar") for path in paths):
            found.append(ShardSet(name, split_of(pattern.folder, name), paths))
    return found
