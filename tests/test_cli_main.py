"""The command as a user types it: a subprocess, its output and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from tests import made
from tests.conftest import needs
from tests.reference import expected_members, members_of, read_with_webdataset

COMMAND = [sys.executable, "-m", "parallel_sharder"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONWARNINGS": "error"}


def run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )


def test_bare_command_in_the_data_sets_folder(tmp_path: Path) -> None:
    """Without a word more, train becomes shards here, and the summary tells all that a user wants to know."""
    made.classic_train(tmp_path)
    done = run(cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert expected_members(tmp_path, "train") == members_of([tmp_path / "imagenet_train-000000.tar"])
    assert f"layout       classic tree, train images in {tmp_path}/train" in done.stderr
    assert "classes      5 of the 1,000 in " in done.stderr
    assert "writing 60 samples to 1 shard\n" in done.stderr
    for line in (
        r"samples   60",
        r"shards    1, [\d.]+ kB",
        r"elapsed   [\d.]+ s with \d+ workers?",
        r"rate      [\d,]+ images/s, \d+ MB/s",
        r"left out  nothing",
        r"braces    imagenet_train-000000.tar",
        r"manifest  imagenet_train.json",
        r"    import webdataset as wds",
    ):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), line


@pytest.mark.parametrize("suffix", ["tar", "tgz", "tar.zst"])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize(
    ("folder", "is_pattern"),
    [
        ("shards", True),
        ('user\'s "shards" of 50% $HOME; \N{SNOWMAN} \N{GRINNING FACE}', True),
        ("a{b}c", False),
        ("{0..1}", False),
        ("${HOME}", False),
        ("a::b", False),
        ("back\\slash", False),
        ("it's {all}::100%\\ of 'it'", False),
    ],
)
def test_example_in_the_summary_works(tmp_path: Path, folder: str, is_pattern: bool, shards: int, suffix: str) -> None:
    """The lines that the summary ends with, run as they are, give the bytes of every image, in any folder."""
    made.classic_train(tmp_path / "raw", images=6)
    if suffix == "tar.zst":
        needs("zstd")
    options = Options(root=tmp_path / "raw", dest=tmp_path / folder / f"x-%06d.{suffix}", shards=shards, workers=0)
    title, *lines = convert(options).example().splitlines()
    assert "Read them with" == title
    assert 3 == len(lines)
    assert is_pattern == ("WebDataset([" not in lines[1])
    code = "\n".join(map(str.strip, lines[:2])).replace('.decode("pil")', ".decode()")  # made images do not decode
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(*[type(image) for image, label in dataset])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ["<class 'bytes'>"] * 6 == re.findall("<.*?>", shown.stdout)


def test_quiet_prints_no_example(tmp_path: Path) -> None:
    """The summary alone, and nothing on standard error; without --quiet the example follows it."""
    made.classic_train(tmp_path, images=5)
    assert "\n\nRead them with\n    import webdataset" in run(cwd=tmp_path).stdout
    done = run("--quiet", cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert "manifest  imagenet_train.json" == done.stdout.splitlines()[-1]


def test_json_and_quiet(tmp_path: Path) -> None:
    """--json prints one JSON document on standard output, --quiet nothing on standard error."""
    made.classic_train(tmp_path / "raw")
    (tmp_path / "raw" / "train" / "notes.txt").touch()
    done = run("--root", tmp_path / "raw", "--dest", tmp_path / "out", "--json", "--quiet")
    assert (0, "") == (done.returncode, done.stderr)
    summary = json.loads(done.stdout)
    assert {
        "samples": 60,
        "shards": 1,
        "left_out": 0,
        "braces": f"{tmp_path}/out/imagenet_train-000000.tar",
    }.items() <= (summary.items())
    assert ["not-an-image"] == [problem["kind"] for problem in summary["problems"]]
    assert {"scan", "plan", "write"} == set(summary["seconds"])
    size = (tmp_path / "out" / "imagenet_train-000000.tar").stat().st_size
    assert size == summary["file_bytes"] == summary["tar_bytes"]


def test_left_out_samples_are_named_and_end_with_3(tmp_path: Path) -> None:
    """The summary counts and names what is not in the shards, and what was merely noticed."""
    expected = made.classic_train(tmp_path, annotated=0)
    first = min(expected.wnids)
    expected.xml(f"train/{expected.wnids[first]}", first).write_text("<oops")
    folder = tmp_path / "train" / made.WNIDS[0]
    (folder / f"{made.WNIDS[1]}_1.JPEG").touch()
    for number in range(12):
        (folder / f"{number}.txt").touch()
    done = run(cwd=tmp_path)
    assert 3 == done.returncode
    assert "samples   59\n" in done.stdout
    assert "left out  2 samples\n" in done.stdout
    assert f"image whose name does not fit its folder, left out: 1\n  {folder}/{made.WNIDS[1]}_1.JPEG" in done.stdout
    assert f"annotation is broken, left out: 1\n  {folder}/{first}.xml: not well-formed XML" in done.stdout
    assert f"not an image of the set, reported only: 12\n  {folder}/0.txt" in done.stdout
    assert "  and 2 more" in done.stdout


def test_verify(tmp_path: Path) -> None:
    """After a conversion it says that the set is sound, and after damage where that is, with 0 and 1."""
    made.classic_train(tmp_path / "raw")
    assert 0 == run("--root", tmp_path / "raw", "--dest", tmp_path / "out", "--shards", "3").returncode
    done = run("verify", tmp_path / "out", "--source", tmp_path / "raw", "--workers", "2")
    assert (0, "") == (done.returncode, done.stderr)
    assert "source   60 samples compared with" in done.stdout
    assert "verdict  sound\n" in done.stdout
    shard = tmp_path / "out" / "imagenet_train-000001.tar"
    os.truncate(shard, 512)
    done = run("verify", tmp_path / "out", "--quiet")
    assert (1, "") == (done.returncode, done.stderr)
    assert f"verdict  3 deviations\n{shard}\n  offset 512: ends within " in done.stdout
    done = run("verify", tmp_path / "out", "--json")
    verdict = json.loads(done.stdout)
    assert (1, False, 3) == (done.returncode, verdict["sound"], len(verdict["deviations"]))


def test_shards_are_read_by_webdataset(tmp_path: Path) -> None:
    """What the command wrote, webdataset gives back: every sample once."""
    expected = made.classic_train(tmp_path)
    assert 0 == run("--maxcount", "20", "--labels", "sorted", cwd=tmp_path).returncode
    samples = read_with_webdataset(str(path) for path in sorted(tmp_path.glob("*.tar")))
    assert {key: made.WNIDS.index(wnid) for key, wnid in expected.wnids.items()} == {
        sample["__key__"]: sample["cls"] for sample in samples
    }
    assert 60 == len(samples)
