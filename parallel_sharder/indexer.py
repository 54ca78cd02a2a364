"""The indexer: writes the readers' own indexes of finished shards, anybody's, from their headers alone.

Shards are read side by side on workers; what is beside a shard is written by the worker that has read it, what tells of
a whole folder by the coordinator, last. Each file appears whole or not at all, and no file of another kind is replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from parallel_sharder import durable, machine
from parallel_sharder.destination import ShardPattern, set_name, shard_name
from parallel_sharder.engines import open_engine
from parallel_sharder.errors import DestinationError, SharderError, SourceError, WorkerDiedError, WorkerError
from parallel_sharder.indexes import Member, Shard, counts, dali, energon, samples
from parallel_sharder.monitor import Monitor, Silent
from parallel_sharder.options import IndexOptions
from parallel_sharder.report import Indexed
from parallel_sharder.sources.tarindex import reader, tar_members

_READ_BYTES = 1 << 20


def index_shards(options: IndexOptions, monitor: Monitor | None = None) -> Indexed:
    """Write the indexes that `options` name for the shards they name, and say what is there now.

    Raises SharderError for shards that are missing, compressed or damaged, and for files in the way; nothing that tells
    of a whole folder is written then.
    """
    monitor = monitor or Silent()
    workers = machine.usable_cores() if options.workers is None else options.workers
    start = time.monotonic()
    sets = _sets(os.fspath(options.dest))
    paths = [path for some in sets.values() for path in some]
    before = _before(options, sets)
    numbers = {path: number for number, path in enumerate(paths)}
    found: dict[str, _Found] = {}
    task = partial(_index_shard, readers=options.readers, with_md5=options.md5)
    try:
        with open_engine(workers, None) as engine, _table(options, os.path.dirname(paths[0])) as add:
            for path, shard in engine.each(task, paths):
                add(numbers[path], path, shard.rows)
                found[path] = shard.without_rows()
                monitor.working("indexing shards", len(found), len(paths))
        written = [each for path in paths for each in _beside(path, options.readers)]
        if "energon" in options.readers:
            written.append(_table_path(os.path.dirname(paths[0])))
        for path, make in _files(options, sets, found, before).items():
            durable.write_file(path, make())
            written.append(path)
    except WorkerDiedError as error:
        raise WorkerError(f"a worker died ({error.cause}). If memory is short, use fewer --workers.") from error
    except (OSError, sqlite3.Error) as error:
        raise SharderError(str(error)) from error
    finally:
        monitor.close()
    total = sum(each.shard.samples for each in found.values())
    return Indexed(tuple(sets), total, len(paths), tuple(written), workers, time.monotonic() - start)


class _Found(NamedTuple):
    """What a worker has found in a shard: its numbers, for energon its rows, their digest, and a sample's fields."""

    shard: Shard
    rows: energon.Rows | None = None
    digest: bytes = b""
    fields: tuple[str, ...] = ()

    def without_rows(self) -> _Found:
        return self._replace(rows=None)


@contextlib.contextmanager
def _table(options: IndexOptions, folder: str) -> Iterator[Callable[[int, str, energon.Rows | None], None]]:
    """What adds the rows of a shard to energon's table, which appears at the end of the context, if all went well."""
    if "energon" not in options.readers:
        yield lambda *_: None
        return
    path = _table_path(folder)
    made = durable.make_folder(os.path.dirname(path))
    descriptor, temporary = durable.create(path)
    table = energon.Table(temporary)

    def add(number: int, shard_path: str, rows: energon.Rows | None) -> None:
        twice = table.add(number, rows) if rows is not None else None
        if twice is not None:
            raise SourceError(f"{shard_path} has the sample {twice}, which is there twice: energon wants unique keys.")

    try:
        yield add
        table.finish()
    except BaseException:
        table.close()
        durable.discard(descriptor, temporary)
        for each in made:
            os.rmdir(each)
        raise
    durable.publish(descriptor, temporary, path, replace=True)


def _table_path(folder: str) -> str:
    return os.path.join(folder, energon.FOLDER, "index.sqlite")


def _beside(path: str, readers: Sequence[str]) -> list[str]:
    """The indexes that stand beside the shard at `path`."""
    places = {"dali": dali.index_path(path), "energon": energon.index_path(path)}
    return [place for name, place in places.items() if name in readers]


