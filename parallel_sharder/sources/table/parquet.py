"""Parquet as a Table, by pyarrow (the extra `tables`).

Columns keep their types: true and false, whole numbers, numbers (NaN is null), texts, lists and structs of these. Dates
and times become texts by ISO 8601, with all digits of their fraction; an instant with a time zone is written in UTC,
with a Z. Decimals become texts of their digits, because readers of JSON would round them. Bytes, durations, maps and
types that are further away are refused by their column's name, as is an infinite number: JSON cannot hold them.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table import json_text
from parallel_sharder.sources.table.table import (
    BATCH_ROWS,
    Batch,
    Choice,
    LabelValues,
    Table,
    refuse_names,
    without_column,
)
from parallel_sharder.staging.parquet import holds_images, opened

_TICKS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""The digits of a second's fraction, by the unit of a column of times."""

_ROWS_AT_A_TIME = 16 * BATCH_ROWS
"""So many rows of small groups are read together: fewer make small batches."""

_EPOCH = datetime.datetime(1970, 1, 1)

Texts = Callable[[Any], list[str]]
"""Returns the JSON text of each cell of an array of pyarrow."""


class ParquetTable(Table):
    """The table in the Parquet file at `path`, or in several files with the same columns, at `paths`.

    Raises MissingPackageError without pyarrow, and SourceError if the files differ.
    """

    format = "Parquet"

    def __init__(self, path: str, paths: Sequence[str] = ()) -> None:
        self.path, self.paths = path, [*paths] or [path]
        self.row_count = 0
        for each in self.paths:
            with opened(each) as file:
                schema = file.schema_arrow
                self.row_count += file.metadata.num_rows
            if each == self.paths[0]:
                self._schema = schema
            elif not self._schema.equals(schema, check_metadata=False):
                raise SourceError(
                    f"{each} has other columns, or columns of other types, than {self.paths[0]}. The files of one "
                    "table have the same: name others with --table."
                )
        self.columns = tuple(self._schema.names)
        refuse_names(path, self.columns, "It has columns")
        self.embedded = next((name for name in self.columns if self.holds_images(name)), "")

    def holds_images(self, column: str) -> bool:
        """As Table says: bytes, or structs with bytes."""
        return holds_images(self._schema.field(column).type)

    def labels(self, column: str) -> LabelValues:
        """As Table says."""
        import pyarrow as pa

        kind = self._kind(column)
        values, first = LabelValues(), 1
        if not (pa.types.is_integer(kind) or _is_text(kind) or pa.types.is_null(kind)):
            raise SourceError(
                f"{self.path}, column {column!r} has the type {kind}, and labels are whole numbers or texts. Name "
                "another column with --label."
            )
        for batch in self._batches((column,)):
            cells = [None if cell == "" else cell for cell in self._cells(first, batch, column)]
            values.count_empty(first, cells, None)
            found: set[Any] = {*cells} - {None}
            (values.texts if _is_text(kind) else values.numbers).update(found)
            first += len(cells)
        return values

    def batches(self, choice: Choice) -> Iterator[Batch]:
        """As Table says."""
        import pyarrow as pa

        is_embedded = self.holds_images(choice.image)
        for name in (choice.caption, *([] if is_embedded else [choice.image])):
            self._refuse_kind(name, _is_text, "a text")
        self._refuse_kind(
            choice.key, lambda kind: _is_text(kind) or pa.types.is_integer(kind), "a text or whole number"
        )
        texts = [(name, self._texts(name)) for name in choice.in_json]
        first = 1
        columns = [name for name in choice.columns if not (is_embedded and name == choice.image)]
        for batch in self._batches(columns):
            yield self._batch(first, batch, choice, texts, is_embedded)
            first += batch.num_rows

    def _batch(
        self, first: int, batch: Any, choice: Choice, texts: Sequence[tuple[str, Texts]], is_embedded: bool
    ) -> Batch:
        def cells(name: str) -> list[Any]:
            return self._cells(first, batch, name) if name else []

        columns = []
        for name, convert in texts:
            try:
                columns.append(convert(batch[name]))
            except (ValueError, OverflowError) as error:  # a date beyond the year 9999 is an OverflowError
                raise self._unfit(first, batch, name, error, without_column(name)) from error
        images = [None] * batch.num_rows if is_embedded else cells(choice.image)
        captions = cells(choice.caption)
        return Batch(first, images, cells(choice.label), captions, cells(choice.key), columns)

    def _cells(self, first: int, batch: Any, column: str) -> list[Any]:
        """Return a column's cells as Python's values. Raises SourceError for bytes that are no UTF-8 in a text."""
        try:
            return batch[column].to_pylist()  # type: ignore[no-any-return]
        except ValueError as error:
            raise self._unfit(first, batch, column, error, "Mend it, or name another column.") from error

    def _unfit(self, first: int, batch: Any, column: str, error: Exception, remedy: str) -> SourceError:
        """Return the error of a batch in which a cell of a column cannot be read."""
        rows = f"{first:,} to {first + batch.num_rows - 1:,}"
        return SourceError(f"{self.path}, rows {rows}, column {column!r}: {error}. {remedy}")

    def _batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield the rows, in batches of pyarrow.

        Of a file that is read in one go, pyarrow keeps all row groups in memory until the last is read. So the groups
        are read one after the other, small ones several at a time.
        """
        for path in self.paths:
            with opened(path) as file:
                groups, count = [], 0
                for group in range(file.num_row_groups):
                    groups.append(group)
                    count += file.metadata.row_group(group).num_rows
                    if count >= _ROWS_AT_A_TIME or group == file.num_row_groups - 1:
                        yield from file.iter_batches(BATCH_ROWS, row_groups=groups, columns=[*columns])
                        groups, count = [], 0

    def _kind(self, column: str) -> Any:
        """Return the type of a column; of a dictionary, that of its values."""
        import pyarrow as pa

        kind = self._schema.field(column).type
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    def _refuse_kind(self, column: str, fits: Callable[[Any], bool], wanted: str) -> None:
        """Raise SourceError if a column has another type than it is wanted for."""
        if not column or fits(self._kind(column)):
            return

        kind = self._kind(column)
        raise SourceError(
            f"{self.path}, column {column!r} has the type {kind}, and {wanted} is wanted. Name another column."
        )

    def _texts(self, column: str) -> Texts:
        """Return what makes the JSON text of a column's cells. Raises SourceError if JSON cannot hold its type."""
        texts = _texts_of(self._kind(column))
        if texts is None:
            raise SourceError(
                f"{self.path}, column {column!r} has the type {self._kind(column)}, which JSON cannot hold. Name the "
                f"columns that you want with --columns, without {column!r}."
            )
        return texts


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _texts_of(kind: Any) -> Texts | None:
    """Return what makes the JSON text of an array of this type of pyarrow; None if JSON cannot hold it."""
    import pyarrow as pa

    types = pa.types
    if _is_text(kind):
        return lambda cells: json_text.text_column(cells.to_pylist())
    if types.is_integer(kind):
        return lambda cells: json_text.number_column(cells.to_pylist())
    if types.is_floating(kind):
        return lambda cells: json_text.decimal_column(cells.to_pylist())
    if types.is_timestamp(kind):
        digits, end = _TICKS[kind.unit], "Z" if kind.tz else ""
        return lambda cells: _times(cells.cast(pa.int64()).to_pylist(), digits, end)
    if types.is_time(kind):
        digits, whole = _TICKS[kind.unit], pa.int32() if kind.bit_width == 32 else pa.int64()
        return lambda cells: [each.replace("1970-01-01T", "") for each in _times(cells.cast(whole).to_pylist(), digits)]
    if types.is_date(kind):
        return lambda cells: [json_text.NULL if day is None else f'"{day.isoformat()}"' for day in cells.to_pylist()]
    if _is_plain(kind) or ((types.is_struct(kind) or _is_list(kind)) and _holds_plain(kind)):
        return lambda cells: json_text.any_column(cells.to_pylist())
    return None


