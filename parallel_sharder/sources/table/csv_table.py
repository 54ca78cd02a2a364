"""CSV and TSV as a Table: the first row names the columns, and each further row is a sample.

Two passes read the file in bounded memory. The first finds which columns hold numbers: those in which each cell is
empty, NaN, or a number just as json.dumps writes it. So a column with 007 or 1.50 is text, of which nothing is lost. An
empty cell is null, and so is NaN in a column of numbers. Cells may be quoted, and hold delimiters and line ends; blank
lines are no rows. A row with too few or too many cells is an error.
"""

from __future__ import annotations

import contextlib
import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table.json_text import NULL, quoted
from parallel_sharder.sources.table.table import BATCH_ROWS, Batch, Choice, LabelValues, Table, refuse_names
from parallel_sharder.sources.table.text_file import opened_text
from parallel_sharder.text import counted

if TYPE_CHECKING:
    from _csv import Reader

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

_NO_NUMBER = frozenset(("", "NaN", "nan", "NAN"))
"""Cells that are null in a column of numbers."""

_ANY_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"-?[0-9]+")
_INT64 = range(-(1 << 63), 1 << 63)
"""Readers of JSON lose digits of whole numbers beyond it. A column with such numbers is text."""


CELL_LIMIT = 1 << 26
"""The most characters of a cell. Python's own limit, 131,072, stops at a long text; without any, a quote that is not
closed would fill the memory with the rest of the file."""


