"""The benchmarks run: each on next to nothing, and each ends with a line of JSON. What they measure is not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = {
    "throughput": "--images 40 --runs 1 --workers 1 2 --peers raw_copy GNU_tar reference reference_pool",
    "throughput --cold": "--images 40 --runs 1 --workers 1",
    "workers": "--images 40 --runs 1 --workers 1 2 --peers raw_copy",
    "profile": "--images 40 --runs 1",
    "compression": "--images 20 --runs 1",
    "memory": "--images 40",
    "startup": "--runs 1",
    "dealing": "--workers 2 --samples 10 --chunks 20",
    "safety": "--images 40 --runs 1",
    "output": "--images 40 --runs 1",
    "archives": "--images 40 --runs 1 --workers 1 --members 3000",
    "indexes": "--images 40 --runs 1 --samples 300",
    "scan": "--images 2000",
    "whole_set": "--images 300 --shards 3 --rows 2000",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_benchmark_runs(tmp_path: Path, script: str) -> None:
    """It prints a table for people, and then the same as one JSON line that names it."""
    name, *options = script.split()
    options += [word.replace("_", " ") for word in SCRIPTS[script].split()]
    if name not in ("startup", "dealing"):
        options += ["--folder", str(tmp_path / "sets")]
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    *table, line = done.stdout.splitlines()
    assert len(table) >= 3
    assert name == json.loads(line)["benchmark"]
