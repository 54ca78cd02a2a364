"""Leftovers: what a killed command leaves in the folder for temporary files, which is everybody's."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parallel_sharder import Options, VerifyOptions, convert, verify_shards
from parallel_sharder.cli.main import main
from parallel_sharder.stores import durable
from tests import made

KILLED = {
    "--root {}/archives --dest {}/new --shards 3": "coordinator:publish",
    "--root {}/archives --dest {}/new --dry-run": "coordinator:make_plan",
    "verify {}/out": "verify.command:Rows.of",
    "verify {}/out --source {}/archives": "verify.command:compare_with_source",
    "index {}/out --for all": "indexes.command:FolderIndexes",
}
"""Commands, and what they are about to call when they are killed."""

SPOOL = ".parallel_sharder.annotations.{}.partial"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Official archives and a finished set of them; in temporary/ what is left there."""
    made.classic_train(tmp_path / "raw", classes=2, images=12, annotated=1)
    made.official_archives(tmp_path / "archives", tmp_path / "raw")
    convert(Options(root=tmp_path / "archives", dest=str(tmp_path / "out"), shards=3, workers=0))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def killed(words: str, folder: Path) -> None:
    """Run a command with two workers until it is killed."""
    module, _, name = KILLED[words].partition(":")
    script = (
        f"import os, signal, sys; import parallel_sharder.{module} as module\n"
        "from parallel_sharder.cli.main import main\n"
        f"module.{name} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", script, *words.format(folder, folder).split(), "--workers", "2"]
    assert -signal.SIGKILL == subprocess.run(command, capture_output=True).returncode


@pytest.mark.parametrize("words", KILLED)
def test_nothing_is_left_for_long(folder: Path, words: str) -> None:
    """A killed command leaves nothing but the spool of `verify --source`, and the next one removes that."""
    killed(words, folder)
    left = os.listdir(folder / "temporary")
    assert [name for name in left if not name.startswith(".parallel_sharder.annotations.")] == []
    assert ("--source" in words) == bool(left)
    assert 0 == main([*f"verify {folder}/out --source {folder}/archives --quiet".split()])
    assert [] == os.listdir(folder / "temporary")


def test_what_is_in_use_or_another_s_stays(folder: Path) -> None:
    """A spool that somebody has locked, links, pipes, and files of other names."""
    temporary = folder / "temporary"
    living, left, link, pipe = (temporary / SPOOL.format(f"0123abc{number}") for number in range(4))
    others = [temporary / name for name in ("parallel_sharder-notes.txt", "parallel_sharder.annotations", "target")]
    for path in (living, left, *others):
        path.write_text("text")
    link.symlink_to("target")
    os.mkfifo(pipe)
    with living.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        options = VerifyOptions(dest=folder / "out", source=folder / "archives", workers=0)
        assert () == verify_shards(options).deviations
        assert {living, link, pipe, *others} == {*temporary.iterdir()}
    assert "text" == others[-1].read_text()


def test_spool_that_another_run_takes_for_one_that_was_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making of a spool and its lock, a run that looks for such may remove it: then another is made."""
    flock = fcntl.flock
    taken: list[Path] = []

    def late(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        if not taken:
            taken.extend((folder / "temporary").iterdir())
            taken[0].unlink()

    monkeypatch.setattr(fcntl, "flock", late)
    options = VerifyOptions(dest=folder / "out", source=folder / "archives", workers=0)
    assert () == verify_shards(options).deviations
    assert 1 == len(taken)
    assert [] == os.listdir(folder / "temporary")


def test_file_that_another_run_takes_for_one_that_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with every file that is being written, such as a shard: no run loses one to another's tidying."""
    flock = fcntl.flock
    looked: list[bool] = []

    def late(descriptor: int, operation: int) -> None:
        if not looked:
            looked.append(True)
            durable.remove_partials(str(tmp_path), "x")
            assert [] == os.listdir(tmp_path)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    durable.write_file(str(tmp_path / "x"), b"data")
    assert {"x": b"data"} == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
