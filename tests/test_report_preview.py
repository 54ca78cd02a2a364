"""The preview: a dry run says what a run would do, and changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from parallel_sharder import Options, convert, preview
from parallel_sharder.cli.main import main
from tests import made
from tests.test_cli_main import run


def test_dry_run_of_what_would_be_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with 1 and says why: too little space, files of others, another set's journal."""
    made.classic_train(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("parallel_sharder.stores.local.LocalStore.free_bytes", lambda store, folder: 1000)
        status, last = dry_run(capsys, tmp_path)
        assert (1, "outcome      the run would be refused, because there is too little space") == (status, last)
    refused = 1, "outcome      the run would be refused, because something is in the way"
    (tmp_path / "out").mkdir()
    foreign = tmp_path / "out" / "imagenet_train-000003.tar"
    foreign.touch()
    assert refused == dry_run(capsys, tmp_path)
    foreign.unlink()
    index = tmp_path / "out" / "_info.json"
    index.write_text("mine")
    assert refused == dry_run(capsys, tmp_path, "--index", "timm")
    index.unlink()
    assert 0 == main(["--root", str(tmp_path), "--dest", str(tmp_path / "out"), "--shards", "3", "--quiet"])
    assert refused == dry_run(capsys, tmp_path, "--shards", "2")


def test_dry_run_into_a_link_that_leads_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The space is that of the folder above the link; the run would be refused, and the preview says so."""
    made.classic_train(tmp_path)
    made.dangling_link_at(tmp_path / "out")
    assert (1, "outcome      the run would be refused, because something is in the way") == dry_run(capsys, tmp_path)


def test_dry_run_of_what_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shards of an earlier run of the same set are in nobody's way: they are kept, or removed with --overwrite."""
    made.classic_train(tmp_path)
    assert 0 == main(["--root", str(tmp_path), "--dest", str(tmp_path / "out"), "--shards", "3", "--quiet"])
    assert (0, "kept         all of them: nothing was left to do") == dry_run(capsys, tmp_path, "--shards", "3")
    (tmp_path / "out" / "imagenet_train-000001.tar").unlink()
    assert (0, "kept         2 shards of an earlier run") == dry_run(capsys, tmp_path, "--shards", "3")
    assert 0 == dry_run(capsys, tmp_path, "--shards", "2", "--overwrite")[0]


def test_dry_run(tmp_path: Path) -> None:
    """It prints the plan, in text or JSON, and writes nothing at all."""
    made.classic_train(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = run("--dry-run", "--maxcount", "7", cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    for line in (
        r"layout   +classic tree, train images in .*/train",
        r"samples  +60",
        r"shards   +9 with 6 or 7 samples each, the largest at most [\d.]+ kB",
        r"braces   +imagenet_train-\{000000\.\.000008\}\.tar",
        r"space    +at most [\d.]+ kB needed, [\d,.]+ [GT]B free",
    ):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), line
    plan = json.loads(run("--dry-run", "--json", "--shards", "2", cwd=tmp_path).stdout)
    assert {"samples": 60, "shards": 2, "samples_per_shard": [30, 30], "taken": []}.items() <= plan.items()
    assert before == sorted(tmp_path.rglob("*"))


def test_preview_is_what_convert_does(tmp_path: Path) -> None:
    """The dry run's numbers are those of the run, sizes as upper bounds, and nothing is written."""
    made.classic_train(tmp_path / "raw")
    options = Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=0, maxcount=7)
    plan = preview(options)
    assert not (tmp_path / "out").exists()
    report = convert(options)
    assert (plan.samples, plan.shards, plan.braces) == (report.samples, report.shards, report.braces)
    assert report.tar_bytes <= plan.needed_bytes <= 1.5 * report.tar_bytes
    assert plan.free_bytes > 0
    assert ((), 0, 0) == (plan.taken, plan.kept_shards, plan.exit_code)
    again = preview(options)
    assert ((), 9, 0, 0) == (again.taken, again.kept_shards, again.needed_bytes, again.exit_code)
    assert "  none needed, " in again.text()


def dry_run(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str]:
    """The status and the last line."""
    status = main(["--root", str(root), "--dest", str(root / "out"), "--workers", "0", "--dry-run", *words])
    return status, capsys.readouterr().out.splitlines()[-1]
