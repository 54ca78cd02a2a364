"""Row keys: each row has a key of its own, which follows from its path and its twins, or from a column."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.columns import Texts
from parallel_sharder.errors import SourceError
from parallel_sharder.sources.key_rule import key_of, keys_of
from parallel_sharder.sources.table.row_keys import GivenKeys, keys_of_paths, order_of_given, stem_of, unique_keys

NAMES = st.lists(
    st.text(st.sampled_from("ab_ .#/~"), min_size=1, max_size=8).map(lambda text: f"x{text}".encode()), max_size=12
)


def keys(*names: bytes) -> list[bytes]:
    """Return the key of each row's file, in the order of the rows."""
    before = keys_of_paths(names)
    numbers = np.arange(1, len(names) + 1, dtype=np.int32)
    made, order, is_new = unique_keys(Texts.of(before), names.__getitem__, numbers, "t.csv")
    assert sorted(made) == [made[row] for row in order.tolist()]
    assert all(is_new[row] for row in range(len(names)) if made[row] != before[row])
    return [*made]


@given(NAMES)
def test_a_batch_is_made_as_each_path_is(names: list[bytes]) -> None:
    """Where all are plain, the rule need not look at each."""
    assert [key_of(os.path.splitext(name)[0]) for name in names] == keys_of_paths(names)
    assert [os.path.splitext(name)[0] for name in names] == [*map(stem_of, names)]


@given(NAMES)
def test_rows_of_different_images_have_the_keys_of_class_folders(names: list[bytes]) -> None:
    """Twins too: the rule is one."""
    names = [*dict.fromkeys(names)]
    assert keys_of(names) == keys(*names)


def test_rows_of_one_image_have_their_numbers() -> None:
    """The numbers are those of the table's rows, counted from 1; other rows keep their keys."""
    assert [b"a=231", b"b", b"a=233"] == keys(b"a.jpg", b"b.jpg", b"a.jpg")


def test_twins_with_several_rows_have_ending_and_number() -> None:
    """Each key depends on the row's path and its twins alone."""
    assert [b"a=2Ejpg=231", b"a=2Epng", b"a=2Ejpg=233"] == keys(b"a.jpg", b"a.png", b"a.jpg")


def test_an_absolute_path_has_a_key_without_its_slash() -> None:
    """A key is never absolute."""
    assert [b"data/a", b"b"] == keys(b"/data/a.jpg", b"b.jpg")


def test_rows_that_stay_alike_are_refused() -> None:
    """A file can be named as the key of a row is made."""
    assert [b"a=2Ejpg=231", b"a=232", b"a=231"] == keys(b"a.jpg", b"a.jpg", b"a#1")
    with pytest.raises(SourceError, match="the rows 1 and 4 get the same key, a=2Ejpg=231"):
        keys(b"a.jpg", b"a.jpg", b"a#1", b"a.jpg#1")


def test_given_keys() -> None:
    """Texts and whole numbers fit; what does not is counted, and the first is named with the remedy."""
    given_keys = GivenKeys("t.csv", "id")
    assert [b"a/b=20", b"17"] == given_keys.keys([1, 2], ["a/b=20", 17])
    given_keys.refuse_bad()
    given_keys.keys([3, 4, 5, 6, 7, 8], ["a.b", None, "_a", "a//b", "x" * 81, "\u00e4"])
    with pytest.raises(SourceError, match=r"column 'id': 6 cells are no keys; row 3 has 'a\.b'\..*key out"):
        given_keys.refuse_bad()


def test_given_keys_are_refused_if_two_are_alike() -> None:
    """Both rows are named."""
    numbers = np.array([5, 6, 9], np.int32)
    assert [1, 0] == order_of_given(Texts.of([b"b", b"a"]), numbers, "t.csv").tolist()
    with pytest.raises(SourceError, match="1 row repeats a key, .* the first: b, of rows 5 and 9"):
        order_of_given(Texts.of([b"b", b"a", b"b"]), numbers, "t.csv")
