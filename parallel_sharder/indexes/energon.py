"""Megatron-Energon's index of a folder: a table of all samples and members, and offsets beside each shard.

    x-000000.tar.idx           native uint64: where each sample begins, and where the last one ends
    .nv-meta/index.sqlite      the tables samples and sample_parts
    .nv-meta/.info.json        the count of samples of each shard, in the order of tar_file_id
    .nv-meta/split.yaml        which shards belong to which split
    .nv-meta/dataset.yaml      what the samples are, if their fields say it; written if the file is missing
    .nv-meta/index.uuid        a digest of the table

Source: flavors/webdataset/prepare.py, indexing.py and itar.py of megatron-energon, version VERSION, whose `energon
prepare` writes the same.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xxhash

from parallel_sharder.catalog.sets import json_at
from parallel_sharder.catalog.yamltext import from_yaml, to_yaml
from parallel_sharder.destination import readable_text
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.energon_fields import ShardFields, dataset_of, fields_in, fields_lacking, is_word_lacking
from parallel_sharder.indexes.energon_table import Rows, Table, key_end, rows_of
from parallel_sharder.indexes.member_places import ShardMembers
from parallel_sharder.indexes.reader_index import ReaderIndex, in_the_way, is_shard_index
from parallel_sharder.indexes.shard_sets import ShardSet
from parallel_sharder.pattern import braces, shard_name
from parallel_sharder.stores import store_of

FOLDER = ".nv-meta"
TABLE = "index.sqlite"
DATASET = "dataset.yaml"
BEGINNINGS = {
    TABLE: rb"SQLite format 3\0",
    "index.uuid": rb"[0-9a-fA-F-]{32,36}\s*$",
    ".info.json": rb'(?s)\s*\{.*"shard_counts"',
    "split.yaml": rb"(?s)\s*$|(.*\n)?(split_parts|exclude):",
}
"""Regular expressions that the first BEGINNING_BYTES of energon's own files match, by the file's name."""

REMADE = tuple(BEGINNINGS)
"""The files that `energon prepare` makes anew when shards have changed."""

BEGINNING_BYTES = 65_536

VERSION = "7.4.1"

_SPLITS = ("train", "val", "test")


class Energon(ReaderIndex):
    """Energon's index: offsets beside each shard, and the files in the folder `.nv-meta`."""

    reader = "energon"
    seeks = True
    lists_samples = True
    file_names = "|".join([r".*\.idx", *map(re.escape, (*REMADE, DATASET))])

    def __init__(self, folder: str, sets: Sequence[ShardSet]) -> None:
        super().__init__(folder, sets)
        self._meta = os.path.join(folder, FOLDER)
        self._names = [name for each in sets for name in each.names]
        self._table: Table | None = None
        self._fields: list[ShardFields] = []
        self._notices: list[str] = []
        self._digests: list[bytes] = []
        # Rows wait here, by the shard's number, for their turn: the table's bytes depend on the order of the shards.
        self._waiting: dict[int, tuple[Rows, ShardFields]] = {}

    @staticmethod
    def index_path(shard_path: str) -> str:
        """Return the path of the offsets of a shard's samples, which lie beside the shard."""
        return shard_path + ".idx"

    @staticmethod
    def shard_of(index_name: str) -> str | None:
        """Return the name of the index's shard, which lacks `.idx`."""
        return index_name.removesuffix(".idx") if index_name.endswith(".tar.idx") else None

    @classmethod
    def index_shard(cls, path: str, members: ShardMembers) -> tuple[Rows, ShardFields]:
        """Write the offsets beside the shard. Return the rows that the shard adds to the table, and its fields."""
        samples = members.samples(key_end)
        rows = rows_of(samples)
        store_of(path).put(cls.index_path(path), rows.offsets, is_shard_index)
        return rows, fields_in(path, samples)

    @classmethod
    def remove_partials(cls, folder: str) -> None:
        """Remove the partial files in the folder and in its `.nv-meta`."""
        super().remove_partials(folder)
        super().remove_partials(os.path.join(folder, FOLDER))

    def refuse(self) -> None:
        """Raise DestinationError if `.nv-meta` is no folder, or a file in it is not of energon's kind."""
        store = store_of(self._meta)
        if store.exists(self._meta) and not store.is_folder(self._meta):
            raise in_the_way(self._meta)
        self._excluded()
        for path in self._remade():
            if store.exists(path) and not self.is_own(path):
                raise in_the_way(path)

    def withdraw(self) -> bool:
        """Remove the whole index if it lists a shard of the sets, because the table has all shards.

        Returns whether anything was removed. dataset.yaml stays.
        """
        withdrawn = super().withdraw()
        listed = (json_at(os.path.join(self._meta, ".info.json")) or {}).get("shard_counts")
        if not isinstance(listed, dict) or not any(map(self._owns, listed)):
            return withdrawn
        for path in self._remade():
            if self.is_own(path):
                store_of(path).remove(path)
        return True

    def begin(self) -> None:
        """Begin the table."""
        self._table = Table(os.path.join(self._meta, TABLE))

    def add(self, number: int, shard: Shard, found: Any) -> None:
        """Put the shard's rows into the table, or keep them until the rows of all shards before it are there.

        Raises SourceError if a key occurs twice in the folder, because energon wants unique keys.
        """
        assert self._table is not None  # noqa: S101 - begin was called
        self._waiting[number] = found
        while (number := len(self._digests)) in self._waiting:
            rows, fields = self._waiting.pop(number)
            twice = self._table.add(number, rows)
            if twice is not None:
                raise SourceError(
                    f"{os.path.join(self._folder, self._names[number])} has the sample {twice}, which is there twice. "
                    "energon wants unique keys in a folder: give each set a folder of its own, or leave energon out."
                )
            self._fields.append(fields)
            self._digests.append(rows.digest)

    def contents(self, shards: Mapping[str, Sequence[Shard]]) -> dict[str, bytes]:
        """Return the content of each file but the table; dataset.yaml only if it is missing and the fields say it."""
        ordered = [shard for some in shards.values() for shard in some]
        files = {
            ".info.json": info(ordered),
            "split.yaml": split_yaml(self._by_split(shards), self._excluded()),
            "index.uuid": uuid_of(self._digests),
        }
        dataset = self._dataset()
        if dataset is not None:
            files[DATASET] = dataset
        return {os.path.join(self._meta, name): content for name, content in files.items()}

    def _dataset(self) -> bytes | None:
        """Return the content of dataset.yaml if the file is to be written; a notice says what its user must do.

        A file that exists may have been changed by its user, and stays.
        """
        path, wanted = os.path.join(self._meta, DATASET), dataset_of(self._fields)
        if not store_of(path).exists(path):
            if wanted is None:
                self._notices.append(
                    f"{path} is not written, because no sample has one image and a label (cls) or a caption (txt). "
                    "Write it yourself: energon reads no samples without it."
                )
            elif is_word_lacking(self._fields, wanted.word):
                self._notices.append(
                    f"{path} names the field {wanted.word}, which some samples lack, and energon cannot read these. "
                    "Change the file if they are wanted."
                )
            return wanted.yaml() if wanted else None
        lacking = fields_lacking(readable_text(path) or "", wanted.images) if wanted else []
        if lacking:
            self._notices.append(
                f"{path} is there and stays, but does not name the images' fields {', '.join(lacking)}, so energon "
                "leaves out their samples. Add them to image in its field_map, or remove the file and type the same "
                "command again."
            )
        return None

    @property
    def notices(self) -> Sequence[str]:
        """As ReaderIndex says."""
        return self._notices

    def write_large(self) -> list[str]:
        """Write the table."""
        assert self._table is not None  # noqa: S101 - begin was called
        assert not self._waiting  # noqa: S101 - each shard was added
        self._table.finish(self.is_own)
        return [os.path.join(self._meta, TABLE)]

    def close(self) -> None:
        """Remove the table if it is not finished."""
        if self._table is not None:
            self._table.close()

    @classmethod
    def is_own(cls, path: str) -> bool:
        """Return whether the file begins as energon's file of this name does.

        dataset.yaml belongs to its user, and is never replaced.
        """
        beginning = BEGINNINGS.get(os.path.basename(path))
        if beginning is None:
            return False
        try:
            with store_of(path).open(path) as file:
                return re.match(beginning, file.read(BEGINNING_BYTES)) is not None
        except OSError:
            return False

    def _remade(self) -> list[str]:
        return [os.path.join(self._meta, name) for name in REMADE]

    def _excluded(self) -> list[str]:
        """Return the names that split.yaml excludes, and that the new one will exclude too.

        Raises DestinationError if the file is no split.yaml.
        """
        path = os.path.join(self._meta, "split.yaml")
        try:
            return excluded_in(readable_text(path) or "{}")
        except ValueError as error:
            raise DestinationError(f"{path} is there, and {error}. Mend it, or move it out of the way.") from error


