"""The indexer: writes the readers' own indexes, for finished shards of anybody's and for those of a run.

Of the former the headers are read, side by side on workers; of the latter all is known. What is beside a shard is
written as soon as its members are known, what tells of the whole folder last (see indexes.folder).
"""

from __future__ import annotations

import contextlib
import gc
import gzip
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import starmap
from typing import IO

from parallel_sharder.destination import ShardPattern, is_pattern, names_set, set_name, shard_name
from parallel_sharder.digests import digests_of
from parallel_sharder.engines import running
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import DestinationError, SharderError, SourceError
from parallel_sharder.indexes import Columns, Member, Shard
from parallel_sharder.indexes.folder import FolderIndexes, Found, index_columns, index_members
from parallel_sharder.indexes.sets import ShardSet, listed_sets, refuse_unfinished, split_of
from parallel_sharder.lock import locked_folder
from parallel_sharder.model import ShardRecord
from parallel_sharder.monitor import Monitor, telling
from parallel_sharder.options import INDEXES, SEEKING, IndexOptions
from parallel_sharder.regular import open_regular
from parallel_sharder.report import Indexed
from parallel_sharder.sources.tarindex import Stream, TarMember, reader, tar_members


@contextlib.contextmanager
def _locked(folder: str, sets: Sequence[ShardSet], monitor: Monitor) -> Iterator[None]:
    """Within, the folder is locked, and these sets are finished."""
    with locked_folder(folder, monitor.waiting):
        refuse_unfinished(folder, sets)
        yield


def index_shards(options: IndexOptions, monitor: Monitor | None = None) -> Indexed:
    """Write the indexes that `options` name for the shards they name, and say what is there now.

    Raises SharderError for shards that are missing, damaged, or compressed where a reader cannot take that, and for
    files in the way; nothing that tells of a whole folder is written then.
    """
    start = time.monotonic()
    with telling(monitor) as monitor, running(options.workers, preload=_index_shard.__module__) as engine:
        folder, sets = _sets_at(os.fspath(options.dest), options.readers)
        names = [name for each in sets for name in each.names]
        try:
            with (
                _locked(folder, sets, monitor),
                engine,  # whose workers write into the folder, and end before its lock does
                FolderIndexes(folder, sets, options.readers) as indexes,
            ):
                for found in _told_by_headers(folder, names, options.readers, options.md5, engine, monitor):
                    indexes.add(found)
                written = indexes.publish()
        except (OSError, sqlite3.Error) as error:
            raise SharderError(_unwritten(folder, error)) from error
    set_names = tuple(each.name for each in sets)
    return Indexed(set_names, indexes.samples, len(names), tuple(written), engine.workers, time.monotonic() - start)


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
    for each, shards, _ in listed_sets(folder, own.owns):
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
        raise DestinationError(_unwritten(folder, error)) from error


def _unwritten(folder: str, error: OSError | sqlite3.Error) -> str:
    place = os.path.abspath(folder)
    if isinstance(error, FileExistsError):
        return f"{error.filename} cannot be written: {error.strerror}."
    if isinstance(error, OSError):
        cause = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    else:
        cause = str(error)
    return f"the indexes in {place} cannot be written: {cause}. Mend that, and type the same command again."


def _is_there(folder: str, name: str) -> bool:
    """Whether that is an uncompressed shard in the folder."""
    return name.endswith(".tar") and os.path.isfile(os.path.join(folder, name))


def _told_by_plan(
    made: Sequence[tuple[ShardRecord, Callable[[], Columns]]], readers: Collection[str], monitor: Monitor
) -> Iterator[Found]:
    """What there is to tell of shards that a run has made."""
    for done, (record, columns) in enumerate(made, 1):
        shard = Shard(os.path.basename(record.path), record.samples, record.file_bytes)
        if any(name in SEEKING for name in readers):
            yield index_columns(shard, record.path, columns(), readers)
        else:
            yield Found(shard)
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
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            size = os.fstat(file.fileno()).st_size
            members = [*starmap(Member, _members_of(file, size, path))]
        _, md5, xxh3_128 = digests_of(path) if with_md5 else ("", "", "")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}. Mend that, or copy it again.") from error
    finally:
        gc.enable()
    return index_members(Shard(os.path.basename(path), 0, size, md5, xxh3_128), path, members, readers)


