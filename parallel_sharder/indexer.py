"""The indexer: writes the readers' own indexes, for finished shards of anybody's and for those of a run.

Of the former the headers are read, side by side on workers; of the latter all is known. What is beside a shard is
written as soon as its members are known, what tells of the whole folder last (see indexes.folder).
"""

from __future__ import annotations

import gc
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import starmap

from parallel_sharder import machine
from parallel_sharder.destination import ShardPattern, set_name, shard_name
from parallel_sharder.engines import Engine, open_engine
from parallel_sharder.errors import DestinationError, SharderError, SourceError, WorkerDiedError, WorkerError
from parallel_sharder.indexes import Columns, Member, Shard
from parallel_sharder.indexes.folder import FolderIndexes, Found, index_columns, index_members
from parallel_sharder.indexes.sets import ShardSet, listed_sets, split_of
from parallel_sharder.lock import locked_folder
from parallel_sharder.model import ShardRecord
from parallel_sharder.monitor import Monitor, Silent
from parallel_sharder.options import SEEKING, IndexOptions
from parallel_sharder.report import Indexed
from parallel_sharder.sources.tarindex import reader, tar_members
from parallel_sharder.worker import digests_of


def index_shards(options: IndexOptions, monitor: Monitor | None = None) -> Indexed:
    """Write the indexes that `options` name for the shards they name, and say what is there now.

    Raises SharderError for shards that are missing, compressed or damaged, and for files in the way; nothing that tells
    of a whole folder is written then.
    """
    monitor = monitor or Silent()
    workers = machine.usable_cores() if options.workers is None else options.workers
    start = time.monotonic()
    folder, sets = _uncompressed(os.fspath(options.dest))
    names = [name for each in sets for name in each.names]
    try:
        with (
            locked_folder(folder),
            open_engine(workers, None) as engine,
            FolderIndexes(folder, sets, options.readers) as indexes,
        ):
            for found in _told_by_headers(folder, names, options.readers, options.md5, engine, monitor):
                indexes.add(found)
            written = indexes.publish()
    except WorkerDiedError as error:
        raise WorkerError(f"a worker died ({error.cause}). If memory is short, use fewer --workers.") from error
    except (OSError, sqlite3.Error) as error:
        raise SharderError(f"the indexes in {folder or '.'} cannot be written: {error}.") from error
    finally:
        monitor.close()
    set_names = tuple(each.name for each in sets)
    return Indexed(set_names, indexes.samples, len(names), tuple(written), workers, time.monotonic() - start)


def index_made(
    pattern: ShardPattern,
    split: str,
    made: Sequence[tuple[ShardRecord, Callable[[], Columns]]],
    readers: Collection[str],
    engine: Engine,
    monitor: Monitor,
) -> list[str]:
    """Write the indexes for `readers` of all shards that a run has `made`, in order of number; the paths of all.

    Where the members of each are, its function computes. The finished sets beside them, those with a manifest or a wids
    index, are taken in: for energon by their headers, for others by what that says. The folder should be locked. Raises
    DestinationError for what cannot be written, and for shards that a reader cannot take.
    """
    folder = pattern.folder
    own = ShardSet.made(pattern, split, len(made))
    told = {own: _told_by_plan(made, readers, monitor)}
    for each, shards in listed_sets(folder):
        if each.name != own.name and all(_is_there(folder, name) for name in each.names):
            if "energon" in readers:
                told[each] = _told_by_headers(folder, each.names, ("energon",), False, engine, monitor)
            else:
                told[each] = map(Found, shards)
    try:
        with FolderIndexes(folder, sorted(told), readers) as indexes:
            for each in sorted(told):
                for found in told[each]:
                    indexes.add(found)
            return indexes.publish()
    except SourceError as error:
        raise DestinationError(f"{error} (Without that reader in --index, the same command ends well.)") from error
    except (OSError, sqlite3.Error) as error:
        raise DestinationError(f"the indexes in {folder or '.'} cannot be written: {error}.") from error


def _is_there(folder: str, name: str) -> bool:
    """Whether that is an uncompressed shard in the folder."""
    return name.endswith(".tar") and os.path.isfile(os.path.join(folder, name))


def _told_by_plan(
    made: Sequence[tuple[ShardRecord, Callable[[], Columns]]], readers: Collection[str], monitor: Monitor
) -> Iterator[Found]:
    """What there is to tell of shards that a run has made."""
    for done, (record, columns) in enumerate(made, 1):
        if any(name in SEEKING for name in readers):
            yield index_columns(record.path, record.file_bytes, columns(), readers)
        else:
            yield Found(Shard(os.path.basename(record.path), record.samples, record.file_bytes))
        monitor.working("indexing shards", done, len(made))


def _told_by_headers(
    folder: str, names: Sequence[str], readers: Collection[str], with_md5: bool, engine: Engine, monitor: Monitor
) -> Iterator[Found]:
    """What the headers of shards tell, as they are read."""
    task = partial(_index_shard, readers=readers, with_md5=with_md5)
    paths = [os.path.join(folder, name) for name in names]
    for done, found in enumerate(engine.each(task, paths), 1):
        yield found
        monitor.working("indexing shards", done, len(paths))


def _index_shard(path: str, *, readers: Collection[str], with_md5: bool) -> Found:
    """Read the headers of a shard, all of it for the MD5, and write the indexes that stand beside it."""
    gc.disable()  # none of a hundred thousand small values is garbage, and looking for that takes a tenth of the time
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            members = [*starmap(Member, tar_members(reader(file.fileno()), 0, size, path))]
        md5 = digests_of(path)[1] if with_md5 else ""
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    finally:
        gc.enable()
    return index_members(path, size, members, readers, md5)


def _uncompressed(dest: str) -> tuple[str, list[ShardSet]]:
    """The folder at `dest`, or of that pattern, and the sets there, by name.

    Shards that no manifest lists belong to the set that their names tell. Raises DestinationError if there are none, or
    compressed ones.
    """
    pattern = ShardPattern.parse(dest) if "%" in dest else None
    folder = pattern.folder if pattern else dest
    try:
        names = os.listdir(folder or ".")
        listed = [each for each, _ in listed_sets(folder)]
    except OSError as error:
        raise DestinationError(f"{folder} cannot be read: {error.strerror}. Name the folder of the shards.") from error
    listed_in = {name: each.name for each in listed for name in each.names}
    sets: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name in names:
        parts = shard_name(name, pattern.prefix if pattern else None)
        if parts is None:
            continue
        if parts.suffix != ".tar":
            raise DestinationError(
                f"{os.path.join(folder, name)} is compressed. An index points to places in a file, and there are none "
                "to point to in a compressed one: readers would get garbage. Make uncompressed shards, or index others."
            )
        its_set = set_name(parts.prefix) if pattern else listed_in.get(name, set_name(parts.prefix))
        sets[its_set].append((int(parts.number), name))
    if not sets:
        raise DestinationError(f"{dest} holds no shards, such as imagenet_train-000000.tar.")
    splits = {each.name: each.split for each in listed}
    return folder, [
        ShardSet.of(name, splits.get(name) or split_of(name, {}), [each for _, each in sorted(some)])
        for name, some in sorted(sets.items())
    ]
