"""Numbering: labels become whole numbers, and a class table as long as it is not too long."""

from __future__ import annotations

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.model import ImageClass
from parallel_sharder.sources.table import numbering
from parallel_sharder.sources.table.numbering import Labels, number
from parallel_sharder.sources.table.table import LabelValues


def test_whole_numbers_stay() -> None:
    """Each is a class by its number's name, and rows point into the table."""
    labels = number("t", "label", LabelValues(numbers={9, 2}))
    assert (ImageClass(2, "2", "2"), ImageClass(9, "9", "9")) == labels.classes
    assert [1, 0, 1] == labels.of([9, 2, 9])


def test_texts_are_numbered_in_order() -> None:
    """The order is that of their bytes in UTF-8."""
    labels = number("t", "label", LabelValues(texts={"z", "\u00e4", "Z"}))
    assert [("Z", 0), ("z", 1), ("\u00e4", 2)] == [(each.id, each.label) for each in labels.classes]


def test_a_list_decides_the_order_and_the_words() -> None:
    """A name without a row keeps its number, and is told; numbers are the lines of the list, counted from 0."""
    names = {0: ("b", "bee"), 1: ("c", "sea"), 2: ("a", "a")}
    labels = number("t", "label", LabelValues(texts={"a", "b"}), names)
    assert (ImageClass(0, "bee", "b"), ImageClass(1, "sea", "c"), ImageClass(2, "a", "a")) == labels.classes
    assert ("1 known class has no row, and keeps its number; the first: c.",) == labels.notices
    assert (ImageClass(1, "sea", "c"),) == number("t", "label", LabelValues(numbers={1}), names).classes


def test_beyond_the_limit_there_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row then has its label: a number that stays, or that of the text."""
    monkeypatch.setattr(numbering, "TABLE_LIMIT", 2)
    labels = number("t", "label", LabelValues(numbers={5, 6, 7}))
    assert (True, (), [7, 5]) == (labels.has_row_labels, labels.classes, labels.of([7, 5]))
    labels = number("t", "label", LabelValues(texts={"a", "b", "c"}))
    assert (True, (), [2, 0]) == (labels.has_row_labels, labels.classes, labels.of(["c", "a"]))


def test_no_labels() -> None:
    """Where all cells are empty, no sample has a label."""
    labels = number("t", "label", LabelValues(empty_count=2, first_empty_row=1))
    assert (Labels(), [-1, -1]) == (labels, labels.of([None, None]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (LabelValues(numbers={1}, empty_count=2, first_empty_row=7), "2 rows have no label .* first of them row 7"),
        (LabelValues(numbers={-1, 1}), "the label -1 is below 0"),
        (LabelValues(numbers={1 << 31}), "the label 2147483648 is above 2,147,483,647"),
        (
            LabelValues(numbers={3}),
            "the label 3 has no line in the list of meta, whose 2 lines name the labels from 0 on",
        ),
        (LabelValues(texts={"a", "x", "y"}), "2 labels are not in the list of meta, the first of them 'x'"),
    ],
)
def test_labels_that_fit_nothing_are_refused(values: LabelValues, message: str) -> None:
    """The message has the first, and the remedy."""
    with pytest.raises(SourceError, match=message):
        number("t", "label", values, {0: ("a", "a"), 1: ("b", "b")})
