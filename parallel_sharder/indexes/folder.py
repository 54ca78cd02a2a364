"""The indexes of a folder while they are made: what is told shard by shard becomes the files that readers look for.

Beside a shard lies what is of that shard alone; the other files tell of all sets in the folder. Each appears whole or
not at all, no file of another kind is replaced, and a lock keeps two runs from working on one folder's indexes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

from parallel_sharder import durable
from parallel_sharder.destination import set_name, shard_name
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.indexes import Columns, Member, Shard, counts, dali, energon, samples
from parallel_sharder.lock import locked_folder
from parallel_sharder.manifest import with_md5

_NAMES = "|".join([r".*\.idx", *map(re.escape, (counts.TIMM, counts.OPENCLIP, *energon.REMADE, energon.DATASET))])
"""A regular expression for the names of what is written under the lock."""


class ShardSet(NamedTuple):
    """The shards at `paths`, in order of their number: one set, which is (a part of) one split for the readers."""

    name: str
    split: str
    paths: Sequence[str]


class Found(NamedTuple):
    """What the folder's indexes tell of one shard: its numbers, a sample's fields, and for energon its rows."""

    shard: Shard
    fields: tuple[str, ...] = ()
    rows: energon.Rows | None = None


def split_of(folder: str, name: str) -> str:
    """The split of the set in `folder`: what its manifest says, or the last word of its name."""
    choices = (_json_at(os.path.join(folder, f"{name}.json")) or {}).get("options", {})
    return str(choices.get("split") or re.split("[-_]", name)[-1])


def counted(folder: str, name: str) -> dict[str, Shard]:
    """What the manifest, or wids index, of the set says of its shards, by their paths; empty if there is none."""
    content = _json_at(os.path.join(folder, f"{name}.json")) or {}
    if not _is_wids(content):
        return {}
    shards = [Shard(each["url"], each["nsamples"], each.get("filesize", 0)) for each in content["shardlist"]]
    return {os.path.join(folder, shard.name): shard for shard in shards}


def index_members(path: str, size: int, members: Sequence[Member], readers: Collection[str], md5: str = "") -> Found:
    """Write what lies beside the shard at `path`, of `size` bytes, which has these members; what to tell of it.

    Raises SourceError for a shard that a reader cannot take.
    """
    all_samples = [*samples(members)]
    return _index(
        Shard(os.path.basename(path), len(all_samples), size, md5),
        path,
        tuple(field.name for field in all_samples[0]) if all_samples else (),
        readers,
        partial(dali.index_bytes, all_samples),
        partial(energon.rows_of, members),
    )


def index_columns(path: str, size: int, columns: Columns, readers: Collection[str]) -> Found:
    """The same of a shard whose members are computed."""
    shard = Shard(os.path.basename(path), len(columns.keys), size)
    return _index(
        shard, path, columns.fields, readers, partial(dali.index_of, columns), partial(energon.rows_in, columns)
    )


def _index(
    shard: Shard,
    path: str,
    fields: tuple[str, ...],
    readers: Collection[str],
    dali_index: Callable[[], bytes],
    energon_rows: Callable[[], energon.Rows],
) -> Found:
    try:
        if "dali" in readers:
            durable.write_file(dali.index_path(path), dali_index())
        if "energon" not in readers:
            return Found(shard, fields)
        rows = energon_rows()
        durable.write_file(energon.index_path(path), rows.offsets)
    except ValueError as error:
        raise SourceError(f"{path} {error}") from error
    return Found(shard, fields, rows)


class FolderIndexes:
    """The indexes for `readers` of the shards of `sets`, all in one folder; a context manager that holds its lock.

    Every shard is told with `add`, best in order, because what is early waits in memory; then `publish` writes the
    files. If it is left before, nothing that tells of the whole folder has changed. Raises DestinationError for a file
    of another kind under one of the names.
    """

    def __init__(self, folder: str, sets: Sequence[ShardSet], readers: Collection[str]) -> None:
        self._folder = folder
        self._sets = sets
        self._readers = readers
        self._paths = [path for each in sets for path in each.paths]
        self._numbers = {path: number for number, path in enumerate(self._paths)}
        self._found: dict[str, Found] = {}
        self._digests: dict[str, bytes] = {}
        self._waiting: dict[
            int, energon.Rows
        ] = {}  # the table is filled in order, so that its bytes are always the same
        self._next = 0
        self._table: _NewTable | None = None
        self._context = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as context:
            context.enter_context(locked_folder(self._folder))
            for folder in (self._folder, os.path.join(self._folder, energon.FOLDER)):
                durable.remove_partials(folder, _NAMES)
            refuse_foreign(self._folder, self._readers, [each.name for each in self._sets])
            if "energon" in self._readers:
                self._table = context.enter_context(_NewTable(self._folder))
            self._context = context.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    @property
    def samples(self) -> int:
        """How many were told of."""
        return sum(each.shard.samples for each in self._found.values())

    def add(self, path: str, found: Found) -> None:
        """Take in the shard at `path`. Raises SourceError if it has a key of another, which energon cannot take."""
        self._found[path] = found._replace(rows=None)
        if self._table is None or found.rows is None:
            return
        self._digests[path] = found.rows.digest
        self._waiting[self._numbers[path]] = found.rows
        while (number := self._next) in self._waiting:
            twice = self._table.content.add(number, self._waiting.pop(number))
            if twice is not None:
                raise SourceError(
                    f"{self._paths[number]} has the sample {twice}, which is there twice: energon wants unique keys in "
                    "a folder. Mend that, or give each set a folder of its own."
                )
            self._next += 1

    def publish(self) -> list[str]:
        """Write the files that tell of all shards; the paths of all indexes, those beside the shards first."""
        files = {path: make() for path, make in self._files().items()}
        written = []
        for path in self._paths:
            beside = {"dali": dali.index_path(path), "energon": energon.index_path(path)}
            written += [place for reader, place in beside.items() if reader in self._readers]
        if self._table is not None:
            written.append(self._table.publish())
        for path, content in files.items():
            durable.write_file(path, content)
            written.append(path)
        return written

    def _files(self) -> dict[str, Callable[[], bytes]]:
        """The files but the table, each with what makes its content."""
        files: dict[str, Callable[[], bytes]] = {}
        shards = {each.name: [self._found[path].shard for path in each.paths] for each in self._sets}
        ordered = [shard for some in shards.values() for shard in some]
        splits: dict[str, list[Shard]] = defaultdict(list)
        for each in self._sets:
            splits[each.split] += shards[each.name]
        if "wids" in self._readers:
            for name, some in shards.items():
                path = os.path.join(self._folder, f"{name}.json")
                before = _before(path, _is_wids)
                if "tool" not in before:
                    files[path] = partial(counts.wids, name, some)
                elif some[0].md5:  # a manifest of ours is an index already, and lacks this alone
                    files[path] = partial(with_md5, before, {shard.name: shard.md5 for shard in some})
        if "openclip" in self._readers:
            path = os.path.join(self._folder, counts.OPENCLIP)
            files[path] = partial(counts.openclip, _without(_before(path, _is_openclip), shards), ordered)
        if "timm" in self._readers:
            path = os.path.join(self._folder, counts.TIMM)
            files[path] = partial(counts.timm, _before(path, _is_timm), splits)
        if "energon" in self._readers:
            meta = os.path.join(self._folder, energon.FOLDER)
            files[os.path.join(meta, ".info.json")] = partial(energon.info, ordered)
            files[os.path.join(meta, "split.yaml")] = partial(energon.split_yaml, splits)
            digests = [self._digests[path] for path in self._paths]
            files[os.path.join(meta, "index.uuid")] = partial(energon.uuid_of, digests)
            dataset = os.path.join(meta, energon.DATASET)
            is_ours = self._found[self._paths[0]].fields == ("cls", "jpg", "json")
            if is_ours and not os.path.exists(dataset):  # or people know better
                files[dataset] = lambda: energon.DATASET_YAML
        return files


def refuse_foreign(folder: str, readers: Collection[str], names: Collection[str]) -> None:
    """Raise DestinationError if a file that tells of the folder, or of one of these sets, is something else."""
    if "timm" in readers:
        _before(os.path.join(folder, counts.TIMM), _is_timm)
    if "openclip" in readers:
        _before(os.path.join(folder, counts.OPENCLIP), _is_openclip)
    if "wids" in readers:
        for name in names:
            _before(os.path.join(folder, f"{name}.json"), _is_wids)


def withdraw(folder: str, name: str, split: str) -> None:
    """Remove what the folder's indexes tell of the set called `name`, whose shards are about to go or to change.

    Files of another kind are left alone. Energon's index goes as a whole if it tells of the set: it is one table.
    """
    with locked_folder(folder):
        for file in os.listdir(folder or "."):
            shard = f"{file.removesuffix('.idx').removesuffix('.tar')}.tar"
            if file.endswith(".idx") and _without({shard: 0}, {name}) == {}:
                durable.remove(os.path.join(folder, file))
        meta = os.path.join(folder, energon.FOLDER)
        listed = (_json_at(os.path.join(meta, ".info.json")) or {}).get("shard_counts", {})
        if _without(listed, {name}) != listed:
            for file in energon.REMADE:
                durable.remove(os.path.join(meta, file))
        path = os.path.join(folder, counts.OPENCLIP)
        sizes = _json_at(path) or {}
        if _is_openclip(sizes) and (rest := _without(sizes, {name})) != sizes:
            _rewrite(path, counts.openclip(rest, ()) if rest else b"")
        path = os.path.join(folder, counts.TIMM)
        info = _json_at(path) or {}
        if _is_timm(info) and info["splits"].pop(split, None):
            _rewrite(path, counts.timm(info, {}) if info != {"splits": {}} else b"")


def _rewrite(path: str, content: bytes) -> None:
    """Replace a file, or remove it if nothing is left to say."""
    if content:
        durable.write_file(path, content)
    else:
        durable.remove(path)


def _without(by_shard: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The entries but those of the shards of these sets."""
    return {
        shard: value
        for shard, value in by_shard.items()
        if (parts := shard_name(shard)) is None or set_name(parts.prefix) not in names
    }


