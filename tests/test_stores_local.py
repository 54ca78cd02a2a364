"""The local disk as a store: what its methods answer, and what they leave."""

from __future__ import annotations

import os
from pathlib import Path

from parallel_sharder.stores.local import LocalStore


def test_free_bytes_of_a_folder_to_be_made(tmp_path: Path) -> None:
    """A folder that is not there yet has the room of the nearest one that is."""
    status = os.statvfs(tmp_path)
    free = LocalStore().free_bytes(str(tmp_path / "a" / "b"))
    assert abs(free - status.f_bavail * status.f_frsize) < 2**30
