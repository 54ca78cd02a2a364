"""The table of energon's index: the rows that a shard adds, and the SQLite file that they are put into.

Source: flavors/webdataset/indexing.py and itar.py of megatron-energon.
"""

from __future__ import annotations

import re
import sqlite3
from array import array
from collections.abc import Callable, Sequence
from itertools import chain, count, pairwise
from typing import NamedTuple

import xxhash

from parallel_sharder.indexes import member_places
from parallel_sharder.indexes.member_places import Columns
from parallel_sharder.stores import store_of

CACHE_KB = 32_000
"""SQLite's cache while the table is filled. Its usual 2 MB make that a quarter slower; 64 MB are not faster."""

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


class Rows(NamedTuple):
    """The rows that a shard adds to the tables, as columns.

    Sample i begins at `starts[i]` and ends at `starts[i + 1]`. A part is a member: `part_samples` has the number of its
    sample, `part_names` the field's name, and `part_offsets` and `part_sizes` offset and size of its data.
    """

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
        """The content of the index that lies beside the shard."""
        return array("Q", self.starts).tobytes()


def key_end(name: str) -> int | None:
    """Return where the key ends by energon's rule: webdataset's, but `__meta__/` and the like belong to no sample."""
    return None if _IS_META.match(name) else member_places.key_end(name)


def rows_of(samples: Sequence[Columns]) -> Rows:
    """Return the rows of a shard that holds these samples in this order.

    Raises ValueError if there is no sample, and for a name that the table cannot hold.
    """
    if not samples:
        raise ValueError("holds no sample, and energon refuses an empty shard")
    rows = Rows([], [], [], [], [], [])
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
    """Raise ValueError for a name that is not valid UTF-8."""
    if "".join(names).isascii():
        return
    for name in names:
        if re.search("[\ud800-\udfff]", name):
            raise ValueError(f"holds {name!r}, which is no UTF-8, and energon's table is in UTF-8")


class Table:
    """The table at `path`, which is filled under a temporary name; `close` removes it unless it was finished."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = store_of(path).build(path)
        # A crash leaves a temporary file that nobody reads, so SQLite need not sync; `finish` syncs the whole file.
        try:
            self._database = sqlite3.connect(self._file.local_path, isolation_level=None)
            self._database.executescript(
                f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KB};"
                f" {_TABLES} BEGIN;"
            )
        except BaseException:
            self._file.abort()
            raise

    def add(self, tar_file_id: int, rows: Rows) -> str | None:
        """Add the rows of a shard. Return the first key that the table has already, or None if all keys are new."""
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

    def finish(self, is_own: Callable[[str], bool]) -> None:
        """Make the table's indexes and give the file its name; `is_own` says of an old file if it is replaced."""
        self._database.execute("COMMIT")
        self._database.executescript(_INDEXES)
        self._database.close()
        self._file.finish(is_own)

    def close(self) -> None:
        """Close the table, and remove it if it is not finished."""
        self._database.close()
        self._file.abort()
