"""Megatron-Energon's index of a folder: a table of all samples and members, and an offset for each sample.

    x-000000.tar.idx           native uint64: where each sample begins, and where the last one ends
    .nv-meta/index.sqlite      the tables samples and sample_parts
    .nv-meta/.info.json        the counts of the shards; their order is that of tar_file_id
    .nv-meta/split.yaml        which shards belong to which split
    .nv-meta/dataset.yaml      what the samples are; only for the fields of this tool, and only if there is none
    .nv-meta/index.uuid        another one whenever the table is another

Source: flavors/webdataset/prepare.py, indexing.py and itar.py of megatron-energon, version VERSION, whose `energon
prepare` writes the same.
"""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count, pairwise
from typing import NamedTuple

import xxhash

from parallel_sharder.destination import braces, shard_name
from parallel_sharder.indexes import Shard, members
from parallel_sharder.indexes.members import Columns
from parallel_sharder.yamltext import from_yaml, to_yaml

FOLDER = ".nv-meta"
TABLE = "index.sqlite"
DATASET = "dataset.yaml"
REMADE = (TABLE, "index.uuid", ".info.json", "split.yaml")
"""What `energon prepare` makes anew whenever shards have changed."""

BEGINNINGS = {
    TABLE: rb"SQLite format 3\0",
    "index.uuid": rb"[0-9a-fA-F-]{32,36}\s*$",
    ".info.json": rb'(?s)\s*\{.*"shard_counts"',
    "split.yaml": rb"(?s)\s*$|(.*\n)?(split_parts|exclude):",
}
"""By what the first BEGINNING_BYTES of each of REMADE can be told from another file of that name."""

BEGINNING_BYTES = 65_536

VERSION = "7.4.1"

DATASET_YAML = b"""\
sample_type:
  __module__: megatron.energon
  __class__: ImageClassificationSample
field_map:
  image: jpg
  label: cls
  label_name: json[cname]
"""

CACHE_KB = 32_000
"""Of the table in memory while it is filled. SQLite's usual 2 MB take a quarter more time; 64 MB are not faster."""

_SPLITS = ("train", "val", "test")
_IS_META = re.compile(r"__[^/]*__($|/)")

_TABLES = """
CREATE TABLE samples (tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE, sample_index INTEGER NOT NULL,
    byte_offset INTEGER, byte_size INTEGER);
CREATE TABLE sample_parts (tar_file_id INTEGER, sample_index INTEGER, part_name TEXT, content_byte_offset INTEGER,
    content_byte_size INTEGER);
"""
_INDEXES = """
CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index);
CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset);
CREATE INDEX idx_sample_parts_full ON sample_parts(tar_file_id, sample_index, part_name, content_byte_offset,
    content_byte_size);
"""


def index_path(shard_path: str) -> str:
    """Where the offsets of a shard's samples go: beside it."""
    return shard_path + ".idx"


class Rows(NamedTuple):
    """What a shard adds to the tables, as columns; `fields` are those of its first sample.

    Sample i begins at `starts[i]` and ends at `starts[i + 1]`. The parts are the members: the number of the sample, the
    field's name, and offset and size of the data.
    """

    fields: tuple[str, ...]
    keys: list[str]
    starts: list[int]
    part_samples: list[int]
    part_names: list[str]
    part_offsets: list[int]
    part_sizes: list[int]

    @property
    def digest(self) -> bytes:
        """A digest of the rows."""
        digest = xxhash.xxh3_128()
        for names in (self.keys, self.part_names):
            digest.update("\n".join(names).encode())
        for places in (self.starts, self.part_samples, self.part_offsets, self.part_sizes):
            digest.update(array("Q", places).tobytes())
        return digest.digest()

    @property
    def offsets(self) -> bytes:
        """The content of the shard's own index."""
        return array("Q", self.starts).tobytes()


def key_end(name: str) -> int | None:
    """The rule of energon: as webdataset's, but `__meta__/` and the like belong to no sample."""
    return None if _IS_META.match(name) else members.key_end(name)