def info(shards: Sequence[Shard]) -> bytes:
    """Return the `.info.json` of these shards, which are in the order of their tar_file_id."""
    content = {"energon_version": VERSION, "shard_counts": {shard.name: shard.samples for shard in shards}}
    return json.dumps(content, indent=2).encode("ascii")


def excluded_in(text: str) -> list[str]:
    """Return the names that a `split.yaml` excludes. Raises ValueError with the reason if `text` is no split.yaml."""
    content = from_yaml(text)
    excluded = (content.get("exclude") or []) if isinstance(content, dict) else None
    if not isinstance(excluded, list) or not all(isinstance(each, str) for each in excluded):
        raise ValueError("it has no list of names under exclude")
    return excluded


def split_yaml(splits: Mapping[str, Sequence[Shard]], excluded: Sequence[str] = ()) -> bytes:
    """Return the `split.yaml` that lists the shards of each split and the `excluded` names.

    Shards whose numbers have no gaps are listed as one brace pattern. Train, val and test are always listed, because
    energon's lint asks for them.
    """
    names = dict.fromkeys((*_SPLITS, *sorted(splits)))
    parts = {name: _collapsed([shard.name for shard in splits.get(name, ())]) for name in names}
    return to_yaml({"split_parts": parts, "exclude": [*excluded]}).encode("ascii")


def _collapsed(names: Sequence[str]) -> list[str]:
    """Return the names as patterns that energon expands: a backslash stands before their braces and backslashes."""
    literal = [re.sub(r"([\\{}])", r"\\\1", name) for name in names]
    first = shard_name(names[0]) if names else None
    if first is None:
        return literal
    numbers = range(int(first.number), int(first.number) + len(names))
    expected = [f"{first.prefix}{number:0{len(first.number)}d}{first.suffix}" for number in numbers]
    return [braces(literal)] if expected == [*names] else literal


def uuid_of(digests: Iterable[bytes]) -> bytes:
    """Return the `index.uuid` of an index whose shards have rows with these digests."""
    digest = xxhash.xxh3_128()
    for each in digests:
        digest.update(each)
    return str(uuid.UUID(bytes=digest.digest(), version=4)).encode("ascii")
