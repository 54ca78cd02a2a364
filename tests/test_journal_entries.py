"""The journal's entries: maps by field name, back to what they were, and nothing else is believed."""

from __future__ import annotations

import msgpack
import pytest

from parallel_sharder.journal.entries import Dealt, Done, packed, unpacked
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem, ShardRecord
from parallel_sharder.stores.traces import Trace

PROBLEM = Problem(Kind.CHANGED, "/a/b", "b", "why", kept=True)
RECORD = ShardRecord(7, "x-7.tar", 5, 10, 9, "00ff", (1, 3), (PROBLEM,), "5" * 32, b"\0" * 4, (1, 0, 2))


@pytest.mark.parametrize(
    "entry", [Dealt("x-1.tar", 1), Dealt("x.json"), Dealt("x.json", None, Trace(5, "0f")), Done(RECORD)]
)
def test_entries_come_back(entry: Dealt | Done) -> None:
    """Through msgpack, field for field."""
    assert entry == unpacked(msgpack.unpackb(msgpack.packb(packed(entry, b"of"))))


def test_fields_have_names() -> None:
    """A record is a map of its fields, and so is each problem; what a field's value is by default can be left out."""
    payload = packed(Done(RECORD), b"of")
    assert payload["problems"] == ({"kind": "changed", "path": "/a/b", "key": "b", "detail": "why", "kept": True},)
    assert (7, "x-7.tar", 5, b"of") == tuple(payload[name] for name in ("number", "path", "samples", "of"))
    least = {name: payload[name] for name in ("number", "path", "samples", "tar_bytes", "file_bytes", "xxh3_128")}
    assert Done(ShardRecord(7, "x-7.tar", 5, 10, 9, "00ff")) == unpacked({"what": "done", "of": b"", **least})


def test_unknown_entries() -> None:
    """A field too many, one that is missing, and a kind of entry that there is not, are not guessed at."""
    dealt = packed(Dealt("x-1.tar", 1), b"of")
    for payload in (
        {**dealt, "later": 1},
        {**dealt, "what": "undone"},
        {"what": "dealt", "path": "x"},
        {},
        {"what": 7},
    ):
        assert unpacked(payload) is None
