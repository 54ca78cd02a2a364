"""Locks: what is none stays as it is, and who waits is told for whom."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from parallel_sharder.errors import SharderError
from parallel_sharder.stores.lease import lease
from parallel_sharder.stores.lock import locked_folder
from tests.made import dangling_link_at, link_at, notes_at


@pytest.mark.parametrize("make", [notes_at, link_at, dangling_link_at, os.mkfifo])
def test_foreign_locks(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """What has the name of the folder's lock and is none is refused and stays; nothing is made behind a link."""
    make(tmp_path / ".folder.lock")
    before = [(path.name, path.lstat().st_size) for path in sorted(tmp_path.iterdir())]
    message = r"cannot be locked with a file in it: .*(is a link|no lock of this|a pipe)"
    with pytest.raises(SharderError, match=message), locked_folder(str(tmp_path), lambda *_: None):
        pass
    assert before == [(path.name, path.lstat().st_size) for path in sorted(tmp_path.iterdir())]


def test_waiting_for_the_lock_is_told(tmp_path: Path) -> None:
    """Who holds it, by host, process and command, and for how long it has been waited; then it goes on."""
    script = f"""import sys, time
from parallel_sharder.stores.lock import locked_folder
sys.argv = ["parallel-sharder", "index", "/a b"]
with locked_folder({str(tmp_path)!r}, print):
    print("locked", flush=True)
    sys.stdin.read()"""
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert "locked\n" == holder.stdout.readline()
        told: list[tuple[str, float]] = []

        def waiting(whom: str, seconds: float) -> None:
            told.append((whom, seconds))
            if len(told) == 3 and holder.stdin is not None:
                holder.stdin.close()

        with locked_folder(str(tmp_path), waiting):
            assert [".folder.lock"] == os.listdir(tmp_path)
    assert {f"process {holder.pid} on {socket.gethostname()} (parallel-sharder index '/a b')"} == {
        who for who, _ in told
    }
    assert sorted(seconds for _, seconds in told) == [seconds for _, seconds in told]
    assert [] == os.listdir(tmp_path)


@pytest.mark.usefixtures("without_flock")
def test_without_flock_a_lease_locks_the_folder(tmp_path: Path) -> None:
    """It is the only file there, and is removed at the end."""
    with locked_folder(str(tmp_path), lambda *_: None):
        assert [".folder.lease"] == os.listdir(tmp_path)
    assert [] == os.listdir(tmp_path)


def test_across_hosts_both_locks_are_held(tmp_path: Path) -> None:
    """Since flock on some mounts succeeds without excluding others."""
    with locked_folder(str(tmp_path), lambda *_: None, across_hosts=True):
        assert [".folder.lease", ".folder.lock"] == sorted(os.listdir(tmp_path))
    assert [] == os.listdir(tmp_path)


def test_lease_of_the_folder_is_waited_for(tmp_path: Path) -> None:
    """Also by who would do with flock; the process that holds the lease is named."""
    held = lease(str(tmp_path / ".folder.lease"), what="")
    told: list[str] = []

    def waiting(whom: str, _: float) -> None:
        told.append(whom)
        held.release()

    with locked_folder(str(tmp_path), waiting):
        pass
    assert f"process {os.getpid()} on {socket.gethostname()} " in told[0]
    assert [] == os.listdir(tmp_path)