def _is_timm(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("splits"), dict)


def _is_openclip(content: Mapping[str, Any]) -> bool:
    return all(type(count) is int for count in content.values())


def _is_wids(content: Mapping[str, Any]) -> bool:
    return content.get("__kind__") == "wids-shard-index-v1"


def _before(path: str, is_of_kind: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """What is in the file that would be replaced, empty if there is none; DestinationError for one of another kind."""
    content = _json_at(path)
    if content is None:
        return {}
    if content and is_of_kind(content):
        return content
    raise DestinationError(f"{path} is there and is something else. Nothing is overwritten: move it out of the way.")


def _json_at(path: str) -> dict[str, Any] | None:
    """The JSON object in a file, empty if it is something else; None if there is no file."""
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror}") from error
    return content if isinstance(content, dict) else {}


class _NewTable:
    """Energon's table while it has a temporary name; what is not published goes with the context."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, energon.FOLDER, energon.TABLE)
        self._made = durable.make_folder(os.path.dirname(self._path))
        self._descriptor, self._temporary = durable.create(self._path)
        self.content = energon.Table(self._temporary)

    def publish(self) -> str:
        self.content.finish()
        durable.publish(os.dup(self._descriptor), self._temporary, self._path, replace=True)
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.content.close()
        durable.discard(self._descriptor, self._temporary)
        for each in reversed(self._made):
            with contextlib.suppress(OSError):  # there is something in it, if all went well
                os.rmdir(each)