def _sets(dest: str) -> dict[str, list[str]]:
    """The shards at `dest`, a folder or a pattern, by the names of their sets; in order of number."""
    folder, wanted = (dest, None) if "%" not in dest else os.path.split(dest)
    try:
        names = os.listdir(folder or ".")
    except OSError as error:
        raise DestinationError(f"{folder} cannot be read: {error.strerror}. Name the folder of the shards.") from error
    prefix = None if wanted is None else ShardPattern.parse(dest).prefix
    sets: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name in names:
        parts = shard_name(name, prefix)
        if parts is None:
            continue
        path = os.path.join(folder, name)
        if parts.suffix != ".tar":
            raise DestinationError(
                f"{path} is compressed. An index points to places in a file, and there are none to point to in a "
                "compressed one: readers would get garbage. Make uncompressed shards, or index others."
            )
        sets[set_name(parts.prefix)].append((int(parts.number), path))
    if not sets:
        raise DestinationError(f"{dest} holds no shards, such as imagenet_train-000000.tar.")
    return {name: [path for _, path in sorted(some)] for name, some in sorted(sets.items())}


def _before(options: IndexOptions, sets: Mapping[str, list[str]]) -> dict[str, dict[str, Any]]:
    """What is in the files that would be replaced; DestinationError for one of another kind."""
    folder = os.path.dirname(next(iter(sets.values()))[0])
    kinds: dict[str, Callable[[Any], bool]] = {}
    if "timm" in options.readers:
        kinds[os.path.join(folder, counts.TIMM)] = lambda content: isinstance(content.get("splits"), dict)
    if "openclip" in options.readers:
        kinds[os.path.join(folder, counts.OPENCLIP)] = lambda content: all(type(n) is int for n in content.values())
    if "wids" in options.readers:
        for name in sets:
            path = os.path.join(folder, f"{name}.json")
            kinds[path] = lambda content: content.get("__kind__") == "wids-shard-index-v1"
    return {path: _json_at(path, is_of_kind) for path, is_of_kind in kinds.items()}


def _json_at(path: str, is_of_kind: Callable[[Any], bool]) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
        if isinstance(content, dict) and is_of_kind(content):
            return content
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        pass
    raise DestinationError(f"{path} is there and is something else. Nothing is overwritten: move it out of the way.")


def _files(
    options: IndexOptions,
    sets: Mapping[str, list[str]],
    found: Mapping[str, _Found],
    before: Mapping[str, dict[str, Any]],
) -> dict[str, Callable[[], bytes]]:
    """The files that tell of a whole set or folder, each with what makes its content."""
    files: dict[str, Callable[[], bytes]] = {}
    shards = {name: [found[path].shard for path in paths] for name, paths in sets.items()}
    folder = os.path.dirname(next(iter(found)))
    splits = {re.split("[-_]", name)[-1]: some for name, some in shards.items()}
    if "wids" in options.readers:
        for name, some in shards.items():
            path = os.path.join(folder, f"{name}.json")
            if "tool" not in before[path]:  # a manifest of ours is an index already
                files[path] = partial(counts.wids, name, some)
    if "openclip" in options.readers:
        path = os.path.join(folder, counts.OPENCLIP)
        files[path] = partial(counts.openclip, before[path], [shard for some in shards.values() for shard in some])
    if "timm" in options.readers:
        path = os.path.join(folder, counts.TIMM)
        files[path] = partial(counts.timm, before[path], splits)
    if "energon" in options.readers:
        ordered = [found[path] for paths in sets.values() for path in paths]
        meta = os.path.join(folder, energon.FOLDER)
        files[os.path.join(meta, ".info.json")] = partial(energon.info, [each.shard for each in ordered])
        files[os.path.join(meta, "split.yaml")] = partial(energon.split_yaml, splits)
        files[os.path.join(meta, "index.uuid")] = partial(energon.uuid_of, [each.digest for each in ordered])
        dataset = os.path.join(meta, "dataset.yaml")
        if ordered[0].fields == ("cls", "jpg", "json") and not os.path.exists(dataset):  # or people know better
            files[dataset] = lambda: energon.DATASET_YAML
    return files


def _index_shard(path: str, *, readers: Sequence[str], with_md5: bool) -> tuple[str, _Found]:
    """Read the headers of a shard; writes the indexes that stand beside it, if such are wanted."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            found = tar_members(reader(file.fileno()), 0, size, path)
            members = [Member(*member) for member in found]
            md5 = hashlib.md5(usedforsecurity=False)
            while with_md5 and (block := file.read(_READ_BYTES)):
                md5.update(block)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    all_samples = [*samples(members)]
    shard = Shard(os.path.basename(path), len(all_samples), size, md5.hexdigest() if with_md5 else "")
    try:
        if "dali" in readers:
            durable.write_file(dali.index_path(path), dali.index_bytes(all_samples))
        if "energon" not in readers:
            return path, _Found(shard)
        rows = energon.rows_of(members)
        durable.write_file(energon.index_path(path), rows.offsets)
    except ValueError as error:
        raise SourceError(f"{path} {error}") from error
    return path, _Found(shard, rows, rows.digest, tuple(field.name for field in all_samples[0]))
