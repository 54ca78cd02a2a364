"""Energon's index: what `energon prepare` would write, and what people have written stays."""

from __future__ import annotations

import json
import re
import sqlite3
import tarfile
from array import array
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.indexed import content_of, copied, finished_sets, foreign, index, refusal


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val side by side, made by the tool."""
    return finished_sets(tmp_path_factory.mktemp("shards"))


def test_energon(shards: Path, tmp_path: Path) -> None:
    """The tables, the offsets of each shard, and the files that tell of the folder; twice the same, uuid and all."""
    folder = copied(shards, tmp_path / "copy")
    names = index(folder, "energon", workers=2)
    assert {"index.sqlite", "index.uuid", ".info.json", "split.yaml", "dataset.yaml"} <= set(names)
    meta = folder / ".nv-meta"
    database = sqlite3.connect(meta / "index.sqlite")
    found = set(database.execute("SELECT * FROM samples")), set(database.execute("SELECT * FROM sample_parts"))
    database.close()
    expected_samples, expected_parts = set(), set()
    for number, path in enumerate(sorted(folder.glob("*.tar"))):
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            starts = [*(member.offset for member in members[::3]), archive.offset]
        assert array("Q", starts).tobytes() == Path(f"{path}.idx").read_bytes()
        for sample, (start, end) in enumerate(pairwise(starts)):
            key = members[3 * sample].name.partition(".")[0]
            expected_samples.add((number, key, sample, start, end - start))
            for member in members[3 * sample : 3 * sample + 3]:
                field = member.name.partition(".")[2]
                expected_parts.add((number, sample, field, member.offset_data, member.size))
    assert (expected_samples, expected_parts) == found
    assert {f"imagenet_{split}-{number:06}.tar": count for split, number, count in (
        ("train", 0, 17), ("train", 1, 17), ("train", 2, 16), ("val", 0, 10), ("val", 1, 10)
    )} == json.loads((meta / ".info.json").read_text())["shard_counts"]  # fmt: skip
    assert (
        "split_parts:\n  train:\n  - imagenet_train-{000000..000002}.tar\n  val:\n"
        "  - imagenet_val-{000000..000001}.tar\n  test: []\nexclude: []\n"
    ) == (meta / "split.yaml").read_text()
    assert "label_name: json[cname]" in (meta / "dataset.yaml").read_text()

    uuid = (meta / "index.uuid").read_text()
    (meta / "dataset.yaml").write_text("mine")
    index(folder, "energon")
    assert (uuid, "mine") == ((meta / "index.uuid").read_text(), (meta / "dataset.yaml").read_text())
    (folder / "imagenet_val-000001.tar").unlink()
    index(folder, "energon")
    assert uuid != (meta / "index.uuid").read_text()


def test_energon_wants_unique_keys(tmp_path: Path) -> None:
    """A key that is there twice in two shards is named, and nothing of the table is left."""
    foreign(tmp_path / "x-000000.tar", ["1.jpg", "2.jpg"])
    foreign(tmp_path / "x-000001.tar", ["3.jpg", "2.jpg"])
    assert "has the sample 2, which is there twice" in refusal(tmp_path, "energon")
    assert not (tmp_path / ".nv-meta").exists()
    foreign(tmp_path / "x-000001.tar", ["__meta__/a.jpg", "3.txt"])
    foreign(tmp_path / "x-000007.tar", ["7.jpg"])
    index(tmp_path, "energon")
    assert (
        "split_parts:\n  train: []\n  val: []\n  test: []\n"
        "  x:\n  - x-000000.tar\n  - x-000001.tar\n  - x-000007.tar\nexclude: []\n"
    ) == (tmp_path / ".nv-meta" / "split.yaml").read_text()
    assert not (tmp_path / ".nv-meta" / "dataset.yaml").exists()


@pytest.mark.parametrize(
    "name", ["null", "on", "2", "@a", "*a", "x: y", "- a", "a #b", "é", "{a}", "a\\b", "'", '"', "!"]
)
def test_names_in_split_yaml(tmp_path: Path, name: str) -> None:
    """Sets of others, called anything, are there by their names, as keys and as what energon expands; so is timm's."""
    files = [f"{name}-{number}.tar" for number in range(2)]
    for file in files:
        foreign(tmp_path / file, [f"{file}.jpg"])
    index(tmp_path, "energon", "timm", "openclip", "wids")
    content = yaml.safe_load((tmp_path / ".nv-meta" / "split.yaml").read_bytes())
    own = name.split("-")[-1]
    assert {"train", "val", "test", own} == content["split_parts"].keys()
    assert files == [each for part in content["split_parts"][own] for each in expanded(part)]
    assert files == json.loads((tmp_path / "_info.json").read_text())["splits"][own]["filenames"]


def expanded(pattern: str) -> list[str]:
    """What energon makes of a pattern: one range of numbers, and a backslash before what means itself."""
    literal = re.sub(r"\\(.)", lambda match: f"\0{ord(match[1])}\0", pattern)
    match = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", literal)
    parts = [literal] if match is None else [
        f"{match[1]}{number:0{len(match[2])}}{match[4]}" for number in range(int(match[2]), int(match[3]) + 1)
    ]  # fmt: skip
    return [re.sub("\0([0-9]+)\0", lambda match: chr(int(match[1])), part) for part in parts]


def test_what_people_have_excluded(tmp_path: Path) -> None:
    """It stays, however it is written; a split.yaml that cannot be read is refused before anything is written."""
    foreign(tmp_path / "x-0.tar", ["a.jpg"])
    index(tmp_path, "energon")
    path = tmp_path / ".nv-meta" / "split.yaml"
    for text, excluded in (
        ("exclude: ['x-0.tar/a', \"@b\"]", ["x-0.tar/a", "@b"]),
        ("exclude:\n  - x-0.tar/a # why\n  - 'null'\nsplit_parts: {}\n", ["x-0.tar/a", "null"]),
        ("", []),
        ("exclude:\n", []),
    ):
        path.write_text(text)
        index(tmp_path, "energon")
        assert excluded == yaml.safe_load(path.read_text())["exclude"]
    before = content_of(tmp_path)
    for text in ("exclude: 7", "exclude: [7]", "- a", "a: b: c", "!!python/name:os.system x", "exclude: [*a]"):
        path.write_text(text)
        assert re.search(rf"{path} is there, and it (is no YAML|has no list of names)", refusal(tmp_path, "energon"))
    path.write_text(before[".nv-meta/split.yaml"].decode())
    assert before == content_of(tmp_path)