def rows_of(samples: Sequence[Columns]) -> Rows:
    """The rows of the shard with these samples, in their order.

    Raises ValueError if there is no sample, and for a name that the table cannot hold.
    """
    if not samples:
        raise ValueError("holds no sample, and energon refuses an empty shard")
    rows = Rows(samples[0].fields, [], [], [], [], [], [])
    for columns in samples:
        numbers = range(len(rows.keys), len(rows.keys) + len(columns.keys))
        width = range(len(columns.fields))
        rows.keys.extend(columns.keys)
        rows.starts.extend(columns.starts)
        rows.part_samples.extend([number for number in numbers for _ in width])
        rows.part_names.extend([*columns.fields] * len(numbers))
        rows.part_offsets.extend(chain.from_iterable(zip(*columns.data, strict=True)))
        rows.part_sizes.extend(chain.from_iterable(zip(*columns.sizes, strict=True)))
    rows.starts.append(samples[-1].end)
    _refuse_unfit([*rows.keys, *(field for columns in samples for field in columns.fields)])
    return rows


def _refuse_unfit(names: Sequence[str]) -> None:
    """Raise ValueError for a name that is no UTF-8."""
    if "".join(names).isascii():
        return
    for name in names:
        if re.search("[\ud800-\udfff]", name):
            raise ValueError(f"holds {name!r}, which is no UTF-8, and energon's table is in UTF-8")


class Table:
    """The database at `path`, an empty file, while it is filled."""

    def __init__(self, path: str) -> None:
        # What a crash leaves is a temporary file that nobody reads; the finished one is synced by whoever publishes it.
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KB}; {_TABLES} BEGIN;"
        )

    def add(self, tar_file_id: int, rows: Rows) -> str | None:
        """Add the rows of a shard; the key that is there already, if one is."""
        spans = [end - start for start, end in pairwise(rows.starts)]
        try:
            self._database.executemany(
                f"INSERT INTO samples VALUES ({tar_file_id:d}, ?, ?, ?, ?)",  # noqa: S608
                zip(rows.keys, count(), rows.starts, spans, strict=False),
            )
        except sqlite3.IntegrityError:
            others = self._database.execute("SELECT sample_key FROM samples WHERE tar_file_id != ?", (tar_file_id,))
            seen = {key for (key,) in others}
            for key in rows.keys:
                if key in seen:
                    return key
                seen.add(key)
            raise
        self._database.executemany(
            f"INSERT INTO sample_parts VALUES ({tar_file_id:d}, ?, ?, ?, ?)",  # noqa: S608
            zip(rows.part_samples, rows.part_names, rows.part_offsets, rows.part_sizes, strict=True),
        )
        return None

    def finish(self) -> None:
        """Make the indexes, and close."""
        self._database.execute("COMMIT")
        self._database.executescript(_INDEXES)
        self.close()

    def close(self) -> None:
        """Close, finished or not."""
        self._database.close()


def info(shards: Sequence[Shard]) -> bytes:
    """`.info.json` of these shards, in the order of their tar_file_id."""
    content = {"energon_version": VERSION, "shard_counts": {shard.name: shard.samples for shard in shards}}
    return json.dumps(content, indent=2).encode("ascii")


def excluded_in(text: str) -> list[str]:
    """What a `split.yaml` excludes. Raises ValueError, which says why, for text that is none."""
    content = from_yaml(text)
    excluded = (content.get("exclude") or []) if isinstance(content, dict) else None
    if not isinstance(excluded, list) or not all(isinstance(each, str) for each in excluded):
        raise ValueError("it has no list of names under exclude")
    return excluded


def split_yaml(splits: Mapping[str, Sequence[Shard]], excluded: Sequence[str] = ()) -> bytes:
    """`split.yaml`: the shards of each split, as one brace pattern where their numbers have no gaps; what is excluded.

    Train, val and test are always there, because energon's lint asks for them.
    """
    names = dict.fromkeys((*_SPLITS, *sorted(splits)))
    parts = {name: _collapsed([shard.name for shard in splits.get(name, ())]) for name in names}
    return to_yaml({"split_parts": parts, "exclude": [*excluded]}).encode("ascii")


def _collapsed(names: Sequence[str]) -> list[str]:
    """Names as energon expands them: braces and backslashes that are their own have a backslash before them."""
    literal = [re.sub(r"([\\{}])", r"\\\1", name) for name in names]
    first = shard_name(names[0]) if names else None
    if first is None:
        return literal
    numbers = range(int(first.number), int(first.number) + len(names))
    expected = [f"{first.prefix}{number:0{len(first.number)}d}{first.suffix}" for number in numbers]
    return [braces(literal)] if expected == [*names] else literal


def uuid_of(digests: Iterable[bytes]) -> bytes:
    """`index.uuid` of an index that was made of shards whose rows have these digests."""
    digest = xxhash.xxh3_128()
    for each in digests:
        digest.update(each)
    return str(uuid.UUID(bytes=digest.digest(), version=4)).encode("ascii")
