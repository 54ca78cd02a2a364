"""What DEST of verify names: our sets, or those of others, never both."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.cli.main import main
from parallel_sharder.errors import DestinationError
from parallel_sharder.verify.places import named_by
from tests import made
from tests.foreign import check, samples, tar_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Shards of two sets of others, some without a number, and one whose name no pattern can have."""
    for name in ("a-000.tar", "a-001.tar", "a-10.tar", "b_0.tgz", "all.tar", "my set 1.tar", ".hidden-0.tar", "c.txt"):
        (tmp_path / name).write_bytes(tar_of(samples(name.partition(".")[0].replace(" ", ""))))
    return tmp_path


def names(dest: object) -> list[list[str]]:
    return [[Path(path).name for path in each.paths] for each in named_by(str(dest)).foreign]


def test_folders(folder: Path) -> None:
    """All shards belong to sets by their names, in order of number; hidden files are none."""
    assert [["a-000.tar", "a-001.tar", "a-10.tar"], ["all.tar"], ["b_0.tgz"], ["my set 1.tar"]] == names(folder)
    assert [f"{folder}/{name}" for name in ("a-%02d.tar", "all.tar", "b_%01d.tgz", "my set *.tar")] == [
        each.name for each in named_by(str(folder)).foreign
    ]


def test_each_name_names_its_set(folder: Path) -> None:
    """What a set is called can be typed as DEST, and names that set alone."""
    for each in named_by(str(folder)).foreign:
        [same] = named_by(each.name).foreign
        assert each.paths == same.paths


@pytest.mark.parametrize(
    ("dest", "expected"),
    [
        ("a-%03d.tar", ["a-000.tar", "a-001.tar", "a-10.tar"]),
        ("a-001.tar", ["a-001.tar"]),
        ("a-*.tar", ["a-000.tar", "a-001.tar", "a-10.tar"]),
        ("a-{000..002}.tar", ["a-000.tar", "a-001.tar", "a-002.tar"]),
        ("{all,a-10}.tar", ["all.tar", "a-10.tar"]),
        ("*", ["a-000.tar", "a-001.tar", "a-10.tar", "all.tar", "b_0.tgz", "my set 1.tar"]),
    ],
)
def test_patterns(folder: Path, dest: str, expected: list[str]) -> None:
    """A pattern, one shard, a glob or braces name one set; braces name missing shards too."""
    assert [expected] == names(folder / dest)


def test_missing_shard_of_braces(folder: Path) -> None:
    """It is a fault, and the others are checked."""
    verdict = check(folder / "a-{000..002}.tar")
    assert (1, 2) == (verdict.exit_code, verdict.samples)
    assert [(f"{folder}/a-002.tar", "is missing")] == [(each.path, each.detail) for each in verdict.deviations]


@pytest.mark.parametrize(
    ("dest", "message"),
    [
        ("c.txt", "c.txt is no manifest, and its name ends as no shard's does"),
        ("x-%06d.tar", "x-%06d.tar names no shards: no file in .* has such a name"),
        ("*.txt", r"\*.txt names no shards"),
        ("nowhere/*.tar", r"\*.tar names no shards"),
        ("nowhere/x-%06d.tar", "nowhere cannot be read: No such file or directory"),
        ("x-{0..99999999}.tar", "names more than 1,000,000 files"),
    ],
)
def test_refusals(folder: Path, dest: str, message: str) -> None:
    """What names no shards is refused with what could."""
    with pytest.raises(DestinationError, match=message):
        check(folder / dest)


def test_other_compressions(folder: Path) -> None:
    """Archives that no reader of shards reads are not passed over in silence."""
    (folder / "a-002.tar.xz").touch()
    [notice] = [each for each in check(folder).notices if "xz" in each]
    assert notice.startswith(f"{folder}/a-002.tar.xz was not verified, because no reader of shards reads")


def test_ours_come_first(folder: Path) -> None:
    """Beside a set of ours, sets of others are named with the command that verifies them, and it does."""
    made.classic_train(folder / "raw", images=8, annotated=4)
    convert(Options(root=folder / "raw", dest=str(folder / "x-%04d.tar"), shards=2, workers=0))
    for dest in (folder, folder / "*.tar"):
        verdict = check(dest)
        assert (((f"{folder}/x.json"),), (), 8, 0) == (
            verdict.manifests, verdict.foreign, verdict.samples, verdict.exit_code,
        )  # fmt: skip
        commands = [command for each in verdict.notices for command in re.findall("`(.*)`", each)]
        assert (4 if dest == folder else 3) == len(commands)
        for command in commands:
            program, *words = shlex.split(command)
            assert ("parallel-sharder", "verify") == (program, words[0])
            if not words[1].endswith("tgz"):  # this one is none
                assert 0 == main([*words, "--quiet", "--workers", "0"])


def test_one_shard_of_ours(folder: Path) -> None:
    """It is checked by itself, and the set to which it belongs is named."""
    made.classic_train(folder / "raw", images=8, annotated=4)
    convert(Options(root=folder / "raw", dest=str(folder / "x-%04d.tar"), shards=2, workers=0))
    verdict = check(folder / "x-0001.tar")
    assert ((f"{folder}/x-0001.tar",), 4, 0) == (verdict.foreign, verdict.samples, verdict.exit_code)
    [notice] = verdict.notices
    assert f"belongs to the set of {folder}/x.json" in notice
    (folder / "x.json").unlink()
    assert (f"{folder}/x.json",) == check(folder / "x-*.tar").manifests  # the journal says that it is not finished
    assert 1 == check(folder / "x-%04d.tar").exit_code


def test_source_needs_a_manifest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Foreign shards cannot be compared with a source, because nothing says how."""
    assert 1 == main(["verify", str(folder / "a-%03d.tar"), "--source", str(folder), "--quiet"])
    assert "Leave --source out, and the shards are checked by themselves." in capsys.readouterr().err


def test_wids_indexes(folder: Path) -> None:
    """An index of wids belongs to the set of which it lists a shard, whatever the index is called."""
    entries = [{"url": "a-000.tar", "nsamples": 1}]
    index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries}
    (folder / "other.json").write_text(json.dumps(index))
    for dest in (folder, folder / "a-%03d.tar", folder / "a-000.tar", folder / "a-*.tar"):
        assert [f"{folder}/other.json"] == [each.path for each in named_by(str(dest)).foreign[0].indexes]
