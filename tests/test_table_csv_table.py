"""CSV and TSV: cells become text or numbers by the column, and rows that would lose something are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table import csv_table
from parallel_sharder.sources.table.csv_table import CsvTable
from parallel_sharder.sources.table.table import Batch, Choice


def table(folder: Path, content: str | bytes, name: str = "t.csv") -> CsvTable:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return CsvTable(str(path), ("label",))


def batches(made: CsvTable, *in_json: str) -> list[Batch]:
    label = "label" if "label" in made.columns else ""
    return [*made.batches(Choice(made.columns[0], label, in_json=in_json))]


def texts(made: CsvTable, column: str) -> list[str]:
    return [text for batch in batches(made, column) for text in batch.texts[0]]


def test_numbers_are_a_column_of_nothing_else(tmp_path: Path) -> None:
    """They can be whole or not; 007 makes a column text, and an empty cell is null in both."""
    made = table(tmp_path, "image,a,b\nx.jpg,1.5,007\ny.jpg,,7\nz.jpg,-2,\n")
    assert ["1.5", "null", "-2"] == texts(made, "a")
    assert ['"007"', '"7"', "null"] == texts(made, "b")


def test_nan_is_null_among_numbers_and_text_among_texts(tmp_path: Path) -> None:
    """Pandas writes it for what is missing."""
    made = table(tmp_path, "image,a,b\nx.jpg,1,NaN\ny.jpg,nan,word\n")
    assert ["1", "null"] == texts(made, "a")
    assert ['"NaN"', '"word"'] == texts(made, "b")


@pytest.mark.parametrize(
    "cell",
    [
        "01",
        "+1",
        "1.",
        ".5",
        "1e999",
        "9223372036854775808",
        "1.50",
        "-0",
        "1e300",
        "0x1",
        " 1",
        "1 ",
        "1_000",
        "Infinity",
        "१",
    ],
)
def test_what_json_does_not_write_is_text(tmp_path: Path, cell: str) -> None:
    """So is a number whose digits readers of JSON would lose."""
    assert '"' == texts(table(tmp_path, f"image,a\nx.jpg,{cell}\n"), "a")[0][0]


def test_numbers_that_stay_text_are_told(tmp_path: Path) -> None:
    """Other tools write numbers in other forms, and one of these makes a column text."""
    made = table(tmp_path, "image,a,b,c\nx.jpg,1.5,1.5,2\ny.jpg,0.00001,word,3\n")
    assert ['"1.5"', '"0.00001"'] == texts(made, "a")
    (notice,) = made.notices
    assert notice.startswith("The column a is text in the JSON: some of its numbers, such as 0.00001,")


@pytest.mark.parametrize("cell", ["0", "-7", "9223372036854775807", "1e+300", "1.25e-07", "-0.0", "0.1"])
def test_what_json_writes_is_a_number(tmp_path: Path, cell: str) -> None:
    """It stands in the JSON as in the cell, and readers who write it again write the same."""
    assert cell == json.dumps(json.loads(cell))
    assert [cell] == texts(table(tmp_path, f"image,a\nx.jpg,{cell}\n"), "a")


def test_cells_hold_anything_in_quotes(tmp_path: Path) -> None:
    """Delimiters, quotes and line ends are text; a byte order mark and blank lines are nothing."""
    made = table(tmp_path, b'\xef\xbb\xbfimage,a\r\n"x,1.jpg","5"" wide\r\nand high"\r\n\r\ny.jpg,z\r\n')
    (batch,) = batches(made, "a")
    assert (["x,1.jpg", "y.jpg"], [r'"5\" wide\r\nand high"', '"z"']) == (batch.images, [*batch.texts[0]])


@pytest.mark.parametrize(
    ("name", "content", "format_name"),
    [
        ("t.csv", "image,a\n", "CSV"),
        ("t.csv", "image;a\n", "CSV with a semicolon between cells"),
        ("t.csv", '"im,age"|a\n', "CSV with a bar between cells"),
        ("t.tsv", "image\ta;b\n", "TSV"),
    ],
)
def test_the_delimiter_is_found_in_the_first_line(tmp_path: Path, name: str, content: str, format_name: str) -> None:
    """A comma that is quoted divides nothing."""
    assert (format_name, 2) == ((made := table(tmp_path, content, name)).format, len(made.columns))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,a\nx.jpg,1\ny.jpg\n", r"row 2 \(line 3\) has 1 cell, and the table has 2 columns"),
        ("image,a\nx.jpg,1,2\n", r"row 1 \(line 2\) has 3 cells"),
        ('image,a\nx.jpg,"a"b\n', "row that ends in line 2 cannot be read: ',' expected after '\"'"),
        ('image,a\nx.jpg,"a\n', "cannot be read: unexpected end of data"),
        (b"image,a\nx.jpg,\xe4\n", "line 2 is not text in UTF-8"),
        ("image,a\n".encode("utf-16"), "UTF-16. Convert it"),
        ("", "is empty. Its first row names the columns"),
        ("image,a,a\n", "the column 'a' is there twice"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    """The message has the line, and what is wrong there."""
    with pytest.raises(SourceError, match=message):
        table(tmp_path, content)


def test_labels(tmp_path: Path) -> None:
    """Whole numbers are numbers, but for those with zeros in front; empty cells are counted, with the first row."""
    assert {3, 12} == table(tmp_path, "image,label\na,3\nb,12\nc,3\n").labels("label").numbers
    assert {"03", "12"} == table(tmp_path, "image,label\na,03\nb,12\n").labels("label").texts
    values = table(tmp_path, "image,label\na,x\nb,\nc,\n").labels("label")
    assert ({"x"}, 2, 2) == (values.texts, values.empty_count, values.first_empty_row)
    with pytest.raises(SourceError, match=r"1\.5 is no label"):
        table(tmp_path, "image,label\na,1\nb,1.5\n").labels("label")


def test_rows_are_counted_through_all_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch knows the number of its first row, and columns are of one type in all of them."""
    monkeypatch.setattr(csv_table, "BATCH_ROWS", 2)
    made = table(tmp_path, "image,label,a\nv,1,1\n\nw,2,2\nx,3,3\ny,4,x\nz,5,5\n")
    assert [(1, [1, 2]), (3, [3, 4]), (5, [5])] == [(each.first, [*each.labels]) for each in batches(made)]
    assert ['"1"', '"2"', '"3"', '"x"', '"5"'] == texts(made, "a")


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    """Captions can be longer than Python's own limit of 131,072 characters."""
    path = tmp_path / "t.csv"
    path.write_text(f"image,text\na.jpg,{'w' * 200_000}\n")
    batches = [*CsvTable(str(path), ()).batches(Choice("image", caption="text"))]
    assert [["w" * 200_000]] == [batch.captions for batch in batches]
