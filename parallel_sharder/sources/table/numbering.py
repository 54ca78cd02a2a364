"""Numbering: the labels of a table become whole numbers and a class table.

The distinct labels of a column go in, and Labels come out. Whole numbers stay. Texts are numbered in the order of their
UTF-8, or by a list of names (--meta). Up to 100,000 classes are a table; beyond, each row has its label, and there is
no table. Labels that are no class's number, and rows without a label among others with one, are errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from parallel_sharder.errors import SourceError
from parallel_sharder.model import ImageClass
from parallel_sharder.sources.table.table import Cell, LabelValues
from parallel_sharder.text import counted

LIMIT = (1 << 31) - 1
"""The highest label: readers keep it in 32 bits."""

TABLE_LIMIT = 100_000
"""Up to so many classes there is a class table, which each worker gets."""

Named = tuple[str, str]
"""A class in a list of names: its name and its words."""


@dataclass(frozen=True)
class Labels:
    """The labels of a table: `classes` are its class table, and `index` has the class's row of each label.

    With `has_row_labels` there is no class table, and `index` has the number of each text; it is empty for whole
    numbers, which stay. Without labels all is empty.
    """

    classes: tuple[ImageClass, ...] = ()
    index: Mapping[Cell, int] = field(default_factory=dict)
    has_row_labels: bool = False
    notices: tuple[str, ...] = ()

    @property
    def has_names(self) -> bool:
        """Whether labels are texts, whose numbers depend on which others there are."""
        return any(isinstance(label, str) for label in self.index)

    def of(self, cells: Sequence[Cell]) -> list[int]:
        """Return the row or label of each cell of a column, as a Listing has it; -1 where nothing has a label."""
        if self.has_row_labels and not self.index:
            return cells  # type: ignore[return-value]
        if not self.index:
            return [-1] * len(cells)
        return [*map(self.index.__getitem__, cells)]


def number(path: str, column: str, values: LabelValues, names: Mapping[int, Named] | None = None) -> Labels:
    """Return the labels of the table at `path`, whose column `column` holds `values`.

    `names` are the classes of a list (--meta), or of the tables of all splits, by their labels.
    """
    found: set[int] | set[str] = values.numbers or values.texts
    if not found:
        return Labels()
    if values.empty_count:
        raise SourceError(
            f"{path}: {counted(values.empty_count, 'row has', 'rows have')} no label in the column {column!r}, the "
            f"first of them row {values.first_empty_row:,}. Remove these rows, or make shards without labels with "
            '--label "".'
        )
    if values.numbers:
        return _of_numbers(path, column, values.numbers, names)
    return _of_texts(path, column, values.texts, names)


def _of_numbers(path: str, column: str, found: set[int], names: Mapping[int, Named] | None) -> Labels:
    wrong = [label for label in found if not 0 <= label <= LIMIT]
    if wrong:
        first = min(wrong)
        where = "below 0" if first < 0 else f"above {LIMIT:,}"
        raise SourceError(
            f"{path}, column {column!r}: the label {first} is {where}, and {counted(len(wrong), 'label')} of the table "
            'cannot be used. Remove these rows, name another column with --label, or use --label "" for none.'
        )
    if names is not None and (lost := found - names.keys()):
        raise SourceError(
            f"{path}, column {column!r}: the label {min(lost)} has no line in the list of --meta, whose "
            f"{counted(len(names), 'line names', 'lines name')} the labels from 0 on. Name the list that fits."
        )
    if len(found) > TABLE_LIMIT:
        return Labels(has_row_labels=True)
    labels = sorted(found)
    classes = tuple(ImageClass(label, *((names[label][1], names[label][0]) if names else 2 * (str(label),)))
                    for label in labels)  # fmt: skip
    return Labels(classes, {label: row for row, label in enumerate(labels)})


def _of_texts(path: str, column: str, found: set[str], names: Mapping[int, Named] | None) -> Labels:
    order = in_order(path, column, found) if names is None else [names[label][0] for label in sorted(names)]
    index: dict[Cell, int] = {name: label for label, name in enumerate(order)}
    if lost := sorted(found - index.keys()):
        raise SourceError(
            f"{path}, column {column!r}: {counted(len(lost), 'label is', 'labels are')} not in the list of --meta, the "
            f"first of them {lost[0]!r}. Add them to the list, or leave it away: labels are then numbered in the order "
            "of their texts."
        )
    if len(order) > TABLE_LIMIT:
        return Labels((), index, has_row_labels=True)
    words = dict((names or {}).values())
    classes = tuple(ImageClass(label, words.get(name, name), name) for label, name in enumerate(order))
    empty = [name for name in order if name not in found]
    notice = (
        f"{counted(len(empty), 'known class has', 'known classes have')} no row, and "
        f"{'keeps its number' if len(empty) == 1 else 'keep their numbers'}; the first: {empty[0]}."
    ) if empty else ""  # fmt: skip
    return Labels(classes, index, notices=(notice,) if notice else ())


def in_order(path: str, column: str, found: set[str]) -> list[str]:
    """Return the labels in the order of their UTF-8. Raises SourceError for a text that has no UTF-8."""
    try:
        return sorted(found, key=str.encode)
    except UnicodeEncodeError as error:
        raise SourceError(
            f"{path}, column {column!r}: the label {error.object!r} has half a surrogate pair, which no "
            "UTF-8 can hold. Mend it."
        ) from error
