"""The standard streams: who does not listen ends no run, and what cannot be written is said."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import made
from tests.test_cli_main import COMMAND, ENVIRONMENT


@pytest.mark.parametrize("redirection", ["2>&1 | head -1", ">/dev/full", "2>&-", "2>/dev/full"])
def test_output_that_nobody_takes(tmp_path: Path, redirection: str) -> None:
    """A closed pipe or a full disk under the messages does not stop a conversion, nor change its status."""
    made.classic_train(tmp_path / "raw")
    line = f"{' '.join(COMMAND)} --root {tmp_path}/raw --dest {tmp_path}/out {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == done.returncode
    assert "Traceback" not in done.stderr
    assert {"imagenet_train-000000.tar", "imagenet_train.json"} <= set(os.listdir(tmp_path / "out"))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["verify", "--help"], ["--dry-run"], []])
def test_closed_output_is_silent(tmp_path: Path, words: list[str]) -> None:
    """Where nobody reads standard output any more, as with `| head`, nothing is said of it, and the status is 0."""
    made.classic_train(tmp_path, images=5)
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run(
        [*COMMAND, *words], cwd=tmp_path, env=ENVIRONMENT, stdout=start, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(start)
    assert 0 == done.returncode
    assert "parallel-sharder" not in done.stderr
    assert "Error" not in done.stderr


def test_full_disk_under_the_output_is_said(tmp_path: Path) -> None:
    """Once, with the cause; the shards are there all the same."""
    made.classic_train(tmp_path, images=5)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "--quiet"], cwd=tmp_path, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    said = "parallel-sharder: standard output cannot be written: No space left on device. All else is done.\n"
    assert (0, said) == (done.returncode, done.stderr)
    assert (tmp_path / "imagenet_train.json").exists()
