"""The benchmarks run: each on next to nothing, and each ends with a line of JSON. What they measure is not judged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tools import browser, limited_disk, machines
from tests.conftest import needs

CHECKOUT = Path(__file__).parents[1]
SCRIPTS = {
    "throughput": "--images 40 --runs 1 --workers 1 2 --peers raw_copy GNU_tar reference reference_pool",
    "throughput --cold": "--images 40 --runs 1 --workers 1",
    "cold_files": "--images 40 --runs 1 --readers 1 2 --contents-only",
    "workers": "--images 40 --runs 1 --workers 1 2 --peers raw_copy",
    "profile": "--images 40 --runs 1",
    "compression": "--images 20 --runs 1",
    "memory": "--images 40",
    "startup": "--runs 1",
    "dealing": "--workers 2 --samples 10 --chunks 20",
    "safety": "--images 40 --runs 1",
    "output": "--images 40 --runs 1",
    "archives": "--images 40 --runs 1 --workers 1 --members 3000",
    "reshard": "--images 40 --runs 1",
    "indexes": "--images 40 --runs 1 --samples 300",
    "scan": "--images 2000",
    "engines": "--engines processes --samples 10 --chunks 5 --rounds 1",
    "coordinator": "--workers 10 --chunks 200 --samples 10",
    "nodes": "--rows 20000 --nodes 4",
    "class_folders": "--files 2000 --classes 20 --runs 2",
    "tables": "--rows 3000 --runs 2",
    "whole_set": "--images 300 --shards 3 --rows 2000",
    "seeking_disk": "--bytes 2e6 --runs 1",
    "staging": "--images 40 --runs 1",
    "report_page": "--shards 5 --classes 3 --images 100 --runs 1",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_benchmark_runs(tmp_path: Path, script: str) -> None:
    """It prints a table for people, and then the same as one JSON line that names it."""
    name, *options = script.split()
    if name == "seeking_disk" and limited_disk.missing():
        pytest.skip(limited_disk.missing())
    if name == "report_page" and browser.program() is None:
        needs("chromium")
    options += [word.replace("_", " ") for word in SCRIPTS[script].split()]
    if name not in ("startup", "dealing"):
        options += ["--folder", str(tmp_path / "sets")]
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    *table, line = done.stdout.splitlines()
    assert len(table) >= 3
    assert name == json.loads(line)["benchmark"]


@pytest.mark.skipif(bool(limited_disk.missing()), reason=limited_disk.missing())
def test_a_limited_disk_leaves_nothing(tmp_path: Path) -> None:
    """Neither a mount, a device, a group nor a file, if a command fails and leaves a process behind that holds it."""

    def left() -> list[str]:
        mounts = Path("/proc/self/mounts").read_text()
        devices = subprocess.run(
            ["losetup", "--list", "--output", "BACK-FILE"], check=True, capture_output=True, text=True
        )
        return [text for text in (mounts, devices.stdout) if str(tmp_path) in text] + [*map(str, tmp_path.iterdir())]

    leaves_a_process = 'cd "$0"; sleep 600 >&- 2>&- & exit 7'
    with (
        pytest.raises(SystemExit, match="status 7"),
        limited_disk.limited_disk(tmp_path, 20_000_000, limited_disk.Limits(150, 150_000_000)) as disk,
    ):
        assert left()
        disk.run(["sh", "-c", leaves_a_process, str(disk.path)])
    assert [] == left()
    assert not disk.group.exists()


def test_every_question_is_asked() -> None:
    """Each script beside `tools` is tried above, belongs to `make bench`, and stands in the README of benchmarks."""
    scripts = {path.stem for path in (CHECKOUT / "benchmarks").glob("*.py")} - {"__init__"}
    assert scripts == {script.split()[0] for script in SCRIPTS}
    assert scripts == set(re.findall(r"-m benchmarks\.(\w+)", (CHECKOUT / "Makefile").read_text()))
    assert scripts == set(
        re.findall(r"^\| `(\w+)` \|", (CHECKOUT / "benchmarks" / "README.md").read_text(), re.MULTILINE)
    )


def test_maker_of_sets(tmp_path: Path) -> None:
    """It makes as many images as it is told, in no more classes."""
    words = [str(tmp_path), "--images", "20", "--classes", "5", "--scale", "0.003"]
    subprocess.run([sys.executable, "-m", "benchmarks.tools.make_imagenet", *words], cwd=CHECKOUT, check=True)
    assert 20 == len(list(tmp_path.glob("train/*/*.JPEG")))
    assert 5 == len(list((tmp_path / "train").iterdir()))


def test_figures_of_the_readme() -> None:
    """The paragraph on speed has the figures of the table of machines, one machine after the other."""
    _, speed, *_ = re.split(r"^## (?:Speed|Licence)$", (CHECKOUT / "README.md").read_text(), flags=re.MULTILINE)
    _, *programs = machines.table((CHECKOUT / "benchmarks" / "README.md").read_text())
    figures = [cells[column] for column in (1, 2) for cells in programs]
    assert figures == [figure for figure in re.findall(r"(?<![\d/])\d+(?![\d/])", speed) if int(figure) > 10]
