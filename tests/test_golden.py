"""Golden digests: what is made today is what was made before, and what an earlier commit has left can be used."""

from __future__ import annotations

import itertools
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, VerifyOptions, convert, verify_shards
from parallel_sharder.errors import DestinationError
from tests import earlier, golden

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


@pytest.mark.parametrize(("name", "choices"), [("finished", earlier.FINISHED), ("half", earlier.HALF)])
def test_set_begun_by_an_earlier_commit_is_refused(left: Path, name: str, choices: dict[str, Any]) -> None:
    """In a sentence, whether it is finished or not, and no file of it but a temporary one is touched."""
    before = files_in(left / name)
    with pytest.raises(DestinationError, match=r"begun by an earlier version .* \(format 4 in .*this version's is 5\)"):
        convert(Options(**choices, dest=str(left / name)))
    assert before == files_in(left / name)


@pytest.mark.parametrize(("name", "choices"), [("finished", earlier.FINISHED), ("half", earlier.HALF)])
def test_set_begun_by_an_earlier_commit_is_made_anew(left: Path, name: str, choices: dict[str, Any]) -> None:
    """With --overwrite, once the shard is removed that was dealt and not recorded; and then it is sound."""
    options = Options(**choices, dest=str(left / name), overwrite=True)
    if name == "half":
        with pytest.raises(DestinationError, match=r"imagenet_train-000002.tar is there, and not as .* recorded"):
            convert(options)
        (left / name / "imagenet_train-000002.tar").unlink()
    assert 0 == convert(options).kept_shards
    assert () == verify_shards(VerifyOptions(dest=left / name, workers=0)).deviations


# What commit cecd7b5 has left.


@pytest.fixture
def left_unstaged(beside_sources: None, tmp_path: Path) -> Path:
    """The folder with the two sets of cecd7b5; the current folder has their sources."""
    with tarfile.open(Path(__file__).with_name("cecd7b5.tgz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.mark.parametrize("is_staged", [False, True])
def test_set_begun_before_there_was_a_stage(left_unstaged: Path, is_staged: bool) -> None:
    """It goes on, with a stage or without; what is done is kept, and all shards are those of an undisturbed run."""
    half, alone, stage = (left_unstaged / name for name in ("half", "alone", "stage"))
    kept = {path.name: path.stat().st_ino for path in half.glob("*-00000[01].tar")}
    report = convert(Options(**earlier.HALF, dest=str(half), stage=stage if is_staged else None))
    convert(Options(**earlier.HALF, dest=str(alone)))
    assert 2 == report.kept_shards
    assert kept == {path.name: path.stat().st_ino for path in half.glob("*-00000[01].tar")}
    assert [path.read_bytes() for path in sorted(alone.glob("*.tar"))] == [
        path.read_bytes() for path in sorted(half.glob("*.tar"))
    ]
    assert () == verify_shards(VerifyOptions(dest=half, source=Path("archives"), workers=0)).deviations
    assert not stage.exists()


def test_set_finished_before_there_was_a_stage(left_unstaged: Path) -> None:
    """It is sound, and the same command finds all of it done, also with a stage, of which nothing is filled."""
    finished, stage = left_unstaged / "finished", left_unstaged / "stage"
    verdict = verify_shards(VerifyOptions(dest=finished, source=Path("kaggle"), workers=0))
    assert ((), 12, 12) == (tuple(verdict.deviations), verdict.samples, verdict.compared)
    report = convert(Options(**earlier.FINISHED, dest=str(finished), stage=stage))
    assert (3, 0) == (report.kept_shards, report.made_samples)
    assert not stage.exists()


def files_in(folder: Path) -> dict[Path, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".partial"]
    return {path: path.read_bytes() for path in paths}
