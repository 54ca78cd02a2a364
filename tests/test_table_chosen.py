"""Chosen: which column serves for what, by itself and by the options."""

from __future__ import annotations

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.table.chosen import ColumnOptions, choose
from parallel_sharder.sources.table.table import Choice


def test_usual_names_are_found() -> None:
    """The first there is of a list, in the list's order; the JSON has all others."""
    columns = ("path", "text", "file_name", "class", "cls", "width")
    expected = Choice("file_name", "cls", "text", in_json=("path", "class", "width"))
    with pytest.raises(SourceError):
        choose("t", ("image", "label", "cls"), ColumnOptions())
    assert expected == choose("t", columns, ColumnOptions())


def test_options_come_first() -> None:
    """A column that is named serves for what it is named for, and "" is none; --columns picks what the JSON has."""
    columns = ("image", "other", "label", "caption", "id", "x")
    expected = Choice("other", "", "x", "id", ("image", "label", "caption"))
    assert expected == choose("t", columns, ColumnOptions(image="other", label="", caption="x", key="id"))
    assert ("caption", "x") == choose("t", columns, ColumnOptions(columns=("caption", "x"))).in_json
    assert () == choose("t", columns, ColumnOptions(columns=())).in_json


def test_a_column_without_a_name_is_not_in_the_json() -> None:
    """Pandas writes one with the numbers of its rows."""
    assert ("x",) == choose("t", ("", "image", "x"), ColumnOptions()).in_json


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ColumnOptions(label="Label"),
            r"has no column 'Label' \(label\); it has 'image', 'label'. Is 'label' meant\?",
        ),
        (ColumnOptions(columns=("zzz",)), r"no column 'zzz' \(columns\); it has 'image', 'label'\.$"),
    ],
)
def test_a_column_that_is_not_there_is_refused(options: ColumnOptions, message: str) -> None:
    """Those that are there are named, and the nearest."""
    with pytest.raises(SourceError, match=message):
        choose("t", ("image", "label"), options)


def test_a_table_without_paths_is_refused() -> None:
    """The option that names the column is said: the first row may be data."""
    with pytest.raises(SourceError, match=r"no column image, .* or image_path.*image; it has 'a\.jpg', '3'"):
        choose("t", ("a.jpg", "3"), ColumnOptions())


def test_names_of_the_class_are_taken() -> None:
    """A labelled sample's JSON has cls and cname; without labels a column may have these names."""
    with pytest.raises(SourceError, match="the column 'cname' cannot be in the JSON"):
        choose("t", ("image", "label", "cname"), ColumnOptions())
    assert ("label", "cname") == choose("t", ("image", "label", "cname"), ColumnOptions(label="")).in_json
