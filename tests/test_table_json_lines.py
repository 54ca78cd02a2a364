"""JSON lines: rows with their types, and lines that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table import json_lines
from parallel_sharder.sources.table.json_lines import JsonLinesTable
from parallel_sharder.sources.table.table import Choice


def table(folder: Path, content: str | bytes) -> JsonLinesTable:
    path = folder / "t.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return JsonLinesTable(str(path), ("label",))


def test_values_keep_their_types(tmp_path: Path) -> None:
    """Text, numbers, lists and objects are written as json.dumps writes them; NaN is null, at any depth."""
    made = table(
        tmp_path, '{"image": "a", "x": [1, NaN, {"b": true}], "y": 1.0}\n{"image": "b", "x": "\u00e4", "y": 2}\n'
    )
    (batch,) = made.batches(Choice("image", in_json=("x", "y")))
    assert [['[1, null, {"b": true}]', r'"\u00e4"'], ["1.0", "2"]] == [[*each] for each in batch.texts]


def test_columns_are_those_of_all_rows(tmp_path: Path) -> None:
    """A row that lacks one has null there; a blank line is no row."""
    made = table(tmp_path, '\ufeff{"image": "a", "x": 1}\n\n{"y": 2, "image": "b"}\n')
    (batch,) = made.batches(Choice("image", in_json=("x", "y")))
    assert ("image", "x", "y") == made.columns
    assert [["1", "null"], ["null", "2"]] == [[*each] for each in batch.texts]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"image": "a"}\n{"image": \n', "line 2 is no JSON object: Expecting value"),
        ('{"image": "a"}\n[1]\n', r"line 2 is no JSON object: it is '\[1\]'"),
        ('[{"image": "a"}\n', "jq -c"),
        ('{"image": "a", "image": "b"}\n', "the name 'image' is there twice"),
        (b'{"image": "\xe4"}\n', "line 1 is not text in UTF-8"),
        ("[" * 100_000 + "\n", "nested too deeply"),
        ("\n", "is empty. Each of its lines"),
    ],
)
def test_bad_lines_are_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    """The message has the line, and what is wrong there."""
    with pytest.raises(SourceError, match=message):
        table(tmp_path, content)


@pytest.mark.parametrize(
    ("row", "choice", "message"),
    [
        ('{"image": 7}', Choice("image"), "row 1, column 'image': 7 is not a text"),
        ('{"image": "a", "id": 1.5}', Choice("image", key="id"), "row 1, column 'id': 1.5 is not a text or a whole"),
        ('{"image": "a", "x": 1e999}', Choice("image", in_json=("x",)), "row 1, column 'x': it holds an infinite"),
    ],
)
def test_bad_cells_are_refused(tmp_path: Path, row: str, choice: Choice, message: str) -> None:
    """The message has the row and the column."""
    with pytest.raises(SourceError, match=message):
        [*table(tmp_path, row).batches(choice)]


def test_labels(tmp_path: Path) -> None:
    """They are whole numbers or texts, and an error only if the column is asked for."""
    assert {1, 5} == table(tmp_path, '{"label": 1}\n{"label": 5}\n').labels("label").numbers
    values = table(tmp_path, '{"label": "a"}\n{"label": null}\n{"image": "b"}\n{"label": ""}\n').labels("label")
    assert ({"a"}, 3, 2) == (values.texts, values.empty_count, values.first_empty_row)
    with pytest.raises(SourceError, match="row 2, column 'label': true is not a text or a whole number"):
        table(tmp_path, '{"label": 1}\n{"label": true}\n').labels("label")
    with pytest.raises(SourceError, match="some labels are numbers, such as 1, and some are texts, such as 'x'"):
        table(tmp_path, '{"label": 1}\n{"label": "x"}\n').labels("label")


def test_rows_are_counted_through_all_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch knows the number of its first row."""
    monkeypatch.setattr(json_lines, "BATCH_ROWS", 2)
    made = table(tmp_path, "".join(f'{{"image": "{number}"}}\n' for number in range(5)))
    assert [1, 3, 5] == [batch.first for batch in made.batches(Choice("image"))]
