"""Verify of other tools' sets as a whole: what one shard by itself does not show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder.cli.main import main
from parallel_sharder.verify import foreign
from tests.foreign import PICTURE, check, faults, remarks, samples, tar_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound set of three shards."""
    for number in range(3):
        members = samples(*(f"s{number}_{each}" for each in range(4)))
        (tmp_path / f"x-{number:03}.tar").write_bytes(tar_of(members))
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
def test_sound_sets(folder: Path, workers: int) -> None:
    """Their samples and shards are counted, and it is said that no manifest was there to compare them with."""
    verdict = check(folder, workers)
    assert ("", 12, 3, 0) == (faults(verdict), verdict.samples, verdict.shards, verdict.exit_code)
    assert (f"{folder}/x-%03d.tar",) == verdict.foreign
    assert "checked by the rules of readers alone" in verdict.notices[0]
    assert "verdict  sound\n" in verdict.text()


def test_keys_in_several_shards(folder: Path) -> None:
    """Both places of each are named, for a key in three shards too."""
    (folder / "x-003.tar").write_bytes(tar_of(samples("y", "s0_1")))
    (folder / "x-004.tar").write_bytes(tar_of(samples("s0_1", "s2_3")))
    data = faults(check(folder))
    for line in (
        "x-003.tar s0_1 6656: is the key of a sample in another shard too: {0}/x-000.tar, at offset 6,656",
        "x-004.tar s0_1 0: is the key of a sample in another shard too: {0}/x-003.tar, at offset 6,656",
        "x-004.tar s2_3 ",
    ):
        assert line.replace("6656", str(_second())).replace("6,656", f"{_second():,}").format(folder) in data
    assert 3 == len(data.splitlines())


def _second() -> int:
    """The offset of the second of two samples."""
    return 3 * 512 + 2 * 512 + len(PICTURE) + -len(PICTURE) % 512


def test_many_keys_in_several_shards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first are named, and the others are counted."""
    monkeypatch.setattr(foreign, "_REPEATS_LIMIT", 3)
    (folder / "x-003.tar").write_bytes((folder / "x-000.tar").read_bytes())
    (folder / "x-004.tar").write_bytes((folder / "x-001.tar").read_bytes())
    verdict = check(folder)
    assert 4 == len(verdict.deviations)
    assert "x-%03d.tar  None: 5 more keys are in several shards" in faults(verdict)


def test_keys_of_other_sets(folder: Path) -> None:
    """Two sets in one folder, such as train and val, may have the same keys."""
    (folder / "y-000.tar").write_bytes((folder / "x-000.tar").read_bytes())
    assert 0 == check(folder).exit_code
    assert 1 == check(folder / "*.tar").exit_code


def test_fields_that_differ(folder: Path) -> None:
    """They are remarked, with how many samples have which; their order makes no difference."""
    (folder / "x-001.tar").write_bytes(tar_of([("a.jpg", PICTURE), ("b.txt", b""), ("b.jpg", PICTURE)]))
    (folder / "x-002.tar").write_bytes(tar_of([("c.jpg", PICTURE), ("c.txt", b"")]))
    verdict = check(folder)
    assert ("x-%03d.tar 3: samples whose fields differ: 4 with cls, jpg, json; 2 with jpg, txt; 1 with jpg") in remarks(
        verdict
    )
    assert 0 == verdict.exit_code


def test_numbers_that_lack(folder: Path) -> None:
    """A gap between the numbers is remarked, because a shard may be missing."""
    (folder / "x-009.tar").write_bytes(tar_of(samples("z")))
    (folder / "x-001.tar").unlink()
    assert "x-%03d.tar 7: numbers that no shard has: 1, 3 to 8" in remarks(check(folder))


def test_wids_index_beside(folder: Path) -> None:
    """Its counts are compared with the shards; shards that it lists in vain, or does not list, are named."""
    entries: list[dict[str, Any]] = [{"url": "x-000.tar", "nsamples": 4}, {"url": "x-001.tar", "nsamples": 4}]
    _write_index(folder, entries)
    verdict = check(folder)
    assert 0 == verdict.exit_code
    assert "x.json 1: does not list all shards of the set: x-002.tar" in remarks(verdict)
    entries[1]["nsamples"], entries[0]["filesize"] = 5, 7
    _write_index(folder, [*entries, {"url": "x-003.tar", "nsamples": 1}])
    size = (folder / "x-000.tar").stat().st_size
    assert [
        f"x.json  None: says that x-000.tar has 7 bytes; it has {size:,}",
        "x.json  None: says that x-001.tar has 5 samples; it holds 4",
        "x.json  None: lists x-003.tar, which is missing",
    ] == faults(check(folder)).splitlines()


def _write_index(folder: Path, entries: list[dict[str, Any]]) -> None:
    index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries}
    (folder / "x.json").write_text(json.dumps(index))


def test_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text and JSON have both faults and remarks; faults alone decide the status."""
    (folder / "x-003.tar").write_bytes(tar_of([("a b.jpg", PICTURE)]))
    assert 0 == main(["verify", str(folder), "--workers", "0", "--quiet"])
    text = capsys.readouterr().out
    assert f"set      {folder}/x-%03d.tar\n" in text
    assert "verdict  sound\n" in text
    assert "remarks, which are no faults:\n" in text
    assert f"index for DALI cannot hold (1: {folder}/x-003.tar, offset 0, a b)" in text
    assert "zeros that fill up the last record of the tar (4 in 4 shards, first: " in text
    (folder / "x-004.tar").write_bytes(tar_of([("README", b"")]))
    assert 1 == main(["verify", str(folder), "--workers", "0", "--quiet", "--json"])
    content = json.loads(capsys.readouterr().out)
    assert ([f"{folder}/x-%03d.tar"], [], False) == (content["foreign"], content["manifests"], content["sound"])
    assert [("", 0)] == [(each["key"], each["offset"]) for each in content["deviations"]]
    assert {"path", "detail", "count", "key", "offset"} == content["remarks"][0].keys()
    assert 1 == main(["verify", str(folder), "--workers", "0", "--quiet"])
    assert "verdict  1 fault\n" in capsys.readouterr().out
