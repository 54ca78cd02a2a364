"""The indexer: writes the readers' own indexes of finished shards, anybody's, from their headers alone.

Shards are read side by side on workers; what is beside a shard is written by the worker that has read it, what tells of
a whole folder by the coordinator, last. Each file appears whole or not at all, and no file of another kind is replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from parallel_sharder import durable, machine
from parallel_sharder.destination import COMPRESSIONS, ShardPattern
from parallel_sharder.engines import open_engine
from parallel_sharder.errors import DestinationError, SharderError, SourceError, WorkerDiedError, WorkerError
from parallel_sharder.indexes import Member, Shard, counts, dali, samples
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
    found: dict[str, Shard] = {}
    try:
        with open_engine(workers, None) as engine:
            task = partial(_index_shard, with_dali="dali" in options.readers, with_md5=options.md5)
            for path, shard in engine.each(task, paths):
                found[path] = shard
                monitor.working("indexing shards", len(found), len(paths))
        written = [dali.index_path(path) for path in paths] if "dali" in options.readers else []
        for path, make in _files(options, sets, found, before).items():
            durable.write_file(path, make())
            written.append(path)
    except WorkerDiedError as error:
        raise WorkerError(f"a worker died ({error.cause}). If memory is short, use fewer --workers.") from error
    except OSError as error:
        raise SharderError(str(error)) from error
    finally:
        monitor.close()
    total = sum(shard.samples for shard in found.values())
    return Indexed(tuple(sets), total, len(paths), tuple(written), workers, time.monotonic() - start)


def _sets(dest: str) -> dict[str, list[str]]:
    """The shards at `dest`, a folder or a pattern, by the names of their sets; in order of number."""
    folder, wanted = (dest, None) if "%" not in dest else os.path.split(dest)
    try:
        names = os.listdir(folder or ".")
    except OSError as error:
        raise DestinationError(f"{folder} cannot be read: {error.strerror}. Name the folder of the shards.") from error
    suffixes = "|".join(map(re.escape, COMPRESSIONS))
    prefix = None if wanted is None else ShardPattern.parse(dest).prefix
    sets: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name in names:
        match = re.fullmatch(rf"([^.].*?)([0-9]+)({suffixes})", name)
        if match is None or prefix not in (None, match[1]):
            continue
        path = os.path.join(folder, name)
        if match[3] != ".tar":
            raise DestinationError(
                f"{path} is compressed. An index points to places in a file, and there are none to point to in a "
                "compressed one: readers would get garbage. Make uncompressed shards, or index others."
            )
        sets[match[1].rstrip("-_.") or "shards"].append((int(match[2]), path))
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
    found: Mapping[str, Shard],
    before: Mapping[str, dict[str, Any]],
) -> dict[str, Callable[[], bytes]]:
    """The files that tell of a whole set or folder, each with what makes its content."""
    files: dict[str, Callable[[], bytes]] = {}
    shards = {name: [found[path] for path in paths] for name, paths in sets.items()}
    folder = os.path.dirname(next(iter(found)))
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
        splits = {re.split("[-_]", name)[-1]: some for name, some in shards.items()}
        files[path] = partial(counts.timm, before[path], splits)
    return files


def _index_shard(path: str, *, with_dali: bool, with_md5: bool) -> tuple[str, Shard]:
    """Read the headers of a shard; writes DALI's index beside it, if that is wanted."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            found = tar_members(reader(file.fileno()), 0, size, path)
            members = [Member(member.name, member.data, member.size) for member in found]
            md5 = hashlib.md5(usedforsecurity=False)
            while with_md5 and (block := file.read(_READ_BYTES)):
                md5.update(block)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    if with_dali:
        try:
            durable.write_file(dali.index_path(path), dali.index_bytes(members))
        except ValueError as error:
            raise SourceError(f"{path} {error}") from error
    count = sum(1 for _ in samples(members))
    return path, Shard(os.path.basename(path), count, size, md5.hexdigest() if with_md5 else "")