class CsvTable(Table):
    """The table in the CSV or TSV at `path`. The labels of the columns `label_names` are gathered in the first pass."""

    def __init__(self, path: str, label_names: Sequence[str], delimiter: str | None = None) -> None:
        self.path = path
        self._delimiter = delimiter or _delimiter_of(path)
        name = "TSV" if path.lower().endswith((".tsv", ".tab")) else "CSV"
        usual = {"TSV": "\t", "CSV": ","}[name]
        separated = "" if self._delimiter == usual else f" with a {_DELIMITERS[self._delimiter]} between cells"
        self.format = name + separated
        with self._reader() as reader:
            self.columns = tuple(next(filter(None, reader), ()))
        refuse_names(path, self.columns, "Its first row names the columns")
        self._cells: dict[str, set[str]] = {column: set() for column in label_names if column in self.columns}
        self._empty = {column: LabelValues() for column in self._cells}
        self.row_count = 0
        self._numbers = self._survey()

    def labels(self, column: str) -> LabelValues:
        """As Table says."""
        values, cells = self._empty[column], self._cells[column] - {""}
        if column not in self._numbers:
            values.texts = cells
            return values
        whole = {cell for cell in cells if _WHOLE.fullmatch(cell)}
        if other := min(cells - whole, default=""):
            raise SourceError(
                f"{self.path}, column {column!r}: {other} is no label, which is a whole number or a text. Mend the "
                "column, or name another with --label."
            )
        values.numbers = {*map(int, whole)}
        return values

    def batches(self, choice: Choice) -> Iterator[Batch]:
        """As Table says."""
        at = {name: number for number, name in enumerate(self.columns)}
        is_number = choice.label in self._numbers
        for first, rows in self._rows():
            cells = [*zip(*rows, strict=True)]
            labels = cells[at[choice.label]] if choice.label else ()
            yield Batch(
                first,
                _or_none(cells[at[choice.image]]),
                [int(cell) if cell else None for cell in labels] if is_number else _or_none(labels),
                _or_none(cells[at[choice.caption]]) if choice.caption else (),
                _or_none(cells[at[choice.key]]) if choice.key else (),
                [self._texts(name, cells[at[name]]) for name in choice.in_json],
            )

    def _texts(self, column: str, cells: Sequence[str]) -> list[str]:
        if column not in self._numbers:
            return [quoted(cell) if cell else NULL for cell in cells]
        return [NULL if cell in _NO_NUMBER else cell for cell in cells]

    def _survey(self) -> set[str]:
        """Return the columns of numbers, gather labels, and count the rows."""
        numbers = dict(enumerate(self.columns))
        # Columns of numbers of which one is not written as json.dumps writes it, with that one.
        odd: dict[int, str] = {}
        for first, rows in self._rows():
            self.row_count += len(rows)
            cells = [*zip(*rows, strict=True)]
            for number in [*numbers]:
                if not _are_numbers(cells[number]):
                    del numbers[number]
                    odd[number] = next(cell for cell in cells[number] if not _are_numbers((cell,)))
            for number in [*odd]:
                if not all(map(_ANY_NUMBER.fullmatch, {*cells[number]} - _NO_NUMBER)):
                    del odd[number]
            for column, found in self._cells.items():
                column_cells = cells[self.columns.index(column)]
                found.update(column_cells)
                self._empty[column].count_empty(first, column_cells, "")
        self.notices = tuple(
            f"The column {self.columns[number]} is text in the JSON: some of its numbers, such as {cell}, are "
            "not as JSON writes them, and would lose their form."
            for number, cell in odd.items()
        )
        return {*numbers.values()}

    def _rows(self) -> Iterator[tuple[int, list[list[str]]]]:
        """Yield rows in batches, each with the number of its first row. Raises SourceError for cells lost or added."""
        first, width, rows = 1, len(self.columns), list[list[str]]()
        with self._reader() as reader:
            next(filter(None, reader))
            for row in reader:
                if len(row) != width:
                    if not row:
                        continue
                    raise self._wrong_width(first + len(rows), reader.line_num, row)
                rows.append(row)
                if len(rows) == BATCH_ROWS:
                    yield first, rows
                    first, rows = first + len(rows), []
        if rows:
            yield first, rows

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Reader]:
        with opened_text(self.path) as lines:
            before = csv.field_size_limit(CELL_LIMIT)  # of the whole process, so it is set back
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            try:
                yield reader
            except csv.Error as error:
                raise SourceError(
                    f"{self.path}: the row that ends in line {reader.line_num:,} cannot be read: {error}. A cell with "
                    'a quote is written in quotes, with each quote twice: "5"" wide".'
                ) from error
            finally:
                csv.field_size_limit(before)

    def _wrong_width(self, row: int, line: int, cells: Sequence[str]) -> SourceError:
        columns = counted(len(self.columns), "column")
        return SourceError(
            f"{self.path}, row {row:,} (line {line:,}) has {counted(len(cells), 'cell')}, and the table has {columns}. "
            f"Mend the row: a cell that holds a {_DELIMITERS[self._delimiter]} or a line end is written in quotes."
        )


def _delimiter_of(path: str) -> str:
    """Return the delimiter of the table: a tab in a TSV, else the first of several that divides the first line."""
    if path.lower().endswith((".tsv", ".tab")):
        return "\t"
    with opened_text(path) as lines:
        head = next(filter(str.strip, lines), "")
    return next((each for each in _DELIMITERS if each in re.sub('"[^"]*"', "", head)), ",")


def _or_none(cells: Iterable[str]) -> list[str | None]:
    return [cell or None for cell in cells]


def _are_numbers(cells: Iterable[str]) -> bool:
    """Return whether each cell is null among numbers, or a number just as json.dumps writes it."""
    values = [*({*cells} - _NO_NUMBER)]
    try:
        whole = [*map(int, values)]
        if [*map(str, whole)] == values:
            return not values or (min(whole) in _INT64 and max(whole) in _INT64)
    except ValueError:  # not all are whole
        pass
    return all(map(_is_number, values))


def _is_number(cell: str) -> bool:
    try:
        if _WHOLE.fullmatch(cell):
            return str(int(cell)) == cell and int(cell) in _INT64
        number = float(cell)
    except ValueError:
        return False
    return repr(number) == cell and math.isfinite(number)
