"""JSON lines as a Table: each line is an object, whose names are the columns.

Two passes read the file in bounded memory, the first to find the columns of all rows, in the order in which they first
occur. A row that lacks a column has null there, so that all samples have the same names. Values keep their types; NaN
becomes null. Blank lines are no rows. A line that is no object, and a name twice in an object, are errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table.table import BATCH_ROWS, Batch, Choice, LabelValues, Table, refuse_names
from parallel_sharder.sources.table.text_file import no_utf8, opened

_SHOWN = 60

Row = dict[str, Any]


class JsonLinesTable(Table):
    """The table in the JSON lines at `path`. The labels of the columns `label_names` are gathered in the first pass."""

    format = "JSON lines"

    def __init__(self, path: str, label_names: Sequence[str]) -> None:
        self.path = path
        columns: dict[str, None] = {}
        self._labels = {name: LabelValues() for name in label_names}
        self._wrong: dict[str, SourceError] = {}
        self.row_count = 0
        for first, rows in self._rows():
            self.row_count += len(rows)
            for names in dict.fromkeys(map(tuple, rows)):
                columns.update(dict.fromkeys(names))
            for name, values in self._labels.items():
                if name in columns and name not in self._wrong:
                    self._gather(name, values, first, [row.get(name) for row in rows])
        self.columns = tuple(columns)
        refuse_names(path, self.columns, "Each of its lines is a JSON object")

    def labels(self, column: str) -> LabelValues:
        """As Table says."""
        if column in self._wrong:
            raise self._wrong[column]
        return self._labels[column]

    def batches(self, choice: Choice) -> Iterator[Batch]:
        """As Table says."""
        for first, rows in self._rows():
            yield Batch(
                first,
                self._cells(first, rows, choice.image, str),
                self._cells(first, rows, choice.label, str, int),
                self._cells(first, rows, choice.caption, str),
                self._cells(first, rows, choice.key, str, int),
                [self.texts_of(first, name, [row.get(name) for row in rows]) for name in choice.in_json],
            )

    def _gather(self, name: str, values: LabelValues, first: int, cells: list[Any]) -> None:
        """Add the labels of a batch, or keep the error that they raise: the column may serve for something else."""
        try:
            self._refuse_other(first, name, cells, (str, int))
        except SourceError as error:
            self._wrong[name] = error
            return
        values.count_empty(first, [cell if cell != "" else None for cell in cells], None)
        for cell in {*cells} - {None, ""}:
            (values.numbers if isinstance(cell, int) else values.texts).add(cell)
        if values.numbers and values.texts:
            self._wrong[name] = SourceError(
                f"{self.path}, column {name!r}: some labels are numbers, such as {min(values.numbers)}, and some are "
                f"texts, such as {min(values.texts)!r}. Mend the column, or name another with --label."
            )

    def _cells(self, first: int, rows: list[Row], column: str, *types: type) -> list[Any]:
        """Return the cells of a column, which are of these types or null; an empty list for no column."""
        if not column:
            return []
        cells = [row.get(column) for row in rows]
        self._refuse_other(first, column, cells, types)
        return cells

    def _refuse_other(self, first: int, column: str, cells: list[Any], types: tuple[type, ...]) -> None:
        if {*map(type, cells)} <= {*types, type(None)}:
            return
        row, cell = next((row, cell) for row, cell in enumerate(cells, first) if type(cell) not in (*types, type(None)))
        wanted = "a text" if types == (str,) else "a text or a whole number"
        raise self.refused(row, column, f"{json.dumps(cell)[:_SHOWN]} is not {wanted}", "Mend it.")

    def _rows(self) -> Iterator[tuple[int, list[Row]]]:
        """Yield rows in batches, each with the number of its first row. Raises SourceError for a line that is none."""
        decode = json.JSONDecoder(object_pairs_hook=_object).decode
        first, rows = 1, list[Row]()
        with opened(self.path) as file:
            for number, line in enumerate(file, 1):
                try:
                    row = decode(line.decode())
                except UnicodeDecodeError as error:
                    raise no_utf8(self.path, number) from error
                except (ValueError, RecursionError) as error:
                    if not line.strip():
                        continue
                    raise self._no_row(number, line, error) from error
                if type(row) is not dict:
                    raise self._no_row(number, line, None)
                rows.append(row)
                if len(rows) == BATCH_ROWS:
                    yield first, rows
                    first, rows = first + len(rows), []
        if rows:
            yield first, rows

    def _no_row(self, number: int, line: bytes, error: Exception | None) -> SourceError:
        if isinstance(error, RecursionError):
            why = "it is nested too deeply"
        elif error is not None:
            why = str(error)
        else:
            why = f"it is {line.decode().strip()[:_SHOWN]!r}"
        remedy = "Mend the line."
        if number == 1 and line.lstrip().startswith(b"["):
            remedy = "A JSON list becomes JSON lines by: jq -c '.[]' FILE > copy.jsonl"
        return SourceError(f"{self.path}, line {number:,} is no JSON object: {why}. {remedy}")


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """Return the object. Raises ValueError if a name is in it twice, of which one value would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return made
