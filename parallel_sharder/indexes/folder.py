"""The indexes of a folder while they are made: what is told shard by shard becomes the files that readers look for.

Beside a shard lies what is of that shard alone; the other files tell of all sets in the folder. Each appears whole or
not at all, no file of another kind is replaced, and a lock keeps two runs from working on one folder's indexes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

from parallel_sharder import durable
from parallel_sharder.destination import text_at
from parallel_sharder.errors import DestinationError, ManifestError, SourceError
from parallel_sharder.forms import LABELLED_FIELDS
from parallel_sharder.indexes import Columns, Member, Shard, columns_of, counts, dali, energon, samples
from parallel_sharder.indexes.sets import ShardSet, is_wids, json_at
from parallel_sharder.manifest import read_manifest, with_md5
from parallel_sharder.regular import kind_at, open_regular
from parallel_sharder.ustar import NAME_LIMIT_BYTES

_NAMES = "|".join([r".*\.idx", *map(re.escape, (counts.TIMM, counts.OPENCLIP, *energon.REMADE, energon.DATASET))])
"""A regular expression for the names of what is written under the lock."""


class Found(NamedTuple):
    """What the folder's indexes tell of one shard: its numbers, a sample's fields, and for energon its rows."""

    shard: Shard
    fields: tuple[str, ...] = ()
    rows: energon.Rows | None = None


def index_members(shard: Shard, path: str, members: Sequence[Member], readers: Collection[str]) -> Found:
    """Write what lies beside the `shard` at `path`, which has these members; what to tell of it, samples counted.

    Raises SourceError for a shard that a reader cannot take.
    """
    columns = columns_of(members)
    if "wids" in readers:
        try:
            shard = shard._replace(wids_samples=_wids_samples(members, columns))
        except ValueError as error:
            raise SourceError(_unfit(path, error)) from error
    if columns is not None:
        return index_columns(shard, path, columns, readers)
    all_samples = [*samples(members)]
    return _index(
        shard._replace(samples=len(all_samples)),
        path,
        tuple(field.name for field in all_samples[0]) if all_samples else (),
        readers,
        lambda: dali.index_bytes(samples(members, as_wds2idx=True)),
        partial(energon.rows_of, members),
    )


def _wids_samples(members: Sequence[Member], columns: Columns | None) -> int:
    """As wids counts them; those in columns, which are as usual, in a tenth of the time."""
    if columns is not None and len({*columns.keys}) == len(columns.keys):
        longest = max(map(len, columns.keys)) + 1 + max(map(len, columns.fields))
        if longest <= NAME_LIMIT_BYTES:
            return len(columns.keys)
    return counts.wids_samples(member.name for member in members)


def index_columns(shard: Shard, path: str, columns: Columns, readers: Collection[str]) -> Found:
    """The same of a shard whose samples are all alike."""
    shard = shard._replace(samples=len(columns.keys))
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
            durable.write_file(dali.index_path(path), dali_index(), _is_index)
        if "energon" not in readers:
            return Found(shard, fields)
        rows = energon_rows()
        durable.write_file(energon.index_path(path), rows.offsets, _is_index)
    except ValueError as error:
        raise SourceError(_unfit(path, error)) from error
    return Found(shard, fields, rows)


def _unfit(path: str, error: ValueError) -> str:
    return f"{path} {error}. Leave that reader out, or make the shard anew without that."


class FolderIndexes:
    """The indexes for `readers` of the shards of `sets`, all in one folder, which should be locked; a context manager.

    Every shard is told with `add`, best in order, because what is early waits in memory; then `publish` writes the
    files. If it is left before, nothing that tells of the whole folder has changed. Raises DestinationError for a file
    of another kind under one of the names.
    """

    def __init__(self, folder: str, sets: Sequence[ShardSet], readers: Collection[str]) -> None:
        self._folder = folder
        self._sets = sets
        self._readers = readers
        self._names = [name for each in sets for name in each.names]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._found: dict[str, Found] = {}
        self._digests: dict[str, bytes] = {}
        # By number, until it is their turn: a table that is filled in order has always the same bytes.
        self._waiting: dict[int, energon.Rows] = {}
        self._next = 0
        self._table: _NewTable | None = None

    def __enter__(self) -> Self:
        refuse_foreign_indexes(self._folder, self._readers, [each.name for each in self._sets])
        remove_partials(self._folder)
        if "energon" in self._readers:
            self._table = _NewTable(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._table is not None:
            self._table.close()

    @property
    def samples(self) -> int:
        """How many were told of."""
        return sum(each.shard.samples for each in self._found.values())

    def add(self, found: Found) -> None:
        """Take in a shard. Raises SourceError if it has a key of another, which energon cannot take."""
        name = found.shard.name
        self._found[name] = found._replace(rows=None)
        if self._table is None or found.rows is None:
            return
        self._digests[name] = found.rows.digest
        self._waiting[self._numbers[name]] = found.rows
        while (number := self._next) in self._waiting:
            twice = self._table.content.add(number, self._waiting.pop(number))
            if twice is not None:
                raise SourceError(
                    f"{os.path.join(self._folder, self._names[number])} has the sample {twice}, which is there twice: "
                    "energon wants unique keys in a folder. Give each set a folder of its own, or leave energon out."
                )
            self._next += 1

    def publish(self) -> list[str]:
        """Write the files that tell of all shards; the paths of all indexes, those beside the shards first."""
        assert self._found.keys() == {*self._names}  # noqa: S101 - who has named them adds them
        assert not self._waiting  # noqa: S101 - follows from that
        files = self._files()
        written = []
        for name in self._names:
            path = os.path.join(self._folder, name)
            beside = {"dali": dali.index_path(path), "energon": energon.index_path(path)}
            written += [place for reader, place in beside.items() if reader in self._readers]
        if self._table is not None:
            written.append(self._table.publish())
        for path, content in files.items():
            durable.write_file(path, content, _is_of_its_kind)
            written.append(path)
        return written

    def _files(self) -> dict[str, bytes]:
        """The files that tell of all shards, but the table: their content by their paths."""
        files: dict[str, bytes] = {}
        shards = {each.name: [self._found[name].shard for name in each.names] for each in self._sets}
        ordered = [self._found[name].shard for name in self._names]
        if "wids" in self._readers:
            for name, some in shards.items():
                path = os.path.join(self._folder, f"{name}.json")
                manifest = read_manifest(path) if os.path.lexists(path) else None
                if manifest is None:
                    _before(path, is_wids)
                    files[path] = counts.wids(name, some)
                elif some[0].md5:  # a manifest of ours is an index already, and lacks this alone
                    files[path] = _with_md5(path, manifest, some)
        if "openclip" in self._readers:
            path = os.path.join(self._folder, counts.OPENCLIP)
            sizes = counts.openclip_without(_before(path, counts.is_openclip), self._owns)
            files[path] = counts.openclip(sizes, ordered)
        if "timm" in self._readers:
            path = os.path.join(self._folder, counts.TIMM)
            info = counts.timm_without(_before(path, counts.is_timm), self._owns)
            files[path] = counts.timm(info, self._by_split(shards, info.get("splits", {})))
        if "energon" in self._readers:
            meta = os.path.join(self._folder, energon.FOLDER)
            split_path = os.path.join(meta, "split.yaml")
            dataset_path = os.path.join(meta, energon.DATASET)
            files[os.path.join(meta, ".info.json")] = energon.info(ordered)
            files[split_path] = energon.split_yaml(self._by_split(shards), _excluded(self._folder))
            files[os.path.join(meta, "index.uuid")] = energon.uuid_of(self._digests[name] for name in self._names)
            is_ours = any(each.fields in LABELLED_FIELDS for each in self._found.values())
            if is_ours and not os.path.exists(dataset_path):  # or people know better
                files[dataset_path] = energon.DATASET_YAML
        return files

    def _owns(self, name: str) -> bool:
        return any(each.owns(name) for each in self._sets)

    def _by_split(
        self, shards: Mapping[str, Sequence[Shard]], taken: Collection[str] = ()
    ) -> dict[str, Sequence[Shard]]:
        """The shards of each split; of each set by its own name, where the split's is `taken`, or one of several."""
        uses = Counter(name for each in self._sets for name in {each.split, each.name})
        alone = {each.name for each in self._sets if uses[each.split] == 1 and each.split not in taken}
        return {each.split if each.name in alone else each.name: shards[each.name] for each in self._sets}


