"""The local disk as a store: what its methods answer, and what they leave."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from parallel_sharder.stores.local import LocalStore


def test_free_bytes_of_a_folder_to_be_made(tmp_path: Path) -> None:
    """A folder that is not there yet has the room of the nearest one that is."""
    status = os.statvfs(tmp_path)
    free = LocalStore().free_bytes(str(tmp_path / "a" / "b"))
    assert abs(free - status.f_bavail * status.f_frsize) < 2**30


def test_what_is_put_is_read_again(tmp_path: Path) -> None:
    """One file of the bytes, or of several parts, and nothing beside it."""
    store, path = LocalStore(), str(tmp_path / "x")
    store.put(path, b"whole")
    assert (b"whole", 5, ["x"]) == (store.read(path), store.size(path), store.names(str(tmp_path)))
    store.put(path, iter([b"in ", b"parts"]), lambda _: True)
    assert b"in parts" == store.read(path)


def test_what_is_not_ours_is_not_replaced(tmp_path: Path) -> None:
    """A file of other bytes stays; one of the same bytes is the file."""
    store, path = LocalStore(), str(tmp_path / "x")
    store.put(path, b"theirs")
    with pytest.raises(FileExistsError):
        store.put(path, b"ours")
    store.put(path, b"theirs")
    assert (b"theirs", ["x"]) == (store.read(path), store.names(str(tmp_path)))


def test_a_file_is_visible_when_it_is_finished(tmp_path: Path) -> None:
    """While it is written, nothing has its name; aborted, nothing is left of it."""
    store, path = LocalStore(), str(tmp_path / "x")
    writer = store.create(path, md5=True)
    writer.write(b"abc")
    assert not store.exists(path)
    writer.finish()
    assert (b"abc", hashlib.md5(b"abc").hexdigest()) == (store.read(path), writer.md5)
    other = store.create(str(tmp_path / "y"))
    other.write(b"abc")
    other.abort()
    assert ["x"] == store.names(str(tmp_path))


def test_what_another_library_builds_gets_its_name_at_the_end(tmp_path: Path) -> None:
    """Folders that were made for what is aborted are removed."""
    store, path = LocalStore(), str(tmp_path / "folder" / "x")
    building = store.build(path)
    building.abort()
    assert [] == store.names(str(tmp_path))
    building = store.build(path)
    with open(building.local_path, "wb") as file:
        file.write(b"built")
    assert not store.exists(path)
    building.finish(lambda _: False)
    assert (b"built", ["x"]) == (store.read(path), store.names(str(tmp_path / "folder")))


def test_a_mark_is_another_when_the_file_is(tmp_path: Path) -> None:
    """A file with another mark is not removed by the old one."""
    store, path = LocalStore(), str(tmp_path / "x")
    assert store.identity(path) is None
    store.put(path, b"one")
    mark = store.identity(path)
    os.unlink(path)
    store.put(path, b"another")
    store.remove_identified(path, mark)
    assert b"another" == store.read(path)
    store.remove_identified(path, store.identity(path))
    assert not store.exists(path)
    store.remove(path)  # which is no error


def test_a_broken_link_is_something_and_no_file(tmp_path: Path) -> None:
    """What would be replaced by a rename exists."""
    store, path = LocalStore(), str(tmp_path / "x")
    os.symlink("nowhere", path)
    assert (True, False, False, "") == (
        store.exists(path),
        store.is_file(path),
        store.is_folder(path),
        store.kind(path),
    )


def test_a_pipe_is_named_and_not_opened(tmp_path: Path) -> None:
    """Nobody waits for who would write to it."""
    store, path = LocalStore(), str(tmp_path / "x")
    os.mkfifo(path)
    assert "a pipe" == store.kind(path)
    with pytest.raises(OSError, match="a pipe"):
        store.read(path)
    with pytest.raises(OSError, match="a pipe"):
        store.open(path)


def test_folders_that_were_made_are_removed_if_they_are_empty(tmp_path: Path) -> None:
    """Those that were there stay."""
    store = LocalStore()
    made = store.make_folder(str(tmp_path / "a" / "b"))
    assert [str(tmp_path / "a"), str(tmp_path / "a" / "b")] == made
    assert [] == store.make_folder(str(tmp_path / "a" / "b"))
    store.remove_folders(made)
    assert [] == store.names(str(tmp_path))


def test_asking_whether_a_folder_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    """A folder to be made is as its nearest parent is; a file is none."""
    store = LocalStore()
    store.refuse_unwritable(str(tmp_path / "a" / "b"))
    assert [] == store.names(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        store.refuse_unwritable(str(tmp_path / "file"))


def test_a_log_is_held_while_it_is_open(tmp_path: Path) -> None:
    """And can be appended to later."""
    store, path = LocalStore(), str(tmp_path / "log")
    with pytest.raises(FileNotFoundError):
        store.refuse_unappendable(path)
    log = store.log(path, lambda _: None)
    assert store.is_held(path)
    log.close()
    assert not store.is_held(path)
    store.refuse_unappendable(path)
