"""The schema: what is not as it should be is found, and said in one line, with its place."""

from __future__ import annotations

import pytest

from parallel_sharder.catalog.schema import (
    MANY,
    Shape,
    fault,
    matching,
    one_of,
    optional,
    or_null,
    whole_number,
    wrong_value,
)

SHAPE: Shape = {
    "split": one_of("train", "val"),
    "shards": [{"path": matching("[a-z.]+", "a file's name"), "samples": whole_number(1, 1000)}],
    "seed": or_null(whole_number(0)),
    "card": optional(one_of("yes")),
}
SOUND = {"split": "train", "shards": [{"path": "x.tar", "samples": 5}], "seed": None, "more": "is not looked at"}


def test_a_value_of_the_shape_has_no_fault() -> None:
    """Further fields, and optional ones that are missing, are none."""
    assert "" == fault(SOUND, SHAPE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "test"}, 'split is "test", and should be "train" or "val"'),
        ({"shards": {}}, "shards is an object, and should be a list"),
        ({"shards": [{"path": "x.tar"}]}, "shards[0] has no samples"),
        ({"shards": [{"path": "x.tar", "samples": 5}, 5]}, "shards[1] is 5, and should be an object"),
        ({"seed": -1}, "seed is -1, and should be a whole number from 0 on, or null"),
        ({"card": None}, 'card is null, and should be "yes"'),
    ],
)
def test_the_first_fault_is_said_with_its_place(change: dict[str, object], words: str) -> None:
    """With what is there and what should be."""
    assert words == fault({**SOUND, **change}, SHAPE)


def test_a_missing_field_at_the_top_is_said() -> None:
    """There is no place that could be named."""
    assert "it has no split" == fault({}, SHAPE)


@pytest.mark.parametrize("value", [True, 1.0, "1", 0, 1001, None])
def test_what_is_no_whole_number_within_the_limits(value: object) -> None:
    """Neither true nor 1.0 is one."""
    assert fault(value, whole_number(1, 1000), "x").endswith("should be a whole number from 1 to 1,000")


def test_no_number_is_larger_than_a_column_holds() -> None:
    """It would not fit in eight bytes."""
    assert "" == fault(MANY, whole_number(0), "x")
    assert fault(MANY + 1, whole_number(0), "x")


def test_a_long_value_is_shown_in_part() -> None:
    """A message is a line, whatever the file holds."""
    assert f'x is "{"a" * 59}..., and should be short' == wrong_value("x", "a" * 1000, "short")
