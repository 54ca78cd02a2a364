"""File systems that sync nothing of a kind (SMB, some FUSE), and such as fail to: what is done, and what is said."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.stores import durable
from tests import made
from tests.test_convert import digests

PATCHED = """\
import os, stat, sys
from parallel_sharder.cli.main import main

number, kinds, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]

def refusing(call):
    def refuse(descriptor):
        kind = "folders" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "files"
        if kind in kinds and name in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        call(descriptor)
    return refuse

os.fsync, os.fdatasync = refusing(os.fsync), refusing(os.fdatasync)
sys.exit(main(sys.argv[4:]))
"""
"""The command line where syncing is refused of these kinds, of what has the name in its path; for workers by fork."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, images=60)
    return root


@pytest.fixture(scope="module")
def undisturbed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed")
    convert(Options(root=raw, dest=str(out), shards=10, workers=0))
    return digests(out)


def run(raw: Path, out: Path, number: int, kinds: str, name: str = "", *more: str) -> subprocess.CompletedProcess[str]:
    words = f"--root {raw} --dest {out} --shards 10 --workers 2 --start-method fork --quiet".split()
    return subprocess.run(
        [sys.executable, "-c", PATCHED, str(number), kinds, name, *words, *more],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
@pytest.mark.parametrize("kinds", ["folders", "files", "files and folders"])
def test_syncing_that_is_refused_is_passed_over(
    raw: Path, undisturbed: dict[str, str], tmp_path: Path, number: int, kinds: str
) -> None:
    """The set is made all the same, and the summary says once that a power cut can undo it, and what to do then."""
    out = tmp_path / "new" / "out"
    done = run(raw, out, number, kinds)
    assert (0, "") == (done.returncode, done.stderr)
    assert undisturbed == digests(out)
    note = (
        f"The file system of {out} does not sync {kinds}: after a power cut, shards that were finished before it can "
        "be lost or damaged. The same command with --check finds them and makes them again."
    )
    assert [f"note: {note}"] == [line for line in done.stdout.splitlines() if line.startswith("note")]
    min(out.glob("*.tar")).unlink()
    again = run(raw, out, number, kinds, "", "--check", "--json", "--index", "dali,timm")
    assert [note] == json.loads(again.stdout)["notices"]
    assert undisturbed.items() <= digests(out).items()


def test_usual_file_systems_need_no_note(raw: Path, tmp_path: Path) -> None:
    """Where all is synced nothing is said."""
    report = convert(Options(root=raw, dest=str(tmp_path), workers=0))
    assert () == report.notices
    assert [] == report.json()["notices"]
    assert "note" not in report.text()


@pytest.mark.parametrize(
    ("kinds", "name", "message"),
    [
        ("folders", "", "{out} cannot hold the shards: Input/output error ({above}). {remedy}"),
        ("folders", "/out", "{out}: Input/output error. {remedy}"),
        ("files", "journal", "{out}/.imagenet_train.journal: Input/output error. {remedy}"),
        ("files", "-000003.tar", "{out}/imagenet_train-000003.tar cannot be written: Input/output error. "),
        ("files", "imagenet_train.json", "{out}/imagenet_train.json cannot be written: Input/output error. "),
    ],
)
def test_syncing_that_fails_stops_the_run(
    raw: Path, undisturbed: dict[str, str], tmp_path: Path, kinds: str, name: str, message: str
) -> None:
    """Any other answer is a failure, told with the path, the cause and the remedy; the same command continues."""
    out = tmp_path / "out"
    done = run(raw, out, errno.EIO, kinds, name)
    remedy = "Mend that, or choose another folder with --dest."
    assert 1 == done.returncode
    assert done.stderr.startswith(f"parallel-sharder: {message.format(out=out, above=tmp_path, remedy=remedy)}")
    assert done.stderr.endswith((f"{remedy}\n", "or choose another --dest.\n", "the same command writes the rest.\n"))
    assert 0 == run(raw, out, errno.EIO, "nothing").returncode
    assert undisturbed == digests(out)


def test_failure_to_sync_when_continuing(raw: Path, tmp_path: Path) -> None:
    """A disk that fails since an earlier run is named by the folder, before anything is made."""
    out = tmp_path / "out"
    convert(Options(root=raw, dest=str(out), shards=10, workers=0))
    min(out.glob("*.tar")).unlink()
    done = run(raw, out, errno.EIO, "folders", "/out")
    assert f"parallel-sharder: {out}: Input/output error. Mend that, and type the same command again.\n" == done.stderr


def test_files_without_a_name_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose data cannot be synced gets its final name where that is refused, and is gone where it fails."""

    def answer(number: int) -> None:
        def refuse(descriptor: int) -> None:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", refuse)

    answer(errno.EINVAL)
    durable.write_file(str(tmp_path / "a"), b"whole")
    assert b"whole" == (tmp_path / "a").read_bytes()
    answer(errno.EIO)
    with pytest.raises(OSError, match=f"Input/output error: '{tmp_path}/b'"):
        durable.write_file(str(tmp_path / "b"), b"lost")
    assert ["a"] == os.listdir(tmp_path)
