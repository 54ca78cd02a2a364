"""The fingerprint: equal ones have one digest, and how two differ is said in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.errors import DestinationError
from parallel_sharder.journal.fingerprint import FORMAT, fingerprint_digest, refuse_other
from parallel_sharder.journal.journal import Journal
from parallel_sharder.journal.records import MAGIC, pack
from tests.test_journal import DEALT, FINGERPRINT


def test_fingerprint_of_no_text(tmp_path: Path) -> None:
    """A header whose entries have bytes for names is none, and is refused like every record that is not known."""
    path = tmp_path / ".x.journal"
    data = MAGIC + pack([{"what": "header", "fingerprint": {b"seed": None}}, {**DEALT, "of": b""}])
    path.write_bytes(data)
    with pytest.raises(DestinationError, match="is damaged, and what is whole in it is of a set that was made from or"):
        Journal(str(path), FINGERPRINT)
    assert data == path.read_bytes()


def test_the_order_of_entries_changes_no_digest() -> None:
    """Another value does."""
    assert fingerprint_digest({"seed": 1, "format": FORMAT}) == fingerprint_digest({"format": FORMAT, "seed": 1})
    assert fingerprint_digest({"seed": 1, "format": FORMAT}) != fingerprint_digest({"seed": 2, "format": FORMAT})


def test_equal_fingerprints_are_not_refused() -> None:
    """A run that is continued has nothing to say."""
    refuse_other("/out/.journal", {"format": FORMAT, "seed": 1}, {"seed": 1, "format": FORMAT}, {})


def test_each_difference_is_said_with_both_values() -> None:
    """Entries that one of them lacks too; those that agree are not named."""
    before = {"format": FORMAT, "seed": 1, "shards": 3}
    with pytest.raises(DestinationError) as caught:
        refuse_other("/out/.journal", before, {**before, "seed": 2, "shards": None, "card": True}, {})
    assert ["  seed: 1, now 2", "  shards: 3, now none", "  card: none, now True"] == [
        line for line in caught.value.args if line.startswith("  ")
    ]


def test_digests_are_not_shown() -> None:
    """Of a digest, a list's or that of many archives, people are told what it is of."""
    before = {
        "format": FORMAT, "digest of names, sizes and classes": "00", "rows": "1", "meta": "2", "keep": None,
        "times of 40 archives": "3",
    }  # fmt: skip
    now = {**before, "digest of names, sizes and classes": "ff", "rows": "0", "meta": "0", "keep": {"count": 2}}
    del now["times of 40 archives"]
    with pytest.raises(DestinationError) as caught:
        refuse_other("/out/.journal", before, now, {})
    assert [
        "  names or sizes of files, or classes, differ",
        "  the rows of the table differ",
        "  --meta: a list, now another",
        "  --keep: none, now a list",
        "  then 40 archives",
    ] == [line for line in caught.value.args if line.startswith("  ")]
    assert "parallel-sharder status /out shows the command" in caught.value.args[-1]


def test_times_of_archives_that_were_lost_can_be_restored() -> None:
    """If nothing else differs, the command that gives each archive its time is in the message."""
    before = {"format": FORMAT, "time of a.tar": "2024-01-01T00:00:00Z"}
    now = {"format": FORMAT, "time of a.tar": "2025-01-01T00:00:00Z"}
    with pytest.raises(DestinationError) as caught:
        refuse_other("/out/.journal", before, now, {"time of a.tar": "/raw it/a.tar"})
    assert "  touch -d 2024-01-01T00:00:00Z '/raw it/a.tar'" in caught.value.args
