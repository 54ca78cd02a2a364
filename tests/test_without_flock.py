"""The whole tool where the file system has no flock: runs exclude each other, and a killed one is continued at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.stores.lease import lease_at
from tests import made
from tests.test_convert import digests

WITHOUT_FLOCK = """import fcntl, os, sys, time
from tests.conftest import no_flock
fcntl.flock = no_flock
from parallel_sharder import coordinator
from parallel_sharder.cli.main import main
write, marker = coordinator.write_chunk, sys.argv.pop(1)
def write_and_wait(*arguments):
    if marker != "-":
        open(marker, "w").close()
        while not os.path.exists(marker + ".go"):
            time.sleep(0.05)
    return write(*arguments)
coordinator.write_chunk = write_and_wait
sys.exit(main(sys.argv[1:]))"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, images=40)
    return root


def words(raw: Path, out: Path, marker: str = "-") -> list[str]:
    options = f"--root {raw} --dest {out} --shards 4 --workers 0 --index wids,dali --quiet"
    return [sys.executable, "-W", "ignore", "-c", WITHOUT_FLOCK, marker, *options.split()]


@pytest.fixture
def begun(raw: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run to tmp_path/out that has begun its first shard, and goes on when there is a file tmp_path/marker.go."""
    marker = tmp_path / "marker"
    with subprocess.Popen(words(raw, tmp_path / "out", str(marker)), stderr=subprocess.PIPE, text=True) as process:
        while not marker.exists():
            assert process.poll() is None
            time.sleep(0.05)
        yield process
        process.kill()


def run(raw: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words(raw, out), capture_output=True, text=True, timeout=60, check=False)


def test_two_runs_exclude_each_other(begun: subprocess.Popen[str], raw: Path, tmp_path: Path) -> None:
    """The second names the process that the first is, and changes nothing."""
    before = sorted(os.listdir(tmp_path / "out"))
    second = run(raw, tmp_path / "out")
    assert 1 == second.returncode
    assert f"is in use: process {begun.pid} on " in second.stderr
    assert before == sorted(os.listdir(tmp_path / "out"))


def test_killed_run_is_continued_at_once(begun: subprocess.Popen[str], raw: Path, tmp_path: Path) -> None:
    """The same command on this host needs no option and no minute, and leaves the files of an undisturbed run."""
    begun.kill()
    begun.wait()
    assert ".imagenet_train.journal.lock" in os.listdir(tmp_path / "out")
    begin = time.monotonic()
    done = run(raw, tmp_path / "out")
    assert (0, "") == (done.returncode, done.stderr)
    assert time.monotonic() - begin < 60
    convert(Options(root=raw, dest=tmp_path / "undisturbed", shards=4, workers=0, index=("wids", "dali")))
    assert digests(tmp_path / "undisturbed") == digests(tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "undisturbed")) == sorted(os.listdir(tmp_path / "out"))


def test_run_that_lost_its_lock_stops(begun: subprocess.Popen[str], tmp_path: Path) -> None:
    """It records nothing more, says so, and what has the lock's name by then stays."""
    out = tmp_path / "out"
    lock, journal = out / ".imagenet_train.journal.lock", out / ".imagenet_train.journal"
    assert lease_at(str(lock)) is not None
    lock.unlink()
    lock.write_text("another's")
    before = journal.read_bytes()
    (tmp_path / "marker.go").touch()
    _, error = begun.communicate(timeout=60)
    assert 1 == begun.returncode
    assert f"{lock}, the lock of this process, was removed or replaced by something else" in error
    assert ("another's", before) == (lock.read_text(), journal.read_bytes())