def refuse_foreign_indexes(folder: str, readers: Collection[str], names: Collection[str]) -> None:
    """Raise DestinationError if a file that tells of the folder, or of one of these sets, is something else."""
    if "timm" in readers:
        _before(os.path.join(folder, counts.TIMM), counts.is_timm)
    if "openclip" in readers:
        _before(os.path.join(folder, counts.OPENCLIP), counts.is_openclip)
    if "wids" in readers:
        for name in names:
            _before(os.path.join(folder, f"{name}.json"), is_wids)
    meta = os.path.join(folder, energon.FOLDER)
    if "energon" in readers:
        if os.path.lexists(meta) and not os.path.isdir(meta):
            raise DestinationError(_in_the_way(meta))
        _excluded(folder)
        for path in (os.path.join(meta, file) for file in energon.REMADE):
            if os.path.lexists(path) and not _is_of_its_kind(path):
                raise DestinationError(_in_the_way(path))


def refuse_foreign_beside(folder: str, owner: ShardSet, readers: Collection[str]) -> None:
    """Raise DestinationError if what has the name of an index of one of the owner's shards is something else."""
    for path, reader in _beside(folder, owner):
        if reader in readers and not _is_index(path):
            raise DestinationError(_in_the_way(path))


def withdraw(folder: str, owner: ShardSet) -> bool:
    """Remove what the folder's indexes tell of a set whose shards are about to go or to change; whether that was any.

    The folder should be locked. Files of another kind are left alone. Energon's index goes as a whole if it tells of
    the set: it is one table.
    """
    beside = [path for path, _ in _beside(folder, owner) if _is_index(path)]
    for path in beside:
        durable.remove(path)
    told = bool(beside)
    meta = os.path.join(folder, energon.FOLDER)
    listed = (json_at(os.path.join(meta, ".info.json")) or {}).get("shard_counts")
    if isinstance(listed, dict) and any(map(owner.owns, listed)):
        told = True
        for path in (os.path.join(meta, file) for file in energon.REMADE):
            if _is_of_its_kind(path):
                durable.remove(path)
    path = os.path.join(folder, counts.OPENCLIP)
    sizes = json_at(path) or {}
    if counts.is_openclip(sizes) and (left := counts.openclip_without(sizes, owner.owns)) != sizes:
        told = True
        _rewrite(path, counts.openclip(left, ()) if left else b"")
    path = os.path.join(folder, counts.TIMM)
    info = json_at(path) or {}
    if counts.is_timm(info) and (rest := counts.timm_without(info, owner.owns)) != info:
        told = True
        _rewrite(path, counts.timm(rest, {}) if rest != {"splits": {}} else b"")
    return told


