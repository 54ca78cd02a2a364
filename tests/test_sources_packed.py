"""Compressed files: the commands that a refusal has, tried in a shell."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.packed import refuse_unstaged
from parallel_sharder.sources.shards.expand import expand


def test_several_are_compressed(tmp_path: Path, typed: None) -> None:
    """All are counted, and one command decompresses those of one ending; the tars that it makes can be read."""
    for name in ("1.tar.gz", "2.tar.gz", "3.tgz"):
        (tmp_path / name).write_bytes(gzip.compress(bytes(1024)))
    packed = expand([str(tmp_path)]).packed
    refuse_unstaged(packed, may_stage=True)
    with pytest.raises(SourceError, match=r"^3 archives are compressed, the first \S+/1.tar.gz by gzip, ") as caught:
        refuse_unstaged(packed, may_stage=False)
    first, *commands = str(caught.value).splitlines()
    assert [f"  gzip -dk {tmp_path}/*.tar.gz", f"  gzip -dk {tmp_path}/*.tgz"] == commands
    for command in commands:
        subprocess.run(command, shell=True, check=True)
    assert "Leave out --stage none" in first
    assert tuple(f"{tmp_path}/{number}.tar" for number in (1, 2, 3)) == expand([f"{tmp_path}/*.tar"]).paths


def test_many_commands(tmp_path: Path) -> None:
    """Where names do not say the compression, each file has its command; five are shown, and the others counted."""
    for number in range(7):
        (tmp_path / f"{number}.tar").write_bytes(gzip.compress(bytes(1024)))
    with pytest.raises(SourceError) as caught:
        refuse_unstaged([str(tmp_path / f"{number}.tar") for number in range(7)], may_stage=False)
    _, *commands = str(caught.value).splitlines()
    assert 6 == len(commands)
    assert f"  mv {tmp_path}/0.tar {tmp_path}/0.tar.gz && gzip -dk {tmp_path}/0.tar.gz" == commands[0]
    assert "  (and 2 such commands more)" == commands[-1]
