"""JSON text: each column is written as json.dumps writes its values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.sources.table.json_text import any_column, any_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.lists(VALUES))
def test_columns_are_what_json_dumps_writes(cells: list[Any]) -> None:
    """Whichever types are together in a column."""
    assert [json.dumps(cell) for cell in cells] == any_column(cells)


@pytest.mark.parametrize("cells", [["a", None], [1, None, 2], [0.5, None, 1], [True, None, False], [None]])
def test_columns_of_one_type(cells: list[Any]) -> None:
    """They are made in another way, to the same text."""
    assert [json.dumps(cell) for cell in cells] == any_column(cells)


@pytest.mark.parametrize("value", [float("inf"), [float("-inf")], {"a": float("inf")}, b"x", [object()]])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    """It is neither null nor left out."""
    with pytest.raises(ValueError, match="which JSON cannot hold"):
        any_text(value)
