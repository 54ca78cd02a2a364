"""timm's index, and open_clip's: counts of all sets in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.indexed import copied, finished_sets, foreign, index, refusal, whole


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val side by side, made by the tool."""
    return finished_sets(tmp_path_factory.mktemp("shards"))


def test_timm_and_openclip_take_in_all_sets(shards: Path, tmp_path: Path) -> None:
    """Both splits of a folder are in one file, and what is there of others stays."""
    folder = copied(shards, tmp_path / "copy")
    (folder / "_info.json").write_text('{"splits": {"other": {"name": "other"}}, "more": 1}')
    (folder / "sizes.json").write_text('{"x-000000.tar": 7}')
    assert ["_info.json", "sizes.json"] == index(folder, "timm", "openclip")
    info = json.loads((folder / "_info.json").read_text())
    assert (1, ["other", "train", "val"]) == (info["more"], list(info["splits"]))
    assert {
        "name": "train",
        "filenames": [f"imagenet_train-00000{number}.tar" for number in range(3)],
        "shard_lengths": [17, 17, 16],
        "num_samples": 50,
    } == info["splits"]["train"]
    expected = {"x-000000.tar": 7}
    expected |= {f"imagenet_train-00000{number}.tar": count for number, count in enumerate((17, 17, 16))}
    expected |= {f"imagenet_val-00000{number}.tar": 10 for number in range(2)}
    assert expected == json.loads((folder / "sizes.json").read_text())


@pytest.mark.parametrize(
    "content",
    ["[]", "7", '{"splits": 7}', '{"splits": {"a": 7}}', '{"splits": {"a": {"filenames": 7}}}',
     '{"splits": {"a": {"filenames": [7], "shard_lengths": [1]}}}',
     '{"splits": {"a": {"filenames": ["x"], "shard_lengths": ["1"]}}}'],
)  # fmt: skip
def test_info_of_another_kind(tmp_path: Path, content: str) -> None:
    """An `_info.json` that timm could not read either is in the way, and stays."""
    foreign(tmp_path / "x-0.tar", ["a.jpg"])
    (tmp_path / "_info.json").write_text(content)
    assert "_info.json is there and is something else" in refusal(tmp_path, "timm")
    assert content == (tmp_path / "_info.json").read_text()


def test_split_that_is_called_as_another_set(shards: Path, tmp_path: Path) -> None:
    """A set called train, which is of val, takes nothing away from the set of train."""
    folder = whole(shards, tmp_path / "x")
    for number in range(2):
        foreign(folder / f"train-{number}.tar", [f"t{number}.jpg"])
    index(folder, "timm")
    splits = json.loads((folder / "_info.json").read_text())["splits"]
    assert {"imagenet_train": 50, "train": 2, "val": 20} == {name: each["num_samples"] for name, each in splits.items()}
