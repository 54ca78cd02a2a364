"""The fingerprint: equal ones have one digest, and how two differ is said in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.errors import DestinationError
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
