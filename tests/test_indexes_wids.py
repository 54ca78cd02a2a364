"""The index for wids: of shards of others, and the MD5 that a manifest lacks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import pytest

from parallel_sharder import IndexOptions, Options, VerifyOptions, convert, index_shards, verify_shards
from parallel_sharder.errors import DestinationError
from tests.indexed import broken_source, copied, finished_sets, foreign, index, refusal


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val side by side, made by the tool."""
    return finished_sets(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val, with samples that are left out: at the beginning, in the middle, at the end."""
    return broken_source(tmp_path_factory.mktemp("raw"))


def test_wids(shards: Path, tmp_path: Path) -> None:
    """A manifest of the tool is an index already; other shards get one, with MD5 if that is wanted."""
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    assert [] == index(shards, "wids")
    assert before == {path.name: path.read_bytes() for path in shards.iterdir()}
    folder = copied(shards, tmp_path / "copy")
    assert ["imagenet_train.json", "imagenet_val.json"] == index(folder, "wids", md5=True)
    content = json.loads((folder / "imagenet_train.json").read_text())
    ours = json.loads((shards / "imagenet_train.json").read_text())
    assert ("wids-shard-index-v1", 1) == (content["__kind__"], content["wids_version"])
    for entry, expected in zip(content["shardlist"], ours["shardlist"], strict=True):
        data = (folder / entry["url"]).read_bytes()
        assert hashlib.md5(data).hexdigest() == entry.pop("md5sum")
        assert entry == {name: expected[name] for name in ("url", "nsamples", "filesize")}
    assert ["imagenet_train.json", "imagenet_val.json"] == index(folder, "wids")
    assert "md5sum" not in (folder / "imagenet_train.json").read_text()


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (["a.jpg", "a.cls", "b.jpg"], (2, 2, 2)),
        (["a.jpg", ".x", "a.cls"], (1, 1, 3)),
        (["a.jpg", ".x.y", "b.jpg"], (2, 2, 3)),
        (["d/.x", "d/a.jpg"], (1, 1, 2)),
        (["a.jpg", "README", "a.cls"], (1, 3, 1)),
        (["README", "a.jpg"], (1, 2, 1)),
        (["d.e/README", "a.jpg"], (1, 2, 2)),
        (["a.jpg", "c", "a.cls"], (1, 1, 1)),
    ],
)
def test_counts_of_odd_names(tmp_path: Path, names: list[str], counts: tuple[int, int, int]) -> None:
    """Hidden files and names without a dot: as webdataset, wds2idx and wids 0.1.11 count them."""
    foreign(tmp_path / "x-00.tar", names)
    index(tmp_path, "openclip", "dali", "wids")
    webdataset = json.loads((tmp_path / "sizes.json").read_text())["x-00.tar"]
    dali_samples = int((tmp_path / "x-00.idx").read_text().split()[1])
    [entry] = json.loads((tmp_path / "x.json").read_text())["shardlist"]
    assert counts == (webdataset, dali_samples, entry["nsamples"])


def test_names_that_a_reader_cannot_take(tmp_path: Path) -> None:
    """Each refusal says which name, why, and what to do; other readers take the shard."""
    long, shard = "k" * 98 + ".jpg", tmp_path / "x-00.tar"
    foreign(shard, [long])
    assert (
        f"{shard} holds {long!r}, of 102 bytes, and wids reads the first 100 of a name. Leave that reader out, or put "
        "another shard in its place."
    ) == refusal(tmp_path, "wids")
    index(tmp_path, "dali", "energon", "timm")
    foreign(shard, [os.fsdecode(b"\xff.jpg")])
    assert r"holds '\udcff.jpg', and wids reads only names of one line in UTF-8" in refusal(tmp_path, "wids")
    assert r"holds '\udcff', which is no UTF-8, and energon's table is in UTF-8" in refusal(tmp_path, "energon")
    index(tmp_path, "timm")
    for name in ("a\\b.jpg", "a\x1b.jpg", "é.jpg", "a b.jpg"):
        foreign(shard, [name])
        assert "and DALI's index takes only ASCII without blanks, and no backslash" in refusal(tmp_path, "dali")


def test_md5(raw: Path, tmp_path: Path) -> None:
    """The manifest has the MD5 of each shard, compressed ones too; `index --md5` adds it to one that has not."""
    for dest in ("x-%02d.tar", "y-%02d.tgz"):
        convert(Options(root=raw / "val", split="val", dest=str(tmp_path / dest), workers=0, shards=3, md5=True))
    shards = [shard for name in "xy" for shard in json.loads((tmp_path / f"{name}.json").read_text())["shardlist"]]
    assert 6 == len(shards)
    for shard in shards:
        assert hashlib.md5((tmp_path / shard["url"]).read_bytes()).hexdigest() == shard["md5sum"]
    expected = (tmp_path / "x.json").read_bytes()
    options = Options(root=raw / "val", split="val", dest=str(tmp_path / "x-%02d.tar"), workers=0, shards=3)
    convert(options)
    assert b"md5sum" not in (tmp_path / "x.json").read_bytes()
    indexed = index_shards(IndexOptions(dest=tmp_path / "x-%02d.tar", md5=True, workers=0))
    assert ((str(tmp_path / "x.json"),), expected) == (indexed.written, (tmp_path / "x.json").read_bytes())
    assert 0 == verify_shards(VerifyOptions(dest=tmp_path / "x.json", workers=0)).exit_code


def test_md5_of_a_damaged_shard(raw: Path, tmp_path: Path) -> None:
    """A kept shard that is read for its MD5 has to be as it was finished; with --check it is made anew."""
    options = Options(root=raw / "val", split="val", dest=str(tmp_path), workers=0)
    convert(options)
    shard = tmp_path / "imagenet_val-000000.tar"
    sound = shard.read_bytes()
    shard.write_bytes(sound[:-1] + b"x")
    with pytest.raises(DestinationError, match=r"has changed since it was finished. With check it is made anew"):
        convert(dataclasses.replace(options, md5=True))
    convert(dataclasses.replace(options, md5=True, check=True))
    assert sound == shard.read_bytes()
    assert hashlib.md5(sound).hexdigest() in (tmp_path / "imagenet_val.json").read_text()
