"""The log: what is appended is there, one process has it at a time, and its place is known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parallel_sharder.stores.log import LocalLog, is_held


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
