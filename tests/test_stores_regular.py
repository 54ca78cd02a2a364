"""Files that others can have put there are opened without waiting, and only if they are regular."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from parallel_sharder.stores.blob import LooseFile
from parallel_sharder.stores.regular import open_regular, read_regular


def test_regular_files_and_links_to_them(tmp_path: Path) -> None:
    """They are read as by open()."""
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert b"content" == read_regular(str(tmp_path / "a")) == read_regular(str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        read_regular(str(tmp_path / "c"))


LEASE = """
import fcntl, os, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
descriptor = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("leased", flush=True)
signal.sigwait([signal.SIGIO])
time.sleep(0.2)
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
"""


@pytest.mark.parametrize("read", [read_regular, lambda path: LooseFile(path, 7).read()])
def test_files_with_a_lease(tmp_path: Path, read: Callable[[str], bytes]) -> None:
    """Samba and NFS servers have such on files that they share: they are told to give it up, and that is waited for."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    with subprocess.Popen([sys.executable, "-c", LEASE, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != "leased\n":
            pytest.skip("this file system has no leases")
        assert b"content" == read(str(path))
        assert 0 == holder.wait()


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
