"""Golden digests: what is made today is what was made before, and what an earlier commit has left can be used."""

from __future__ import annotations

import itertools
import json
import os
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, VerifyOptions, convert, verify_shards
from tests import earlier, golden
from tests.test_convert import digests

EXPECTED: dict[str, Any] = json.loads(golden.GOLDEN.read_text())

RUN = golden.CASES if os.environ.get("GOLDEN") == "all" else golden.covering()
"""All cases wait some hundred times for the disk; by default each value of each dimension is there with each other."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a source of each layout."""
    folder = tmp_path_factory.mktemp("golden")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        golden.make_sources()
    return folder


@pytest.fixture
def beside_sources(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is that of the sources."""
    monkeypatch.chdir(sources)


def without_library(files: Mapping[str, golden.Entry]) -> dict[str, golden.Entry]:
    """What is the same whichever library compresses."""
    return {name: entry.get("inside", entry) for name, entry in files.items()}


# What is made today.


def test_cases_cover_each_pair() -> None:
    """Of layouts, forms and compressions each two values are in a case that is run."""
    dimensions = golden.LAYOUTS, golden.FORMS, tuple(golden.LIMITS)
    run = [set(name.split(" ")) for name in RUN]
    for some, others in itertools.combinations(dimensions, 2):
        for pair in itertools.product(some, others):
            assert any(run_case.issuperset(pair) for run_case in run), pair


def test_sources_are_as_they_were(beside_sources: None) -> None:
    """The made sets are those of which the digests were taken: other digests are the package's doing."""
    assert EXPECTED["source"] == golden.source_digest()
    assert [*EXPECTED["sets"]] == [*golden.CASES]


@pytest.mark.parametrize("name", RUN)
def test_same_bytes_as_before(beside_sources: None, name: str) -> None:
    """Shards, indexes, cards, class tables, lists of problems and manifests are those of the commit that was recorded.

    Compressed files count byte for byte where their library is the one that was recorded, elsewhere what is in them.
    """
    case, expected = golden.CASES[name], EXPECTED["sets"][name]
    assert expected["options"] == case.options
    actual = golden.golden_files(golden.convert_case(case))
    assert without_library(expected["files"]) == without_library(actual)
    if EXPECTED["libraries"].get(case.ending) == golden.libraries().get(case.ending):
        assert expected["files"] == actual


# What commit 305386f has left.


@pytest.fixture
def left(beside_sources: None, tmp_path: Path) -> Path:
    """The folder with the two sets of 305386f, `finished` and `half`; the current folder has their sources."""
    with tarfile.open(Path(__file__).with_name("305386f.tgz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_finished_set_of_an_earlier_commit_verifies(left: Path) -> None:
    """Alone and beside its source, it is sound; the two broken samples of the source are left out of it."""
    for source in (None, Path("kaggle")):
        verdict = verify_shards(VerifyOptions(dest=left / "finished", source=source, workers=0))
        assert () == tuple(verdict.deviations)
        assert (12, 3, 12 if source else 0) == (verdict.samples, verdict.shards, verdict.compared)
    assert (2, 3) == (verdict.left_out, verdict.exit_code)


def test_finished_set_of_an_earlier_commit_is_done(left: Path) -> None:
    """Its command, typed again, makes nothing, keeps all shards, and changes no file but for a version."""
    before = without_versions(left / "finished")
    report = convert(Options(**earlier.FINISHED, dest=str(left / "finished"), check=True))
    assert (3, 0, 3) == (report.kept_shards, report.made_samples, report.exit_code)
    assert "kept      all of them" in report.text()
    assert before == without_versions(left / "finished")


def test_set_half_made_by_an_earlier_commit(left: Path, tmp_path: Path) -> None:
    """Its command, typed again, keeps the shards that were recorded, and the result is that of an undisturbed run."""
    options = Options(**earlier.HALF, dest=str(left / "half"))
    report = convert(options)
    assert (2, 12) == (report.kept_shards, report.shards)
    convert(Options(**earlier.HALF, dest=str(tmp_path / "undisturbed")))
    assert without_paths(tmp_path / "undisturbed") == without_paths(left / "half")
    assert not [*(left / "half").glob("*.partial"), *(left / "half").glob(".*.partial")]


def without_versions(folder: Path) -> dict[str, bytes]:
    """What the files hold but the journal, and but manifest and card, in which the tool's version is."""
    files = [*folder.glob("*"), *folder.glob(".nv-meta/*")]
    private = ".nv-meta", ".imagenet_val.journal", "imagenet_val.json", "README.md"
    return {path.name: path.read_bytes() for path in files if path.name not in private}


def without_paths(folder: Path) -> dict[str, str]:
    """As `digests`, but of a list of problems, in which each shard's are as they were when it was made, without paths.

    The earlier commit had the sources in another folder.
    """
    [problems] = folder.glob("*.problems.jsonl")
    lines = sorted(re.sub('"path": "[^"]*/archives/', '"path": "', line) for line in problems.read_text().splitlines())
    return {**digests(folder), problems.name: "".join(lines)}
