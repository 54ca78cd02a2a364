"""Parquet: what each type becomes, and which are refused."""

from __future__ import annotations

import datetime
import decimal
import sys
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder.errors import MissingPackageError, SourceError
from parallel_sharder.sources.table import parquet
from parallel_sharder.sources.table.formats import open_table
from parallel_sharder.sources.table.parquet import ParquetTable
from parallel_sharder.sources.table.table import Choice

pa = pytest.importorskip("pyarrow", reason="the extra `tables` is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="the extra `tables` is not installed")


def table(folder: Path, rows_a_group: int | None = None, **columns: Any) -> ParquetTable:
    pq.write_table(pa.table(columns), folder / "t.parquet", row_group_size=rows_a_group)
    return ParquetTable(str(folder / "t.parquet"))


def texts(folder: Path, cells: Any) -> list[str]:
    made = table(folder, image=["x.jpg"] * len(cells), a=cells)
    return [text for batch in made.batches(Choice("image", in_json=("a",))) for text in batch.texts[0]]


@pytest.mark.parametrize(
    ("kind", "cells", "expected"),
    [
        ("bool_", [True, None], ["true", "null"]),
        ("int8", [-1, None], ["-1", "null"]),
        ("uint64", [(1 << 64) - 1], ["18446744073709551615"]),
        ("float64", [0.1, float("nan"), None], ["0.1", "null", "null"]),
        ("float32", [0.5], ["0.5"]),
        ("string", ['a"\u00e4', None], ['"a\\"\\u00e4"', "null"]),
        ("large_string", ["a"], ['"a"']),
        ("date32", [datetime.date(2024, 2, 29), None], ['"2024-02-29"', "null"]),
        ("null", [None], ["null"]),
    ],
)
def test_plain_types(tmp_path: Path, kind: str, cells: list[Any], expected: list[str]) -> None:
    """They are what JSON has for them; NaN is null."""
    assert expected == texts(tmp_path, pa.array(cells, getattr(pa, kind)()))


def test_times(tmp_path: Path) -> None:
    """They are texts by ISO 8601, with the digits that are there, and in UTC if they have a time zone."""
    ns = pa.array([1_700_000_000_000_000_001, -1, None], pa.timestamp("ns"))
    assert ['"2023-11-14T22:13:20.000000001"', '"1969-12-31T23:59:59.999999999"', "null"] == texts(tmp_path, ns)
    assert ['"2023-11-14T22:13:20Z"'] == texts(tmp_path, pa.array([1_700_000_000], pa.timestamp("s", "Europe/Berlin")))
    assert ['"01:02:03.500"'] == texts(tmp_path, pa.array([3_723_500], pa.time32("ms")))
    with pytest.raises(SourceError, match="rows 1 to 1, column 'a': the time 9000000000000000 lies beyond"):
        texts(tmp_path, pa.array([9_000_000_000_000], pa.timestamp("s")))


def test_decimals_and_dictionaries(tmp_path: Path) -> None:
    """Decimals are texts, which keeps their digits; a dictionary's cells are its values."""
    assert ['"1.50"'] == texts(tmp_path, pa.array([decimal.Decimal("1.50")], pa.decimal128(10, 2)))
    assert ['"b"', '"a"', "null"] == texts(tmp_path, pa.array(["b", "a", None]).dictionary_encode())


def test_lists_and_structs(tmp_path: Path) -> None:
    """They are lists and objects, with null for each NaN in them."""
    cells = pa.array([{"x": [1.5, float("nan")], "d": datetime.date(2024, 1, 2)}, None])
    assert ['{"x": [1.5, null], "d": "2024-01-02"}', "null"] == texts(tmp_path, cells)


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.duration("s"), pa.map_(pa.string(), pa.int8()), pa.list_(pa.timestamp("ns"))]
)
def test_types_that_json_cannot_hold(tmp_path: Path, kind: Any) -> None:
    """They are refused by the column's name, with the remedy."""
    with pytest.raises(SourceError, match=r"column 'a' has the type .*, which JSON cannot hold.*without 'a'"):
        texts(tmp_path, pa.array([None], kind))


def test_an_infinite_number_is_refused(tmp_path: Path) -> None:
    """JSON has no text for it."""
    with pytest.raises(SourceError, match="rows 1 to 2, column 'a': it holds an infinite number"):
        texts(tmp_path, pa.array([1.0, float("-inf")]))


def test_images_within_the_table(tmp_path: Path) -> None:
    """Structs with bytes, as Hugging Face's Image columns become, and bytes hold images; rows have no paths then."""
    made = table(tmp_path, a=[1], image=pa.array([{"bytes": b"x", "path": "a"}]), other=pa.array([b"x"]))
    assert ["image", [False, True, True]] == [
        made.embedded,
        [made.holds_images(name) for name in ("a", "image", "other")],
    ]
    [batch] = made.batches(Choice("image", label="a"))
    assert ([None], [1]) == (batch.images, batch.labels)