def _members_of(file: IO[bytes], size: int, path: str) -> Iterator[TarMember]:
    """The members of a shard; of a compressed one, all of it is read, and offsets are those before compression."""
    if path.endswith(".tar"):
        return tar_members(reader(file.fileno()), 0, size, path)
    stream = _Zstd(file) if path.endswith(".zst") else gzip.GzipFile(fileobj=file)
    return tar_members(Stream(stream, path), 0, None, path)


class _Zstd:
    """What a file that zstd has compressed holds; damage is an OSError, as gzip's is."""

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard  # here, so that others do without it

        self._stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        self._error = zstandard.ZstdError

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        try:
            return self._stream.read(size)
        except self._error as error:
            raise OSError(str(error)) from error


def _sets_at(dest: str, readers: Collection[str]) -> tuple[str, list[ShardSet]]:
    """The folder at `dest`, or of that pattern, and the sets there, by name.

    Shards that no manifest lists belong to the set that their names tell. Raises DestinationError if there are none, if
    one of the `readers` cannot take compressed ones, and for a set of which some shards are compressed and some not.
    """
    pattern = ShardPattern.parse(dest) if is_pattern(dest) else None
    folder = pattern.folder if pattern else dest
    try:
        names = sorted(os.listdir(folder or "."))
        listed = [each for each in listed_sets(folder) if names_set(each.set.name, each.set.names[0])]
    except OSError as error:
        raise DestinationError(f"{folder} cannot be read: {error.strerror}. Name the folder of the shards.") from error
    listed_in = {name: each.set.name for each in listed for name in each.set.names}
    sets: dict[str, list[tuple[int, str]]] = defaultdict(list)
    suffixes: dict[str, str] = {}
    for name in names:
        parts = shard_name(name, pattern.prefix if pattern else None)
        if parts is None or (pattern and parts.suffix != pattern.suffix):
            continue
        if parts.suffix != ".tar":
            _refuse_compressed(os.path.join(folder, name), readers)
        its_set = set_name(parts.prefix) if pattern else listed_in.get(name, set_name(parts.prefix))
        if suffixes.setdefault(its_set, parts.suffix) != parts.suffix:
            raise DestinationError(
                f"{folder} holds shards of {its_set} that end in {suffixes[its_set]} and in {parts.suffix}. Name one "
                f"kind by a pattern, such as {os.path.join(folder, parts.prefix)}%0{len(parts.number)}d{parts.suffix}."
            )
        sets[its_set].append((int(parts.number), name))
    if not sets:
        raise DestinationError(
            f"{dest} holds no shards, such as imagenet_train-000000.tar. Name their folder, or a pattern of theirs."
        )
    splits = {each.set.name: each.set.split for each in listed}
    missing = [each.set for each in listed if each.is_ours and each.set.name not in sets and not pattern]
    return folder, missing + [
        ShardSet.of(name, splits.get(name) or split_of(name, {}), [each for _, each in sorted(some)])
        for name, some in sorted(sets.items())
    ]


def _refuse_compressed(path: str, readers: Collection[str]) -> None:
    """Raise DestinationError if one of the readers looks for a place in the shard, instead of reading all of it."""
    unable = [name for name in INDEXES if name in readers and name in (*SEEKING, "wids")]
    able = [name for name in INDEXES if name not in (*SEEKING, "wids")]
    if unable:
        raise DestinationError(
            f"{path} is compressed, so its samples have no place in the file from which {' or '.join(unable)} could "
            "read them. Make uncompressed shards, name others by a pattern, or write "
            f"--for {','.join(able)} alone."
        )
