"""Scratch: files of one run, which nobody else takes for left ones, and which go with the run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from parallel_sharder.stores.lease import lease_at
from parallel_sharder.stores.lease_record import packed
from parallel_sharder.stores.scratch import ScratchAppender, ScratchFile, remove_left


def test_what_is_appended_is_in_the_file(tmp_path: Path) -> None:
    """Each appender writes behind what it has written before."""
    scratch = ScratchFile(str(tmp_path / "spool"))
    appender = ScratchAppender(scratch.path)
    appender.append(b"one")
    appender.append(b"two")
    appender.close()
    assert b"onetwo" == Path(scratch.path).read_bytes()
    scratch.remove()
    assert [] == os.listdir(tmp_path)


def test_private_scratch_is_its_owners_alone(tmp_path: Path) -> None:
    """Others can neither read nor write it."""
    scratch = ScratchFile(str(tmp_path / "spool"), is_private=True)
    assert 0o600 == os.stat(scratch.path).st_mode & 0o777
    scratch.remove()


def test_only_what_nobody_holds_is_left(tmp_path: Path) -> None:
    """The files of ended runs are removed; those in use stay, and so do files of another place."""
    scratch = ScratchFile(str(tmp_path / "a.b"))
    (tmp_path / ".a.b.0123abcd.partial").touch()
    (tmp_path / ".axb.0123abcd.partial").touch()
    remove_left(str(tmp_path / "a.b"))
    assert {os.path.basename(scratch.path), ".axb.0123abcd.partial"} == set(os.listdir(tmp_path))
    scratch.remove()


def test_a_scratch_file_that_is_gone_is_removed_in_silence(tmp_path: Path) -> None:
    """Whoever removed it first hinders nobody, and neither does a folder that is not there."""
    scratch = ScratchFile(str(tmp_path / "spool"))
    os.unlink(scratch.path)
    scratch.remove()
    remove_left(str(tmp_path / "nowhere" / "spool"))


@pytest.mark.usefixtures("without_flock")
def test_without_flock_a_lease_keeps_the_file(tmp_path: Path) -> None:
    """What this host can prove to be left is removed with its lease; what has none, or a living owner, stays."""
    scratch = ScratchFile(str(tmp_path / "spool"))
    unknown, left = (tmp_path / f".spool.0123abc{number}.partial" for number in (0, 1))
    unknown.touch()
    left.touch()
    record = lease_at(f"{scratch.path}.lock")
    assert record is not None
    dead = record.but(owner=replace(record.owner, started="1"))
    Path(f"{left}.lock").write_bytes(packed(dead))
    remove_left(str(tmp_path / "spool"))
    assert {scratch.path, f"{scratch.path}.lock", str(unknown)} == {str(path) for path in tmp_path.iterdir()}
    scratch.remove()
    assert [unknown] == [*tmp_path.iterdir()]