def test_several_files(tmp_path: Path) -> None:
    """They are one table; files with other columns are refused."""
    for number in range(3):
        pq.write_table(pa.table({"image": [f"{number}.jpg"], "a": [number]}), tmp_path / f"{number}.parquet")
    made = open_table(f"{tmp_path}/[0-9].parquet", ())
    assert (3, ["0.jpg", "1.jpg", "2.jpg"]) == (
        made.row_count, [name for batch in made.batches(Choice("image")) for name in batch.images]
    )  # fmt: skip
    pq.write_table(pa.table({"image": ["x"], "a": ["text"]}), tmp_path / "4.parquet")
    with pytest.raises(SourceError, match=r"4.parquet has other columns, or columns of other types, than .*0.parquet"):
        open_table(f"{tmp_path}/[0-9].parquet", ())
    with pytest.raises(SourceError, match="matches no file; a pattern of table names the Parquet files"):
        open_table(f"{tmp_path}/x*.parquet", ())
    (tmp_path / "a.csv").touch()
    with pytest.raises(SourceError, match=r"a.csv, and a pattern of table names the Parquet files"):
        open_table(f"{tmp_path}/*", ())


def test_labels(tmp_path: Path) -> None:
    """Whole numbers, texts, and dictionaries of texts are labels; other types are not."""
    made = table(
        tmp_path, a=[3, None, 1], b=["x", "y", ""], c=[1.0, 2.0, None], d=pa.array(["q"] * 3).dictionary_encode()
    )
    assert ({1, 3}, 1, 2) == ((values := made.labels("a")).numbers, values.empty_count, values.first_empty_row)
    assert ({"x", "y"}, 3) == ((values := made.labels("b")).texts, values.first_empty_row)
    assert {"q"} == made.labels("d").texts
    with pytest.raises(SourceError, match="column 'c' has the type double, and labels are whole numbers or texts"):
        made.labels("c")


def test_rows_are_counted_through_all_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch knows the number of its first row."""
    monkeypatch.setattr(parquet, "BATCH_ROWS", 2)
    made = table(tmp_path, image=["a", "b", "c"], id=[1, 2, 3])
    assert [(1, [1, 2]), (3, [3])] == [(each.first, [*each.keys]) for each in made.batches(Choice("image", key="id"))]


@pytest.mark.parametrize(("rows_a_group", "batches"), [(1, [3, 3, 1]), (2, [3, 1, 3]), (7, [3, 3, 1])])
def test_groups_of_rows_are_read_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_a_group: int, batches: list[int]
) -> None:
    """Small groups are read together, so that batches are not small, and all rows are there once."""
    monkeypatch.setattr(parquet, "BATCH_ROWS", 3)
    monkeypatch.setattr(parquet, "_ROWS_AT_A_TIME", 3)
    made = table(tmp_path, rows_a_group, image=[*"abcdefg"])
    found = [[*each.images] for each in made.batches(Choice("image"))]
    assert ([*"abcdefg"], batches) == ([image for images in found for image in images], [*map(len, found)])


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """The file is named."""
    (tmp_path / "t.parquet").write_text("image,label\n")
    with pytest.raises(SourceError, match=r"t\.parquet is no Parquet file that can be read"):
        ParquetTable(str(tmp_path / "t.parquet"))


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'parallel_sharder\[tables\]'"):
        ParquetTable(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize("serves", ["caption", "key", "label", "a"])
def test_a_text_that_is_no_utf8_is_named(tmp_path: Path, serves: str) -> None:
    """Whatever its column serves for: the column and the rows are in the message."""
    buffers = [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    columns = {"image": ["x.jpg"], serves: pa.Array.from_buffers(pa.string(), 1, buffers)}
    made = table(tmp_path, **columns)
    of = {serves: serves} if serves != "a" else {}
    choice = Choice("image", of.get("label", ""), of.get("caption", ""), of.get("key", ""), () if of else ("a",))
    with pytest.raises(SourceError, match=f"rows 1 to 1, column '{serves}'.*utf-8"):
        list(made.batches(choice))


def test_a_label_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    """It is found before the rows are read."""
    buffers = [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    made = table(tmp_path, a=pa.Array.from_buffers(pa.string(), 1, buffers))
    with pytest.raises(SourceError, match="rows 1 to 1, column 'a'"):
        made.labels("a")


def test_a_date_that_iso_8601_cannot_write_is_named(tmp_path: Path) -> None:
    """A date beyond the year 9999 is no traceback."""
    with pytest.raises(SourceError, match="column 'a': date value out of range"):
        texts(tmp_path, pa.array([10**7], pa.date32()))
