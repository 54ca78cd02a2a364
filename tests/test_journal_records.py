"""The journal's bytes: maps come back as they were, whatever has become of the rest of the file."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.journal.records import MAGIC, Payload, State, contents_of, is_header, pack, records_of

HEADER: Payload = {"what": "header", "fingerprint": {"seed": 0}}
VALUES = st.none() | st.integers(-(2**63), 2**63) | st.text() | st.binary() | st.lists(st.integers(0, 9))


@given(st.lists(st.dictionaries(st.text(), VALUES), max_size=5), st.binary(max_size=20))
def test_maps_come_back(payloads: list[dict[str, Any]], junk: bytes) -> None:
    """Each as it was, in order, also behind bytes that are none."""
    assert payloads == contents_of(MAGIC + pack([HEADER, *payloads])).payloads[1:]
    assert payloads == [each.payload for each in records_of(MAGIC + junk.replace(b"\xa7", b"") + pack(payloads))]


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"", State.NEW),
        (MAGIC[:5], State.NEW),
        (MAGIC, State.NEW),
        (MAGIC + pack([HEADER])[:-1], State.NEW),
        (MAGIC + pack([HEADER]), State.SOUND),
        (MAGIC + pack([HEADER, {}]) + bytes(99), State.SOUND),
        (MAGIC + pack([{}]), State.DAMAGED),
        (MAGIC + pack([HEADER]) + b"x", State.DAMAGED),
        (pack([HEADER]), State.DAMAGED),
        (b"notes", State.FOREIGN),
    ],
)
def test_states(data: bytes, state: State) -> None:
    """What a crash leaves is a journal, or hardly begun; more than that is damage; without a record it is not ours."""
    assert state is contents_of(data).state


@pytest.mark.parametrize("payload", [7, "x", b"x", None, [1], {7: 1}])
def test_what_is_no_map(payload: Any) -> None:
    """A list of no known kind says nothing, and all else with a right checksum is no record."""
    packed = msgpack.packb(payload)
    data = pack([{}])[:4] + struct.pack(">II", len(packed), zlib.crc32(packed)) + packed
    assert [{}] * isinstance(payload, list) == [each.payload for each in records_of(data)]


def test_headers() -> None:
    """A header has a fingerprint, whose entries have names in text, and nothing else."""
    assert is_header(HEADER)
    fingerprints: list[Any] = [7, [], {b"seed": 0}]
    others: list[Payload] = [{**HEADER, "fingerprint": each} for each in fingerprints]
    for other in ({}, {**HEADER, "more": 1}, {**HEADER, "what": "done"}, *others):
        assert not is_header(other)
