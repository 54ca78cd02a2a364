"""Columns of texts: whatever a column holds, and in whichever of its two forms, it is as a list of these texts."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder import columns
from parallel_sharder.columns import FIXED_BYTES, Texts

SHORT = st.text("ab/=~é", max_size=4).map(str.encode)
TEXTS = st.lists(SHORT | st.sampled_from([b"", b"a" * FIXED_BYTES, b"a" * (FIXED_BYTES + 1)]), max_size=30)
ALIKE = st.lists(st.tuples(st.integers(0, 2 * FIXED_BYTES + 2), SHORT).map(lambda pair: b"a" * pair[0] + pair[1]))
"""Texts of which some differ only behind as many bytes as a column of fixed width has, and behind twice as many."""
ANY = TEXTS | ALIKE | st.lists(st.binary(max_size=50).map(lambda text: text.replace(b"\0", b"")))


@given(ANY)
def test_a_column_is_as_a_list(texts: list[bytes]) -> None:
    """Length, rows from both ends, slices, and all rows in order."""
    column = Texts.of(iter(texts))
    assert (len(texts), texts) == (len(column), list(column))
    assert texts == [column[row] for row in range(len(texts))]
    assert texts[::-1] == [column[-row] for row in range(1, len(texts) + 1)]
    for start in range(len(texts)):
        assert texts[start : start + 3] == column.some(start, start + 3)
    assert max(map(len, texts), default=1) <= column.longest <= max(FIXED_BYTES, *map(len, [b"", *texts]))


@pytest.mark.parametrize(("longest", "is_fixed"), [(FIXED_BYTES, True), (FIXED_BYTES + 1, False)])
def test_one_long_text_decides_the_form(longest: int, is_fixed: bool) -> None:
    """Up to 32 bytes the column has a fixed width; beyond, no text takes more than its bytes and an end."""
    column = Texts.of([b"a"] * 100_000 + [b"b" * longest])
    assert is_fixed == (column.fixed is not None)
    assert ([b"a", b"a", b"b" * longest], longest) == (column.some(99_998, 100_001), column.longest)
    assert (100_001 * longest if is_fixed else 100_000 + longest + 8 * 100_001) == sum(
        array.nbytes for array in column.arrays
    )


@given(ANY)
def test_order(texts: list[bytes]) -> None:
    """It is Python's: bytewise, and equal ones as they were; a sorted column is told from others."""
    column = Texts.of(texts)
    expected = sorted(range(len(texts)), key=texts.__getitem__)
    assert expected == column.order().tolist()
    assert (texts == sorted(texts)) == column.is_sorted()
    assert column.take(column.order()).is_sorted()


@given(ANY)
def test_repeats(texts: list[bytes]) -> None:
    """Rows that are as the row before."""
    expected = [row for row in range(1, len(texts)) if texts[row] == texts[row - 1]]
    assert expected == Texts.of(texts).repeats().tolist()


@given(ANY, ANY)
def test_rows_of(texts: list[bytes], wanted: list[bytes]) -> None:
    """Each text of a sorted column is found, and no other."""
    ours = sorted(set(texts))
    row_of = {text: row for row, text in enumerate(ours)}
    some = [*wanted, *ours]
    assert [row_of.get(text, -1) for text in some] == Texts.of(ours).rows_of(some).tolist()


@given(ANY, st.data())
def test_chosen_rows(texts: list[bytes], data: st.DataObject) -> None:
    """By numbers and by truth values; padded to one width, and joined by NULs."""
    column = Texts.of(texts)
    numbers = st.lists(st.integers(0, len(texts) - 1)) if texts else st.just([])
    rows = np.array(data.draw(numbers), np.int32)
    chosen = [texts[row] for row in rows.tolist()]
    assert chosen == list(column.take(rows))
    is_chosen = np.isin(np.arange(len(texts)), rows)
    assert [text for text, is_one in zip(texts, is_chosen, strict=True) if is_one] == list(column.take(is_chosen))
    width, padded = column.padded(rows)
    assert b"".join(text.ljust(width, b"\0") for text in chosen) == padded
    assert width >= max(map(len, chosen), default=1) >= 0
    assert b"\0".join(chosen) == column.joined(rows)


def test_long_texts_are_taken_and_sorted_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a few rows end and the next begin makes no difference, nor do rows that are taken twice or are empty."""
    monkeypatch.setattr(columns, "_ROWS_AT_A_TIME", 3)
    texts = [b"", *(b"%d" % number * (number % 7) for number in range(30)), b"x" * 99, b"x" * 40]
    column = Texts.of(texts)
    assert column.fixed is None
    for rows in (range(33), range(32, -1, -1), [31, 31, 0, 5, 0, 32, 1], [32], [0, 0, 0, 31], [1, 2, 3], []):
        assert [texts[row] for row in rows] == [*column.take(np.array([*rows], np.int64))]
    assert column.take(np.array([1, 2, 3])).fixed is not None
    assert sorted(texts) == [*column.take(column.order())]


@given(st.lists(ANY, max_size=4))
def test_concatenated(parts: list[list[bytes]]) -> None:
    """The rows of all parts, whichever forms these have."""
    assert [text for part in parts for text in part] == list(Texts.concatenate([Texts.of(part) for part in parts]))


@given(ANY)
def test_made_of_what_others_have(texts: list[bytes]) -> None:
    """Of lines, of lists, of an array of fixed width, and of the arrays of another column."""
    column = Texts.of(texts)
    lists = [texts[:2], [], texts[2:]]
    assert texts == list(Texts.of_lists(lists, len(texts), max(map(len, texts), default=0)))
    assert texts == list(Texts.of_arrays(column.arrays))
    assert texts == list(Texts.of_array(np.array(texts, np.bytes_)))
    lines = [text.replace(b"\n", b"") for text in texts]
    if b"\n".join(lines):
        assert lines == list(Texts.lines(b"\n".join(lines)))
    assert [] == list(Texts.lines(b""))


@given(ANY, ANY)
def test_digests_differ_where_columns_do(one: list[bytes], other: list[bytes]) -> None:
    """Of columns that have as many rows, as those of one listing have."""
    digests = []
    for texts in (one, other):
        digest = hashlib.sha256()
        Texts.of(texts).update(digest)
        digests.append(digest.digest())
    if len(one) == len(other):
        assert (one == other) == (digests[0] == digests[1])


def test_a_long_text_that_is_looked_for_takes_no_memory() -> None:
    """A list of keys with one long line is looked up as if the line were short, and the line is not there."""
    column = Texts.of([b"a", b"ab"])
    wanted = [b"ab", b"ab" + b"x" * (1 << 26), *[b"a"] * 4096]  # 256 GiB as an array of fixed width
    assert [1, -1, *[0] * 4096] == column.rows_of(wanted).tolist()
