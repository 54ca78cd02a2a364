"""Energon's table: the rows of a shard, and the SQLite file that holds those of all shards."""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

import pytest

from parallel_sharder.indexes.energon_table import Rows, Table, key_end, rows_of
from parallel_sharder.indexes.member_places import ShardMembers
from parallel_sharder.tar.member_header import TarMember


def rows(*names: str) -> Rows:
    """The rows of a shard with these members, of 10 bytes each."""
    members = [TarMember(name, 1024 * number, 1024 * number + 512, 10) for number, name in enumerate(names)]
    return rows_of(ShardMembers.of_headers(members).samples(key_end))


def test_rows_say_where_samples_and_parts_are() -> None:
    """A sample begins with its first header and ends where the next begins; a part is its data."""
    found = rows("a.cls", "a.jpg", "b.cls", "b.jpg")
    assert (["a", "b"], [0, 2048, 4096]) == (found.keys, found.starts)
    assert [(0, "cls", 512, 10), (0, "jpg", 1536, 10), (1, "cls", 2560, 10), (1, "jpg", 3584, 10)] == [
        *zip(found.part_samples, found.part_names, found.part_offsets, found.part_sizes, strict=True)
    ]
    assert (0, 2048, 4096) == struct.unpack("3Q", found.offsets)


def test_other_rows_have_another_digest() -> None:
    """The same ones have the same."""
    assert rows("a.cls").digest == rows("a.cls").digest
    assert 3 == len({rows(name).digest for name in ("a.cls", "b.cls", "a.jpg")})


def test_shards_that_energon_refuses() -> None:
    """One without a sample, and one with a name that is no UTF-8."""
    with pytest.raises(ValueError, match="holds no sample"):
        rows("README")
    with pytest.raises(ValueError, match="which is no UTF-8"):
        rows("\udcff.jpg")


def test_the_finished_table_has_all_rows(tmp_path: Path) -> None:
    """Nothing has its name before, and nothing is left beside it."""
    path = tmp_path / "index.sqlite"
    table = Table(str(path))
    assert table.add(0, rows("a.jpg", "b.jpg")) is None
    assert table.add(1, rows("c.jpg")) is None
    assert not path.exists()
    table.finish(lambda _: False)
    database = sqlite3.connect(path)
    assert [(0, "a", 0, 0, 1024), (0, "b", 1, 1024, 1024), (1, "c", 0, 0, 1024)] == [
        *database.execute("SELECT * FROM samples ORDER BY sample_key")
    ]
    assert [(3,)] == [*database.execute("SELECT COUNT(*) FROM sample_parts")]
    database.close()
    assert ["index.sqlite"] == os.listdir(tmp_path)


def test_a_key_that_is_there_already_is_named(tmp_path: Path) -> None:
    """In another shard, or twice in one; the table that is closed is removed."""
    table = Table(str(tmp_path / "index.sqlite"))
    table.add(0, rows("a.jpg", "b.jpg"))
    assert "b" == table.add(1, rows("c.jpg", "b.jpg"))
    assert "d" == table.add(2, rows("d.jpg", "e.jpg", "d.jpg"))
    table.close()
    assert [] == os.listdir(tmp_path)
