"""Files that others can have put there are opened without waiting, and only if they are regular."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from parallel_sharder.regular import open_regular, read_regular


def test_regular_files_and_links_to_them(tmp_path: Path) -> None:
    """They are read as by open()."""
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert b"content" == read_regular(str(tmp_path / "a")) == read_regular(str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        read_regular(str(tmp_path / "c"))


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a socket", "a device"])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_WRONLY])
def test_what_is_no_regular_file(tmp_path: Path, kind: str, flags: int) -> None:
    """It is said what it is, at once."""
    path = tmp_path / "x"
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "a pipe":
            os.mkfifo(path)
        elif kind == "a folder":
            path.mkdir()
        elif kind == "a socket":
            server.bind(str(path))
        else:
            path = Path("/dev/zero")
        with pytest.raises(OSError, match=kind if flags == os.O_RDONLY or kind != "a folder" else "directory"):
            os.close(open_regular(str(path), flags))