def _is_plain(kind: Any) -> bool:
    """Return whether cells of this type become Python's values that json_text knows."""
    import pyarrow as pa

    types = pa.types
    plain = (types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_date)
    return _is_text(kind) or any(fits(kind) for fits in plain)


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return any(fits(kind) for fits in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _holds_plain(kind: Any) -> bool:
    """Return whether a list or a struct holds what `_is_plain`, at any depth."""
    import pyarrow as pa

    if _is_list(kind):
        return _holds_plain(kind.value_type)
    if pa.types.is_struct(kind):
        names = [kind.field(number).name for number in range(kind.num_fields)]
        return len({*names}) == len(names) and all(_holds_plain(each.type) for each in kind)
    return _is_plain(kind)


def _times(ticks: Sequence[int | None], digits: int, end: str = "") -> list[str]:
    """Return the JSON text of each instant since 1970, in units with so many digits of a second's fraction.

    Raises ValueError for a year that ISO 8601 does not write with four digits.
    """
    unit, texts = 10**digits, list[str]()
    for tick in ticks:
        if tick is None:
            texts.append(json_text.NULL)
            continue
        seconds, fraction = divmod(tick, unit)
        try:
            instant = _EPOCH + datetime.timedelta(seconds=seconds)
        except OverflowError as error:
            raise ValueError(f"the time {tick} lies beyond the years 1 to 9999") from error
        behind = f".{fraction:0{digits}}" if fraction else ""
        texts.append(f'"{instant.isoformat()}{behind}{end}"')
    return texts
