"""The journal's file: what is appended is found again, a torn tail is removed, and its place is known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parallel_sharder.errors import DestinationError
from parallel_sharder.journal.file import JournalFile
from parallel_sharder.journal.records import MAGIC, Payload, State, contents_of, pack
from parallel_sharder.stores.log import is_held

HEADER: Payload = {"what": "header", "fingerprint": {}}


def held(path: Path) -> list[dict[str, object]]:
    return contents_of(path.read_bytes()).payloads


def test_what_is_appended_is_there(tmp_path: Path) -> None:
    """A file that is new begins with the mark of a journal, and opening alone writes nothing."""
    path = tmp_path / "log"
    log = JournalFile(str(path))
    assert (b"", State.NEW) == (path.read_bytes(), log.contents.state)
    log.append([HEADER])
    log.append([{"a": 1}, {"b": b"2"}])
    log.close()
    assert MAGIC + pack([HEADER, {"a": 1}, {"b": b"2"}]) == path.read_bytes()
    log = JournalFile(str(path))
    assert [HEADER, {"a": 1}, {"b": b"2"}] == log.contents.payloads
    log.close()


def test_torn_tail(tmp_path: Path) -> None:
    """It stays until something is appended, and is counted."""
    path = tmp_path / "log"
    whole, torn = MAGIC + pack([HEADER]), pack([{"a": 1}])[:-1]
    path.write_bytes(whole + torn)
    log = JournalFile(str(path))
    assert (len(torn), whole + torn) == (log.unread_bytes, path.read_bytes())
    log.append([{"b": 2}])
    log.close()
    assert whole + pack([{"b": 2}]) == path.read_bytes()


def test_lock(tmp_path: Path) -> None:
    """One opens it at a time, and whoever asks is told that it is held."""
    path = str(tmp_path / "log")
    assert not is_held(path)
    log = JournalFile(path)
    assert is_held(path)
    with pytest.raises(DestinationError, match=f"another run is writing there: it holds {path}. Wait for its end, or"):
        JournalFile(path)
    log.close()
    assert not is_held(path)
    JournalFile(path).close()


def test_begun_anew_and_replaced(tmp_path: Path) -> None:
    """Either holds the new payloads alone; one that is replaced is locked, and appended to, under the same name."""
    path = tmp_path / "log"
    log = JournalFile(str(path))
    log.append([HEADER, {"a": 1}])
    log.begin_anew([HEADER, {"b": 2}])
    assert [HEADER, {"b": 2}] == held(path)
    before = path.stat().st_ino
    log.replace([HEADER, {"c": 3}])
    log.append([{"d": 4}])
    assert [HEADER, {"c": 3}, {"d": 4}] == held(path)
    assert before != path.stat().st_ino
    assert log.has_its_name
    assert is_held(str(path))
    log.close()
    assert ["log"] == os.listdir(tmp_path)


def test_place(tmp_path: Path) -> None:
    """A file that is gone or another, and a folder that is, are known."""
    folder, path = tmp_path / "a", tmp_path / "a" / "log"
    folder.mkdir()
    log = JournalFile(str(path))
    assert log.has_its_folder
    assert log.has_its_name
    path.rename(folder / "away")
    assert not log.has_its_name
    path.touch()
    assert not log.has_its_name
    assert log.has_its_folder
    folder.rename(tmp_path / "b")
    assert not log.has_its_folder
    folder.mkdir()
    assert not log.has_its_folder
    log.close()


def test_copies(tmp_path: Path) -> None:
    """Each is of the bytes as they are, under a name of its own; the same bytes are kept once."""
    path = tmp_path / ".x.journal"
    log = JournalFile(str(path))
    log.append([HEADER])
    assert [f"{path}.damaged-1"] * 2 == [log.keep_aside(), log.keep_aside()]
    log.append([{}])
    assert f"{path}.damaged-2" == log.keep_aside()
    assert path.read_bytes() == (tmp_path / ".x.journal.damaged-2").read_bytes()
    log.close()
