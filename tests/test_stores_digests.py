"""Digests of whole files: those that other programs give, and none for what is no file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import xxhash

from parallel_sharder.stores.digests import digest_if_readable, digests_of


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 5])
def test_digests_are_those_of_all_bytes(tmp_path: Path, size: int) -> None:
    """Of files of any size, empty or larger than what is read at a time."""
    path, data = str(tmp_path / "x"), bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    Path(path).write_bytes(data)
    assert (path, hashlib.md5(data).hexdigest(), xxhash.xxh3_128_hexdigest(data)) == digests_of(path)
    assert (path, xxhash.xxh3_128_hexdigest(data)) == digest_if_readable(path)


def test_what_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    """A missing file, a folder and a pipe: one function says "", the other raises OSError; neither waits."""
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "none"), str(tmp_path), str(tmp_path / "pipe")):
        assert (path, "") == digest_if_readable(path)
        with pytest.raises(OSError):
            digests_of(path)
