"""Table: the interface through which a table is read, whichever format its file has; one row is one sample.

`open_table` (in formats) returns one. Its columns are known when it is open, its labels are read in a pass of their
own, and its rows come in batches: as text that a JSON object can hold, and as the cells that become file names, labels,
captions and keys. A row that cannot be read is a SourceError that names the file, the row, and the remedy: bad rows are
never passed over. A table knows neither images nor keys.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table.json_text import any_column, any_text

BATCH_ROWS = 8192
"""How many rows are held as objects at a time. More take memory, and fewer take time for each batch."""

Cell = str | int | None
"""A cell that becomes a label or a key; None is an empty one."""


@dataclass(frozen=True)
class Choice:
    """Which column of a table serves for what; "" where none does. `in_json` are the columns that the JSON has."""

    image: str
    label: str = ""
    caption: str = ""
    key: str = ""
    in_json: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, each once."""
        used = (self.image, self.label, self.caption, self.key, *self.in_json)
        return tuple(dict.fromkeys(name for name in used if name))


@dataclass(frozen=True)
class Batch:
    """Rows of a table, as columns: `first` is the number of its first row, counted from 1.

    `labels`, `captions` and `keys` are empty where no column serves for them. `texts` has a list for each column of the
    JSON: the text of each cell, as a JSON object has it.
    """

    first: int
    images: Sequence[str | None]
    labels: Sequence[Cell] = ()
    captions: Sequence[str | None] = ()
    keys: Sequence[Cell] = ()
    texts: Sequence[Sequence[str]] = ()


@dataclass
class LabelValues:
    """The labels that the cells of a column hold: the distinct ones, whole numbers or texts, and the empty cells."""

    numbers: set[int] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    empty_count: int = 0
    first_empty_row: int = 0

    def count_empty(self, first_row: int, cells: Sequence[object], empty: object) -> None:
        """Count the cells of a batch that equal `empty`; `first_row` is the number of the batch's first row."""
        if count := cells.count(empty):
            if not self.empty_count:
                self.first_empty_row = first_row + cells.index(empty)
            self.empty_count += count


class Table(ABC):
    """A table that is open for reading. `format` is what it was taken for, in words; `columns` are its names."""

    path: str
    format: str
    row_count: int
    columns: tuple[str, ...]
    notices: tuple[str, ...] = ()
    embedded: str = ""
    """The first column that holds images, not paths; "" if none does."""

    def holds_images(self, column: str) -> bool:
        """Return whether the cells of a column are images."""
        del column
        return False

    @abstractmethod
    def labels(self, column: str) -> LabelValues:
        """Return the labels in a column. Raises SourceError if they are neither whole numbers nor texts."""

    @abstractmethod
    def batches(self, choice: Choice) -> Iterator[Batch]:
        """Yield all rows, in order. Raises SourceError for a row that cannot be read, or that JSON cannot hold."""

    def texts_of(self, first: int, column: str, cells: Sequence[object]) -> list[str]:
        """Return the JSON text of each cell, of any types; `first` is the number of the first cell's row."""
        try:
            return any_column(cells)
        except ValueError:
            for row, cell in enumerate(cells, first):
                try:
                    any_text(cell)
                except ValueError as error:
                    raise self.refused(row, column, str(error), without_column(column)) from error
            raise

    def refused(self, row: int, column: str, why: str, remedy: str) -> SourceError:
        """Return the error of a cell."""
        return SourceError(f"{self.path}, row {row:,}, column {column!r}: {why}. {remedy}")


def refuse_names(path: str, names: Sequence[str], where: str) -> None:
    """Raise SourceError if two columns have the same name, or if there is none; `where` says where names stand."""
    if not names:
        raise SourceError(f"{path} is empty. {where}, and each row is one sample.")
    twice = next((name for number, name in enumerate(names) if name and name in names[:number]), None)
    if twice is not None:
        raise SourceError(
            f"{path}: the column {twice!r} is there twice, and a sample's JSON can have it only once. Rename one of "
            "the two in the table."
        )


def without_column(column: str) -> str:
    """Return the remedy for a column that the JSON cannot hold."""
    return f"Mend it, or name the columns that you want with --columns, without {column!r}."
