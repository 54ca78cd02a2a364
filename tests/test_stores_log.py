"""The log: what is appended is there, one process has it at a time, and its place is known."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

from parallel_sharder.errors import DestinationGoneError, HeldError
from parallel_sharder.stores.log import LocalLog, is_held, seems_held
from tests.conftest import no_flock
from tests.test_stores_lease import ELSEWHERE, other_owner


def refuse(seconds: float) -> None:
    """Ends the waiting for a log at once."""
    raise BlockingIOError(seconds)


def test_append_cuts_off_what_is_behind_its_position(tmp_path: Path) -> None:
    """So a torn record gives way to the next whole one."""
    log = LocalLog(str(tmp_path / "log"), refuse)
    log.append(b"whole, torn", 0)
    log.append(b"next", 7)
    assert b"whole, next" == log.read()
    log.close()


def test_replaced_log_is_the_one_that_is_read_and_held(tmp_path: Path) -> None:
    """The new file has the name, the content and the lock; what is appended goes to it."""
    path = tmp_path / "log"
    log = LocalLog(str(path), refuse)
    log.append(b"old", 0)
    before = path.stat().st_ino
    log.replace(b"new")
    log.append(b"er", 3)
    assert b"newer" == path.read_bytes()
    assert before != path.stat().st_ino
    assert log.has_its_name
    assert is_held(str(path))
    log.close()
    assert ["log"] == os.listdir(tmp_path)


def test_one_holds_the_log(tmp_path: Path) -> None:
    """Who comes second is told that it waits; after the first has closed it, nobody holds it."""
    path = str(tmp_path / "log")
    first = LocalLog(path, refuse)
    assert is_held(path)
    with pytest.raises(BlockingIOError):
        LocalLog(path, refuse)
    first.close()
    assert not is_held(path)
    LocalLog(path, refuse).close()


def test_a_log_that_is_not_there_is_not_held(tmp_path: Path) -> None:
    """Nor is what is no file."""
    os.mkfifo(tmp_path / "pipe")
    assert not is_held(str(tmp_path / "none"))
    assert not is_held(str(tmp_path / "pipe"))


def test_a_log_knows_that_its_name_is_anothers(tmp_path: Path) -> None:
    """A file that was put in its place, or its removal, is seen; the folder is still its own."""
    path = tmp_path / "log"
    log = LocalLog(str(path), refuse)
    assert (True, True) == (log.has_its_folder, log.has_its_name)
    path.unlink()
    assert (True, False) == (log.has_its_folder, log.has_its_name)
    path.touch()
    assert (True, False) == (log.has_its_folder, log.has_its_name)
    log.close()


def test_a_log_knows_that_its_folder_is_another(tmp_path: Path) -> None:
    """A folder that was made anew under the name is not the one in which the log was opened."""
    folder = tmp_path / "folder"
    folder.mkdir()
    log = LocalLog(str(folder / "log"), refuse)
    folder.rename(tmp_path / "renamed")
    assert not log.has_its_folder
    folder.mkdir()
    assert not log.has_its_folder
    log.close()


@pytest.mark.usefixtures("without_flock")
def test_without_flock_a_lease_locks_the_log(tmp_path: Path) -> None:
    """One holds it, also after it was replaced; the lease is removed at the end."""
    path = tmp_path / "log"
    log = LocalLog(str(path), refuse)
    log.append(b"old", 0)
    log.replace(b"new")
    assert is_held(str(path))
    with pytest.raises(HeldError, match=rf"^{path} is in use: process {os.getpid()} on "):
        LocalLog(str(path), refuse)
    log.close()
    assert not is_held(str(path))
    assert (["log"], b"new") == (os.listdir(tmp_path), path.read_bytes())


def test_without_flock_nothing_is_appended_after_a_takeover(tmp_path: Path, without_flock: None) -> None:
    """A run whose lease is gone stops before it writes."""
    path = tmp_path / "log"
    log = LocalLog(str(path), refuse)
    log.append(b"ours", 0)
    os.unlink(f"{path}.lock")
    with pytest.raises(DestinationGoneError, match=rf"{path}.lock, the lock of this process, was removed"):
        log.append(b"more", 4)
    assert b"ours" == path.read_bytes()
    log.close()


def test_lease_of_a_host_without_flock_counts_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has flock on the same file system keeps out while the lease is held."""
    path = str(tmp_path / "log")
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", no_flock)
        log = LocalLog(path, refuse)
    assert is_held(path)
    with pytest.raises(HeldError):
        LocalLog(path, refuse)
    log.close()
    LocalLog(path, refuse).close()


def test_what_a_lease_of_another_host_seems_to_say(tmp_path: Path) -> None:
    """The log seems to be held while the lease is fresh by the clocks, and not when it is old."""
    path = tmp_path / "log"
    path.touch()
    with other_owner(tmp_path / "log.lock", ELSEWHERE) as process:
        assert seems_held(str(path))
        process.kill()
        process.wait()
        os.utime(tmp_path / "log.lock", (time.time() - 100,) * 2)
        assert not seems_held(str(path))


def test_lock_that_fails_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is no lack of locks: it is raised, and no lease is made."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output error"):
        LocalLog(str(tmp_path / "log"), refuse)
    assert ["log"] == os.listdir(tmp_path)
