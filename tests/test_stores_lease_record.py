"""The record of a lease: what goes in comes out, and what is not whole is none."""

from __future__ import annotations

import pytest

from parallel_sharder.stores.lease_record import RECORD_BYTES, LeaseState, packed, unpacked
from parallel_sharder.stores.owner import Owner

OWNER = Owner("höst", 7, "boot", "pid:[1]", "123", "a command")
STATE = LeaseState(OWNER, 1e9, 3, {"samples": 5}, "0123abcd", 4.5)


def test_round_trip() -> None:
    """All fields come back, the age as the reader has measured it; all records have one size."""
    assert RECORD_BYTES == len(packed(STATE)) == len(packed(STATE.but(beat=10**9, told={})))
    assert STATE == unpacked(packed(STATE), 4.5)
    assert ("höst", None) == (STATE.host, STATE.is_dead)


def test_half_of_one_record_and_half_of_the_next() -> None:
    """At no byte does a mixture of two records pass for a whole one."""
    one, two = packed(STATE), packed(STATE.but(beat=4, told={"samples": 6}))
    mixed = {one[:cut] + two[cut:] for cut in range(RECORD_BYTES)} - {one, two}
    assert mixed
    assert {None} == {unpacked(data, 0) for data in mixed}
    assert {None} == {unpacked(one[:cut], 0) for cut in range(RECORD_BYTES)}


@pytest.mark.parametrize("changes", [{"beat": "3"}, {"began": None}, {"told": 5}, {"nonce": 1}])
def test_whole_record_with_wrong_values(changes: dict[str, object]) -> None:
    """A digest that fits does not make a record of it."""
    assert unpacked(packed(STATE.but(**changes)), 0) is None


def test_too_much_to_tell() -> None:
    """It is refused before it is written."""
    with pytest.raises(ValueError, match=r"takes 1\d,\d\d\d bytes of 4,096"):
        packed(STATE.but(told={"x": "y" * 10_000}))
