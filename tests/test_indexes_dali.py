"""DALI's index: what wds2idx would write."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from parallel_sharder import Options, convert
from tests import made
from tests.indexed import copied, dali_index, finished_sets, foreign, index


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val side by side, made by the tool."""
    return finished_sets(tmp_path_factory.mktemp("shards"))


@pytest.mark.parametrize("workers", [0, 2])
def test_dali(shards: Path, tmp_path: Path, workers: int) -> None:
    """A file beside each shard, with the place of each member."""
    folder = copied(shards, tmp_path / "copy")
    names = index(folder, "dali", workers=workers)
    assert sorted(path.with_suffix(".idx").name for path in folder.glob("*.tar")) == names
    for path in folder.glob("*.tar"):
        assert dali_index(path) == path.with_suffix(".idx").read_text()


def test_foreign_shards(tmp_path: Path) -> None:
    """PAX headers, folders in names, fields with dots: offsets are those of the data, keys end at the first dot."""
    foreign(tmp_path / "cc3m-00007.tar", ["a/b/1.seg.png", "a/b/1.txt", "a/c/1.txt", "a/.hidden", "2.jpg"])
    index(tmp_path, "dali", "wids")
    with tarfile.open(tmp_path / "cc3m-00007.tar") as archive:
        at = {member.name: member.offset_data for member in archive}
    assert (
        f"v1.2 3\nseg.png {at['a/b/1.seg.png']} 3 a/b/1.seg.png txt {at['a/b/1.txt']} 3 a/b/1.txt\n"
        f"txt {at['a/c/1.txt']} 3 a/c/1.txt\njpg {at['2.jpg']} 3 2.jpg\n"
    ) == (tmp_path / "cc3m-00007.idx").read_text()
    assert 4 == json.loads((tmp_path / "cc3m.json").read_text())["shardlist"][0]["nsamples"]  # the hidden one too


def test_test_split_has_its_indexes(tmp_path: Path) -> None:
    """Samples without a class have two members; dataset.yaml, which tells of a label, is not written for them."""
    made.kaggle(tmp_path / "raw")
    convert(Options(root=tmp_path / "raw", split="test", dest=str(tmp_path / "out"), workers=0, index=("all",)))
    [shard] = (tmp_path / "out").glob("*.tar")
    assert dali_index(shard) == shard.with_suffix(".idx").read_text()
    assert not (tmp_path / "out" / ".nv-meta" / "dataset.yaml").exists()