def remove_partials(folder: str) -> None:
    """Remove what killed runs, or an interrupt, have left of indexes that were being written. It should be locked."""
    for each in (folder, os.path.join(folder, energon.FOLDER)):
        durable.remove_partials(each, _NAMES)


def _rewrite(path: str, content: bytes) -> None:
    """Replace a file, or remove it if nothing is left to say."""
    if content:
        durable.write_file(path, content, _is_of_its_kind)
    elif _is_of_its_kind(path):
        durable.remove(path)


def _beside(folder: str, owner: ShardSet) -> Iterator[tuple[str, str]]:
    """The files that have the names of indexes of the owner's shards, each with its reader."""
    if os.path.isdir(folder or "."):
        for file in sorted(os.listdir(folder or ".")):
            reader = "energon" if file.endswith(".tar.idx") else "dali"
            shard = file.removesuffix(".idx") + ("" if reader == "energon" else ".tar")
            if file.endswith(".idx") and owner.owns(shard):
                yield os.path.join(folder, file), reader


def _is_index(path: str) -> bool:
    """Whether a file is what DALI or energon reads beside a shard: text that names its version, or offsets from 0."""
    try:
        with open(open_regular(path), "rb") as file:
            head = file.read(8)
            return head.startswith(b"v1.") or (head == bytes(8) and os.fstat(file.fileno()).st_size % 8 == 0)
    except OSError:
        return False


def _is_of_its_kind(path: str) -> bool:
    """Whether a file that tells of all shards is what its name says; energon's are known by their beginnings.

    What energon's dataset.yaml says is people's to choose, so it is never replaced.
    """
    name = os.path.basename(path)
    if name in energon.BEGINNINGS:
        try:
            with open(open_regular(path), "rb") as file:
                return re.match(energon.BEGINNINGS[name], file.read(energon.BEGINNING_BYTES)) is not None
        except OSError:
            return False
    kinds = {counts.TIMM: counts.is_timm, counts.OPENCLIP: counts.is_openclip}
    content = None if name == energon.DATASET else json_at(path)
    return content is not None and kinds.get(name, is_wids)(content)


def _before(path: str, is_of_kind: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """What is in the file that would be replaced, empty if there is none; DestinationError for one of another kind."""
    content = json_at(path)
    if content is not None and is_of_kind(content):
        return content
    if content is None and not os.path.lexists(path):
        return {}
    raise DestinationError(_in_the_way(path))


def _excluded(folder: str) -> list[str]:
    """What people have excluded in energon's split.yaml, which stays so. Raises DestinationError for another file."""
    path = os.path.join(folder, energon.FOLDER, "split.yaml")
    try:
        return energon.excluded_in(text_at(path) or "{}")
    except ValueError as error:
        raise DestinationError(f"{path} is there, and {error}. Mend it, or move it out of the way.") from error


def _with_md5(path: str, manifest: Mapping[str, Any], shards: Iterable[Shard]) -> bytes:
    try:
        return with_md5(manifest, {shard.name: (shard.md5, shard.xxh3_128) for shard in shards})
    except ManifestError as error:
        raise ManifestError(f"{path} {error.args[0]}") from error


def _in_the_way(path: str) -> str:
    return (
        f"{path} is there and is {kind_at(path) or 'something else'}. Nothing is overwritten: move it out of the way."
    )


class _NewTable:
    """Energon's table while it has a temporary name; what is not published goes when it is closed."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, energon.FOLDER, energon.TABLE)
        self._made = durable.make_folder(os.path.dirname(self._path))
        self._descriptor, self._temporary = durable.create(self._path)
        self.content = energon.Table(self._temporary)

    def publish(self) -> str:
        self.content.finish()
        durable.publish(os.dup(self._descriptor), self._temporary, self._path, _is_of_its_kind)
        return self._path

    def close(self) -> None:
        self.content.close()
        durable.discard(self._descriptor, self._temporary)
        durable.remove_folders(self._made)
