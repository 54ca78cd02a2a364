"""Indexes of finished shards: what the readers' own tools would write, and every refusal."""

from __future__ import annotations

import dataclasses
import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import time
from array import array
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from parallel_sharder import IndexOptions, Options, VerifyOptions, convert, index_shards, verify_shards
from parallel_sharder.cli import main
from parallel_sharder.errors import DestinationError, OptionsError, SharderError, SourceError
from parallel_sharder.manifest import signed
from parallel_sharder.monitor import Recording
from parallel_sharder.options import Reader, Split
from tests import made
from tests.conftest import without_privileges

SHARDS: tuple[tuple[Split, int], ...] = (("train", 3), ("val", 2))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val side by side, made by the tool."""
    folder = tmp_path_factory.mktemp("shards")
    made.classic_train(folder / "train", images=50)
    made.flat_val(folder / "val", images=20)
    for split, count in SHARDS:
        convert(Options(root=folder / split, split=split, dest=str(folder / "out"), shards=count, workers=0))
    return folder / "out"


def index(folder: Path, *readers: Reader, workers: int = 0, md5: bool = False) -> list[str]:
    indexed = index_shards(IndexOptions(dest=folder, readers=readers, workers=workers, md5=md5))
    return sorted(Path(path).name for path in indexed.written)


def copied(shards: Path, to: Path) -> Path:
    to.mkdir()
    for path in shards.glob("*.tar"):
        (to / path.name).write_bytes(path.read_bytes())
    return to


def dali_index(shard: Path) -> str:
    """The index as wds2idx writes it, computed anew with tarfile."""
    lines: list[str] = []
    last = None
    with tarfile.open(shard) as archive:
        for member in archive:
            key, _, extension = member.name.partition(".")
            field = f"{extension} {member.offset_data} {member.size} {member.name}"
            if key == last:
                lines[-1] += f" {field}"
            else:
                lines.append(field)
            last = key
    return "\n".join([f"v1.2 {len(lines)}", *lines, ""])


@pytest.mark.parametrize("workers", [0, 2])
def test_dali(shards: Path, tmp_path: Path, workers: int) -> None:
    """A file beside each shard, with the place of each member."""
    folder = copied(shards, tmp_path / "copy")
    names = index(folder, "dali", workers=workers)
    assert sorted(path.with_suffix(".idx").name for path in folder.glob("*.tar")) == names
    for path in folder.glob("*.tar"):
        assert dali_index(path) == path.with_suffix(".idx").read_text()


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
    """A key that is there twice, in two shards or in one, is named, and nothing of the table is left."""
    foreign(tmp_path / "x-000000.tar", ["1.jpg", "2.jpg"])
    foreign(tmp_path / "x-000001.tar", ["3.jpg", "2.jpg"])
    assert "has the sample 2, which is there twice" in refusal(tmp_path, "energon")
    foreign(tmp_path / "x-000001.tar", ["3.jpg", "4.jpg", "3.jpg"])
    assert f"{tmp_path}/x-000001.tar has the sample 3, which is there twice" in refusal(tmp_path, "energon")
    assert not (tmp_path / ".nv-meta").exists()
    foreign(tmp_path / "x-000001.tar", ["__meta__/a.jpg", "3.txt"])
    foreign(tmp_path / "x-000007.tar", ["7.jpg"])
    index(tmp_path, "energon")
    assert (
        "split_parts:\n  train: []\n  val: []\n  test: []\n"
        "  x:\n  - x-000000.tar\n  - x-000001.tar\n  - x-000007.tar\nexclude: []\n"
    ) == (tmp_path / ".nv-meta" / "split.yaml").read_text()
    assert not (tmp_path / ".nv-meta" / "dataset.yaml").exists()


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


# In the same pass.


def convert_both(root: Path, out: Path, *readers: str, **choices: Any) -> None:
    """Train with three shards and val with two, side by side; what is broken is left out."""
    for split, count in SHARDS:
        all_choices = {"workers": 0, "index": readers, **choices}
        convert(Options(root=root / split, split=split, dest=str(out), shards=count, **all_choices))


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and those within, but the journals."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".journal"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val, with samples that are left out: at the beginning, in the middle, at the end."""
    root = tmp_path_factory.mktemp("raw")
    for some in (made.classic_train(root / "train", images=50), made.flat_val(root / "val", images=20)):
        for path in sorted(some.root.rglob("*.JPEG"))[::9]:
            path.write_bytes(b"no image")
    return root


@pytest.mark.parametrize("workers", [0, 2])
def test_same_pass_gives_what_the_headers_give(raw: Path, tmp_path: Path, workers: int) -> None:
    """Every index of every reader is byte for byte the one that is made from the finished shards' headers."""
    convert_both(raw, tmp_path / "pass", "all", workers=workers)
    convert_both(raw, tmp_path / "later", "none")
    index(tmp_path / "later", *("wids", "dali", "energon", "timm", "openclip"))
    made_so, made_later = content_of(tmp_path / "pass"), content_of(tmp_path / "later")
    assert made_later.keys() == made_so.keys()
    assert {"_info.json", "sizes.json", "imagenet_val-000001.idx", "imagenet_train-000002.tar.idx"} < made_so.keys()
    for name, data in made_later.items():
        assert data == made_so[name], name
    for path in (tmp_path / "pass").glob("*.tar"):
        assert dali_index(path) == path.with_suffix(".idx").read_text()
    assert ["train", "val"] == [*json.loads(made_so["_info.json"])["splits"]]


def test_test_split_has_its_indexes(tmp_path: Path) -> None:
    """Samples without a class have two members; dataset.yaml, which tells of a label, is not written for them."""
    made.kaggle(tmp_path / "raw")
    convert(Options(root=tmp_path / "raw", split="test", dest=str(tmp_path / "out"), workers=0, index=("all",)))
    [shard] = (tmp_path / "out").glob("*.tar")
    assert dali_index(shard) == shard.with_suffix(".idx").read_text()
    assert not (tmp_path / "out" / ".nv-meta" / "dataset.yaml").exists()


def test_resumed_run_has_the_same_indexes(raw: Path, tmp_path: Path) -> None:
    """Stopped while it writes shards, stopped while it writes indexes, with shards lost: always the same files."""
    convert_both(raw, tmp_path / "once", "all", md5=True)
    out = tmp_path / "out"
    for stop in ("durable.write_file", "indexes.energon_table.Table.finish", "indexes.beside.index_shard"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"parallel_sharder.{stop}", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                convert_both(raw, out, "all", md5=True)
        assert not [path for path in out.rglob("*") if path.suffix in (".partial", ".lock")]
    convert_both(raw, out, "all", md5=True)
    assert content_of(tmp_path / "once") == content_of(out)
    (out / "imagenet_train-000001.tar").unlink()
    options = Options(root=raw / "train", dest=str(out), shards=3, workers=0)
    assert "indexes or a dataset card told of shards that went" in convert(options).text()
    convert_both(raw, out, "all", md5=True)
    assert content_of(tmp_path / "once") == content_of(out)
    convert_both(raw, out, "none", md5=True)  # takes nothing away
    assert content_of(tmp_path / "once") == content_of(out)


def test_indexes_of_a_finished_set(raw: Path, tmp_path: Path) -> None:
    """The same command with --index, and --md5, adds them to a set that was made without."""
    convert_both(raw, tmp_path / "once", "all", md5=True)
    convert_both(raw, tmp_path / "out", "none")
    convert_both(raw, tmp_path / "out", "all", md5=True)
    assert content_of(tmp_path / "once") == content_of(tmp_path / "out")


def test_overwriting_withdraws(raw: Path, tmp_path: Path) -> None:
    """What goes, no index tells of any more, and what is there of others stays."""
    convert_both(raw, tmp_path, "all")
    (tmp_path / "sizes.json").write_text(json.dumps({**json.loads((tmp_path / "sizes.json").read_text()), "x.tar": 5}))
    choices: dict[str, Any] = {"workers": 0, "overwrite": True, "dest": str(tmp_path), "root": raw / "train"}
    convert(Options(shards=2, index=("none",), **choices))
    names = {path.name for path in tmp_path.rglob("*")}
    assert ["val"] == [*json.loads((tmp_path / "_info.json").read_text())["splits"]]
    assert ["imagenet_val-000000.tar", "imagenet_val-000001.tar", "x.tar"] == [
        *json.loads((tmp_path / "sizes.json").read_text())
    ]
    assert not {"index.sqlite", "imagenet_train-000000.idx", "imagenet_train-000000.tar.idx"} & names
    assert {"dataset.yaml", "imagenet_val-000000.idx", "imagenet_val-000000.tar.idx"} < names
    convert(Options(shards=2, index=("energon", "openclip"), **choices))
    assert 5 == len(json.loads((tmp_path / "sizes.json").read_text()))
    assert 4 == len(json.loads((tmp_path / ".nv-meta" / ".info.json").read_text())["shard_counts"])


def test_sets_beside_are_taken_in(raw: Path, tmp_path: Path) -> None:
    """A finished set made without indexes is in them; one that is in the making is not, nor a compressed one."""
    sets: tuple[tuple[Split, str], ...] = (("train", "a-%02d.tar"), ("val", "b-%02d.tgz"))
    for split, dest in sets:
        convert(Options(root=raw / split, split=split, dest=str(tmp_path / dest), workers=0))
    half = Options(root=raw / "val", split="val", dest=str(tmp_path / "half-%02d.tar"), workers=0)
    convert(half)
    (tmp_path / "half.json").unlink()
    options = {"root": raw / "val", "split": "val", "dest": str(tmp_path / "c-%02d.tar"), "workers": 0}
    convert(Options(index=("timm", "openclip"), **options))  # type: ignore[arg-type]
    info = json.loads((tmp_path / "_info.json").read_text())
    assert {"train": ["a-00.tar"], "val": ["c-00.tar"]} == {
        name: split["filenames"] for name, split in info["splits"].items()
    }
    assert {"a-00.tar": 44, "c-00.tar": 17} == json.loads((tmp_path / "sizes.json").read_text())
    options["dest"] = str(tmp_path / "d-%02d.tar")
    with pytest.raises(
        DestinationError,
        match=r"d-00.tar has the sample ILSVRC.*, which is there twice: .*Without that reader in index",
    ):
        convert(Options(index=("energon",), **options))  # type: ignore[arg-type]
    assert not (tmp_path / ".nv-meta").exists()


def test_only_sets_with_an_index_are_taken_in(raw: Path, tmp_path: Path) -> None:
    """What has a shard's name and is in nobody's manifest, such as an archive of the source, is left alone."""
    foreign(tmp_path / "ILSVRC2012_img_test_v10102019.tar", ["test/a.JPEG"])
    foreign(tmp_path / "loose-000.tar", ["b.jpg"])
    foreign(tmp_path / "cc-000.tar", ["c.jpg"])
    index(tmp_path / "cc-%03d.tar", "wids")
    for name, text in (("odd", '{"options": 3}'), ("odder", "["), ("oddest", '{"__kind__": "wids-shard-index-v1"}')):
        (tmp_path / f"{name}.json").write_text(text)
        foreign(tmp_path / f"{name}-00.tar", ["d.jpg"])
    convert(Options(root=raw / "val", split="val", dest=str(tmp_path), workers=0, index=("all",)))
    assert {"imagenet_val-000000.tar": 17, "cc-000.tar": 1} == json.loads((tmp_path / "sizes.json").read_text())
    counts = json.loads((tmp_path / ".nv-meta" / ".info.json").read_text())["shard_counts"]
    assert {"imagenet_val-000000.tar": 17, "cc-000.tar": 1} == counts
    assert ["cc-000.tar.idx", "imagenet_val-000000.idx", "imagenet_val-000000.tar.idx"] == sorted(
        path.name for path in tmp_path.glob("*.idx")
    )
    assert (tmp_path / ".nv-meta" / "dataset.yaml").exists()


def test_prefix_that_ends_in_a_digit(raw: Path, tmp_path: Path) -> None:
    """A set knows its shards by its pattern, and others know them by its manifest."""
    options: dict[str, Any] = {"root": raw / "val", "split": "val", "dest": str(tmp_path / "x2%03d.tar"), "workers": 0}
    convert(Options(shards=3, index=("all",), **options))
    before = content_of(tmp_path)
    database = sqlite3.connect(tmp_path / ".nv-meta" / "index.sqlite")
    assert [(17,)] == database.execute("SELECT count(*) FROM samples").fetchall()
    database.close()
    index(tmp_path, "dali", "energon", "timm", "openclip")
    assert before == content_of(tmp_path)
    convert(Options(shards=1, index=("none",), overwrite=True, **options))
    assert {"x2000.tar", "x2.json", "x2.problems.jsonl", ".nv-meta/dataset.yaml"} == content_of(tmp_path).keys()


def test_sets_of_one_split(raw: Path, tmp_path: Path) -> None:
    """Several sets of a split go by their own names, and one that goes takes nothing of the others with it."""
    for name in ("a", "b"):
        split: Split = "train" if name == "a" else "val"
        options = Options(
            root=raw / split, split=split, dest=str(tmp_path / f"{name}-%02d.tar"), workers=0, index=("timm",)
        )
        convert(options)
        if name == "b":
            content = json.loads((tmp_path / "a.json").read_text())
            content["options"]["split"] = "val"  # as if it were another val set
            (tmp_path / "a.json").write_bytes(signed(content))
            convert(options)
    splits = json.loads((tmp_path / "_info.json").read_text())["splits"]
    assert {"a": ["a-00.tar"], "b": ["b-00.tar"]} == {name: split["filenames"] for name, split in splits.items()}
    convert(dataclasses.replace(options, overwrite=True, index=("none",)))
    splits = json.loads((tmp_path / "_info.json").read_text())["splits"]
    assert {"a": ["a-00.tar"]} == {name: split["filenames"] for name, split in splits.items()}


def test_what_others_wrote_stays(raw: Path, tmp_path: Path) -> None:
    """Another tool's entries, a split.yaml's exclusions, and files that have an index's name and are none."""
    options: dict[str, Any] = {"root": raw / "val", "split": "val", "dest": str(tmp_path), "workers": 0}
    theirs = {"splits": {"val": {"name": "val", "filenames": ["foo-0.tar"], "shard_lengths": [5], "num_samples": 5}}}
    (tmp_path / "_info.json").write_text(json.dumps(theirs))
    (tmp_path / "sizes.json").write_text("{}")
    (tmp_path / ".nv-meta").mkdir()
    (tmp_path / ".nv-meta" / "split.yaml").write_text("split_parts:\n  train: []\nexclude:\n- foo-0.tar/7\n")
    for name in ("imagenet_val-000003.idx", "imagenet_val-000000.tar.idx"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(DestinationError, match=f"{name} is there and is something else"):
            convert(Options(index=("all",), **options))
        (tmp_path / name).unlink()
    convert(Options(index=("all",), **options))
    splits = json.loads((tmp_path / "_info.json").read_text())["splits"]
    assert theirs["splits"]["val"] == splits["val"]
    assert ["imagenet_val-000000.tar"] == splits["imagenet_val"]["filenames"]
    assert (tmp_path / ".nv-meta" / "split.yaml").read_text().endswith("\nexclude:\n- foo-0.tar/7\n")
    convert(Options(index=("none",), overwrite=True, **options))
    assert theirs == json.loads((tmp_path / "_info.json").read_text())
    assert not (tmp_path / "sizes.json").exists()


def test_refusals_that_come_early(raw: Path, tmp_path: Path) -> None:
    """A file where energon's folder would be; a shard without samples is refused with what to do, and goes on well."""
    options: dict[str, Any] = {"root": raw / "val", "split": "val", "dest": str(tmp_path), "workers": 0}
    (tmp_path / ".nv-meta").write_text("")
    with pytest.raises(DestinationError, match=r"\.nv-meta is there and is something else"):
        convert(Options(index=("energon",), **options))
    assert [".nv-meta"] == os.listdir(tmp_path)
    (tmp_path / ".nv-meta").unlink()
    with pytest.raises(DestinationError, match=r"holds no sample, and DALI refuses .*Without that reader in index"):
        convert(Options(index=("dali",), shards=20, **options))
    assert 3 == convert(Options(index=("openclip",), shards=20, **options)).exit_code


def test_runs_that_end_while_the_other_indexes(raw: Path, tmp_path: Path) -> None:
    """A run that waits for another's indexes sees its set as finished then."""
    other: list[subprocess.Popen[bytes]] = []

    class Slow(Recording):
        def working(self, doing: str, done: int, total: int) -> None:
            if doing == "indexing shards" and not other:
                words = f"--root {raw}/train --dest {tmp_path} --index energon,timm --workers 0 --quiet --shards 2"
                other.append(subprocess.Popen([sys.executable, "-m", "parallel_sharder", *words.split()]))
                while not (tmp_path / "imagenet_train-000001.tar").exists():
                    time.sleep(0.01)
                time.sleep(0.2)

    options: dict[str, Any] = {"root": raw / "val", "split": "val", "dest": str(tmp_path), "workers": 0}
    convert(Options(index=("energon", "timm"), **options), Slow())
    assert 3 == other[0].wait(60)
    assert {"train", "val"} == json.loads((tmp_path / "_info.json").read_text())["splits"].keys()
    assert 3 == len(json.loads((tmp_path / ".nv-meta" / ".info.json").read_text())["shard_counts"])


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
    with pytest.raises(DestinationError, match=r"is not as it was finished any more. With check it is made anew"):
        convert(dataclasses.replace(options, md5=True))
    convert(dataclasses.replace(options, md5=True, check=True))
    assert sound == shard.read_bytes()
    assert hashlib.md5(sound).hexdigest() in (tmp_path / "imagenet_val.json").read_text()


def test_refusals_in_time(raw: Path, tmp_path: Path) -> None:
    """Before anything is written: compressed shards for readers that seek, and files in the way."""
    options: dict[str, Any] = {"root": raw / "val", "split": "val", "workers": 0}
    with pytest.raises(OptionsError, match="index all: dali and energon cannot seek in compressed shards"):
        Options(dest=str(tmp_path / "x-%02d.tgz"), index=("all",))
    with pytest.raises(OptionsError, match="index dali,none: none goes with nothing else"):
        Options(index=("dali", "none"))
    with pytest.raises(OptionsError, match="index 'coco' is not one of wids, .*, all, none"):
        Options(index=("coco",))  # type: ignore[arg-type]
    (tmp_path / "_info.json").write_text("{")
    with pytest.raises(DestinationError, match="_info.json is there and is something else"):
        convert(Options(dest=str(tmp_path), index=("timm",), **options))
    assert ["_info.json"] == os.listdir(tmp_path)
    convert(Options(dest=str(tmp_path / "x-%02d.tgz"), index=("wids", "openclip"), **options))
    assert {"x-00.tgz": 17} == json.loads((tmp_path / "sizes.json").read_text())


def test_two_runs_into_one_folder(raw: Path, tmp_path: Path) -> None:
    """Train and val at the same time: both are in the indexes that tell of the folder."""
    runs = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "parallel_sharder", "--root", str(raw / split), "--split", split),
                *("--dest", str(tmp_path), "--index", "timm,openclip,energon", "--workers", "0", "--shards", "9"),
            ]
        )
        for split in ("train", "val")
    ]
    assert [3, 3] == [run.wait(60) for run in runs]
    assert 18 == len(json.loads((tmp_path / "sizes.json").read_text()))
    assert {"train", "val"} == json.loads((tmp_path / "_info.json").read_text())["splits"].keys()


def foreign(path: Path, names: list[str]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = 3, 1.5  # which PAX has a header of its own for
            archive.addfile(member, io.BytesIO(b"abc"))


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


def test_names_that_are_numbers_or_end_in_one(tmp_path: Path) -> None:
    """Shards called 000000.tar are one set, whatever their first digit; a pattern says where the number begins."""
    for name in ("000000", "100000", "x2000000", "x2000001"):
        foreign(tmp_path / f"{name}.tar", [f"{name}.jpg"])
    assert ["shards.json", "x.json"] == index(tmp_path, "wids")
    content = json.loads((tmp_path / "shards.json").read_text())
    assert ["000000.tar", "100000.tar"] == [shard["url"] for shard in content["shardlist"]]
    assert ["x2.json"] == index(tmp_path / "x2%06d.tar", "wids")
    assert ["shards.json"] == index(tmp_path / "%06d.tar", "wids")


@pytest.mark.parametrize("suffix", ["tgz", "tar.gz", "tar.zst"])
def test_counts_of_compressed_shards(raw: Path, tmp_path: Path, suffix: str) -> None:
    """Timm and open_clip want no more than counts, which are those that the conversion writes, and of foreign ones."""
    dest = str(tmp_path / f"a_val-%02d.{suffix}")
    convert(Options(root=raw / "val", split="val", dest=dest, workers=0, shards=3, index=("timm", "openclip")))
    indexes = [tmp_path / "sizes.json", tmp_path / "_info.json"]
    expected = [path.read_bytes() for path in indexes]
    for path in indexes:
        path.unlink()
    for where in (tmp_path, dest):
        assert ["_info.json", "sizes.json"] == index(Path(where), "timm", "openclip", workers=2)
        assert expected == [path.read_bytes() for path in indexes]
    for unable in ("dali", "wids"):
        assert (
            f"{tmp_path}/a_val-00.{suffix} is compressed, so its samples have no place in the file from which {unable} "
            "could read them. Make uncompressed shards, name others by a pattern, or write readers timm,openclip alone."
        ) == refusal(dest, unable)
    assert "from which wids or dali or energon could read them" in refusal(tmp_path, "all")
    assert expected == [path.read_bytes() for path in indexes]


@pytest.mark.parametrize("suffix", ["tgz", "tar.zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_damaged_compressed_shards(raw: Path, tmp_path: Path, suffix: str, damage: str) -> None:
    """Each is named with what to do, and nothing is written."""
    convert(Options(root=raw / "val", split="val", dest=str(tmp_path / f"x-%02d.{suffix}"), workers=0, shards=1))
    shard = tmp_path / f"x-00.{suffix}"
    data = bytearray(shard.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    shard.write_bytes({"cut": bytes(data[:-1000]), "flipped": bytes(data), "other": b"<html>404</html>"}[damage])
    message = refusal(tmp_path, "openclip")
    assert message.startswith(f"{shard}, at offset ")
    assert message.endswith(". Download or copy it again.")
    assert not (tmp_path / "sizes.json").exists()


def test_set_of_two_kinds(tmp_path: Path) -> None:
    """Plain and compressed shards of one name are two sets, and a pattern tells which."""
    foreign(tmp_path / "x-00.tar", ["a.jpg", "b.jpg"])
    (tmp_path / "x-00.tgz").write_bytes(gzip.compress((tmp_path / "x-00.tar").read_bytes()))
    message = refusal(tmp_path, "openclip")
    assert re.search(rf"^{tmp_path} holds shards of x that end in \.(tar|tgz) and in \.(tar|tgz)\. Name one", message)
    for suffix in ("tar", "tgz"):
        index(tmp_path / f"x-%02d.{suffix}", "openclip")
        assert 2 == json.loads((tmp_path / "sizes.json").read_text())[f"x-00.{suffix}"]


def refusal(dest: Path | str, *readers: Any) -> str:
    with pytest.raises((DestinationError, SourceError)) as caught:
        index_shards(IndexOptions(dest=dest, readers=readers, workers=0))
    return str(caught.value)


def test_refusals(tmp_path: Path) -> None:
    """Compressed, damaged and unfit shards, and files in the way, are named; nothing of the set is written."""
    assert "holds no shards" in refusal(tmp_path, "dali")
    assert "cannot be read: No such file or directory" in refusal(tmp_path / "none", "dali")
    shard = tmp_path / "x-000000.tar"
    foreign(shard, ["1.jpg", "2.jpg"])
    (tmp_path / "sizes.json").write_text("[]")
    assert f"{tmp_path}/sizes.json is there and is something else" in refusal(tmp_path, "openclip")
    data = shard.read_bytes()
    shard.write_bytes(data[:1500])
    assert f"{shard}, at offset" in refusal(tmp_path, "timm")
    assert not (tmp_path / "_info.json").exists()
    foreign(shard, ["a b.jpg"])
    assert f"{shard} holds 'a b.jpg', and DALI's index takes only ASCII without blanks" in refusal(tmp_path, "dali")
    foreign(shard, [])
    assert f"{shard} holds no sample" in refusal(tmp_path, "dali")
    (tmp_path / "x-000001.tgz").touch()
    assert f"{tmp_path}/x-000001.tgz is compressed" in refusal(tmp_path, "dali")
    assert "holds no shards" in refusal(f"{tmp_path}/y-%06d.tar", "dali")


def test_folder_that_may_not_be_written(shards: Path, tmp_path: Path) -> None:
    """The folder, the cause and what to do are told, and nothing is read before."""
    folder = copied(shards, tmp_path / "copy")
    folder.chmod(0o500)
    command = [*without_privileges(), sys.executable, "-m", "parallel_sharder", "index", str(folder), "--for", "dali"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    folder.chmod(0o700)
    assert (
        1,
        f"parallel-sharder: {folder} cannot be locked with a file in it: Permission denied. Mend that, or use a folder "
        "that can be written to, on a file system that has flock.\n",
    ) == (done.returncode, done.stderr)


def test_options() -> None:
    """All that is wrong is said at once; names may be given with commas, as on the command line."""
    assert ("dali", "timm") == Options(index=("timm", "dali")).readers
    assert ("dali", "timm") == Options(index="timm,dali").readers  # type: ignore[arg-type]
    assert ("dali", "timm") == IndexOptions(dest=".", readers="dali,timm").readers  # type: ignore[arg-type]
    assert () == Options(index="none").readers
    with pytest.raises(OptionsError) as caught:
        IndexOptions(dest="x-%d.tar", readers=("wids", "tfrecord"), workers=-1)  # type: ignore[arg-type]
    assert 3 == len(caught.value.complaints)
    with pytest.raises(OptionsError, match="md5 is for the index of wids"):
        IndexOptions(dest=".", readers=("dali",), md5=True)
    with pytest.raises(OptionsError, match="energon's index is of all shards in a folder"):
        IndexOptions(dest="x-%06d.tar", readers=("energon",))
    with pytest.raises(OptionsError, match="readers '' is not one of wids, dali, energon, timm, openclip, all"):
        IndexOptions(dest=".", readers=())


def test_command_line(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary says what was written, as text and as JSON."""
    folder = copied(shards, tmp_path / "copy")
    assert 0 == main(["index", str(folder), "--for", "dali,timm", "--workers", "0", "--quiet"])
    text = capsys.readouterr().out
    assert "sets     imagenet_train, imagenet_val\nsamples  70\nshards   5\n" in text
    assert f"wrote    6 files\n  {folder}/_info.json\n" in text
    assert 0 == main(["index", f"{folder}/imagenet_val-%06d.tar", "--workers", "0", "--quiet", "--json"])
    assert [f"{folder}/imagenet_val.json"] == json.loads(capsys.readouterr().out)["written"]
    assert 2 == main(["index", str(folder), "--for", "dali,coco"])
    assert "--for 'coco' is not one of wids, dali, energon, timm, openclip, all" in capsys.readouterr().err


# What lies in a shared folder.


def whole(shards: Path, to: Path) -> Path:
    """A copy of the finished sets with their manifests, without a journal."""
    to.mkdir()
    for path in shards.glob("imagenet*"):
        (to / path.name).write_bytes(path.read_bytes())
    return to


def told(folder: Path) -> dict[str, Any]:
    """What timm, open_clip and energon are told: splits and counts."""
    index(folder, "timm", "openclip", "energon")
    database = sqlite3.connect(folder / ".nv-meta" / "index.sqlite")
    rows = database.execute("SELECT COUNT(*), COUNT(DISTINCT sample_key) FROM samples").fetchall()
    database.close()
    return {
        "timm": json.loads((folder / "_info.json").read_text()),
        "openclip": json.loads((folder / "sizes.json").read_text()),
        "energon": json.loads((folder / ".nv-meta" / ".info.json").read_text()),
        "splits": yaml.safe_load((folder / ".nv-meta" / "split.yaml").read_text()),
        "rows": rows,
    }


def wids_index(*shards: str, samples: int = 7) -> str:
    entries = [{"url": name, "nsamples": samples} for name in shards]
    return json.dumps({"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries})


TRAIN = [f"imagenet_train-{number:06}.tar" for number in range(3)]
BESIDE: dict[str, Callable[[Path], object]] = {
    "copy": lambda folder: (folder / "backup.json").write_bytes((folder / "imagenet_train.json").read_bytes()),
    "early copy": lambda folder: (folder / "a.json").write_bytes((folder / "imagenet_train.json").read_bytes()),
    "subset": lambda folder: (folder / "a_val.json").write_text(wids_index(*TRAIN[:2])),
    "twice": lambda folder: (folder / "all.json").write_text(wids_index(*TRAIN, *TRAIN, "imagenet_val-000000.tar")),
    "odd": lambda folder: (folder / "odd.json").write_text(
        json.dumps(
            {"__kind__": "wids-shard-index-v1", "shardlist": [7, {"url": 7}, {"url": TRAIN[0], "nsamples": "x"}]}
        )
    ),
    "no list": lambda folder: (folder / "odd.json").write_text('{"__kind__": "wids-shard-index-v1", "shardlist": 7}'),
    "pipe": lambda folder: os.mkfifo(folder / "odd.json"),
    "no UTF-8": lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/\xff.json")).write_text(wids_index(*TRAIN)),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_each_shard_once(shards: Path, tmp_path: Path, beside: str) -> None:
    """Copies of a manifest, subsets, repeats and oddities beside the sets change nothing of what readers are told."""
    expected = told(whole(shards, tmp_path / "alone"))
    folder = whole(shards, tmp_path / "beside")
    BESIDE[beside](folder)
    assert expected == told(folder)
    assert [(70, 70)] == expected["rows"]
    assert ["train", "val"] == [*expected["timm"]["splits"]]


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("optimized", [[], ["-O"]])
def test_each_shard_once_in_the_same_pass(raw: Path, tmp_path: Path, beside: str, optimized: list[str]) -> None:
    """A conversion into such a folder, with asserts and without, tells readers the same as one into an empty one."""
    for name in ("alone", "beside"):
        out = tmp_path / name
        convert(Options(root=raw / "val", split="val", dest=str(out), shards=2, workers=0))
        convert(Options(root=raw / "train", dest=str(out), shards=3, workers=0))
        if name == "beside":
            BESIDE[beside](out)
        words = f"--root {raw}/train --dest {out} --shards 3 --workers 0 --index energon,timm,openclip".split()
        done = subprocess.run([sys.executable, *optimized, "-m", "parallel_sharder", *words], check=False)
        assert 3 == done.returncode
    found = content_of(tmp_path / "beside")
    for name, data in content_of(tmp_path / "alone").items():
        if not name.endswith(".sqlite"):
            assert data == found[name], name
    assert 5 == len(json.loads(found[".nv-meta/.info.json"])["shard_counts"])


def test_sets_that_are_not_finished(raw: Path, tmp_path: Path) -> None:
    """A journal without a manifest: index says what is done and what to do, and nothing is in the way of the rest."""
    options: dict[str, Any] = {"root": raw / "train", "dest": str(tmp_path), "workers": 0, "shards": 3}
    convert(Options(**options))
    before = content_of(tmp_path)
    (tmp_path / "imagenet_train.json").unlink()
    for dest in (tmp_path, tmp_path / "imagenet_train-%06d.tar"):
        assert (
            f"the set whose journal is {tmp_path}/.imagenet_train.journal is not finished. 3 of 3 shards are done. An "
            "index of a part would be taken for the whole: type the command of its conversion again, and then this one."
        ) == refusal(dest, "wids", "timm")
    (tmp_path / "imagenet_train.json").write_text(wids_index(*TRAIN[:2]))
    assert f"move {tmp_path}/imagenet_train.json away, which is no manifest, and type" in refusal(tmp_path, "wids")
    (tmp_path / "imagenet_train.json").unlink()
    (tmp_path / TRAIN[2]).unlink()
    assert 3 == convert(Options(**options)).exit_code
    assert before == content_of(tmp_path)


def test_sets_that_are_being_written(shards: Path, tmp_path: Path) -> None:
    """While a run holds the journal, there is no index, even if there is a manifest already."""
    folder = whole(shards, tmp_path / "x")
    with (folder / ".imagenet_val.journal").open("wb") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        assert f"a run is writing there: it holds {folder}/.imagenet_val.journal" in refusal(folder, "timm")
    index(folder, "timm")


def test_manifest_of_another_set(shards: Path, tmp_path: Path) -> None:
    """One that has been copied over that of another set is named as what it is."""
    folder = whole(shards, tmp_path / "x")
    (folder / "imagenet_val.json").write_bytes((folder / "imagenet_train.json").read_bytes())
    expected = f"{folder}/imagenet_val.json is the manifest of imagenet_train. Move it to another folder."
    assert expected == refusal(folder, "timm")


def test_names_of_shards_that_are_no_utf8(tmp_path: Path) -> None:
    """Shards of others can be called anything: every reader's index has the name as Python reads it."""
    name = os.fsdecode(b"x\xff-0.tar")
    foreign(tmp_path / name, ["a.jpg"])
    index(tmp_path, "wids", "dali", "energon", "timm", "openclip")
    assert {name: 1} == json.loads((tmp_path / "sizes.json").read_text())
    [entry] = json.loads((tmp_path / os.fsdecode(b"x\xff.json")).read_text())["shardlist"]
    assert name == entry["url"]
    splits = yaml.safe_load((tmp_path / ".nv-meta" / "split.yaml").read_text())["split_parts"]
    assert [name] == splits[os.fsdecode(b"x\xff")]
    assert 0 == main(["index", str(tmp_path), "--for", "all", "--workers", "0", "--quiet", "--json"])


def test_other_shards_than_the_manifest_lists(shards: Path, tmp_path: Path) -> None:
    """One that is missing, all that are, and one too many are named with what to do; nothing is written."""
    folder = whole(shards, tmp_path / "x")
    before = {path.name for path in folder.iterdir()}
    (folder / "imagenet_train-000009.tar").write_bytes((folder / TRAIN[0]).read_bytes())
    assert (
        f"{folder}/imagenet_train-000009.tar is called as a shard of the set is, and {folder}/imagenet_train.json does "
        "not list it. Move it to another folder."
    ) == refusal(folder, "timm")
    (folder / "imagenet_train-000009.tar").unlink()
    (folder / TRAIN[1]).unlink()
    assert (
        f"{folder}/imagenet_train.json lists {TRAIN[1]}, which is not there. Copy it again, or type the command of the "
        "conversion again, which makes the rest."
    ) == refusal(folder, "timm")
    for name in (TRAIN[0], TRAIN[2]):
        (folder / name).unlink()
    assert f"lists {TRAIN[0]}, and 2 more, which are not there. Copy them" in refusal(folder, "openclip")
    assert {*before} - {*TRAIN} == {path.name for path in folder.iterdir()}
    index(folder / "imagenet_val-%06d.tar", "timm")  # which is whole


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (["a.jpg", "a.cls", "b.jpg"], (2, 2, 2)),
        (["a.jpg", ".x", "a.cls"], (1, 1, 3)),
        (["a.jpg", ".x.y", "b.jpg"], (2, 2, 3)),
        (["d/.x", "d/a.jpg"], (1, 1, 2)),
        (["a.jpg", "b.jpg", "a.cls"], (3, 3, 3)),
        (["a.jpg", "README", "a.cls"], (1, 3, 1)),
        (["README", "a.jpg"], (1, 2, 1)),
        (["d.e/README", "a.jpg"], (1, 2, 2)),
        (["a.jpg", "b.jpg", "a.jpg"], (3, 3, 2)),
        (["a.jpg", "c", "a.cls"], (1, 1, 1)),
    ],
)
def test_counts_of_odd_names(tmp_path: Path, names: list[str], counts: tuple[int, int, int]) -> None:
    """Hidden files, names without a dot, keys that lie apart: as webdataset, wds2idx and wids 0.1.11 count them."""
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
        f"{shard} holds {long!r}, of 102 bytes, and wids reads the first 100 of a name. Leave that reader out, or make "
        "the shard anew without that."
    ) == refusal(tmp_path, "wids")
    index(tmp_path, "dali", "energon", "timm")
    foreign(shard, [os.fsdecode(b"\xff.jpg")])
    assert r"holds '\udcff.jpg', and wids reads only names of one line in UTF-8" in refusal(tmp_path, "wids")
    assert r"holds '\udcff', which is no UTF-8, and energon's table is in UTF-8" in refusal(tmp_path, "energon")
    index(tmp_path, "timm")
    for name in ("a\\b.jpg", "a\x1b.jpg", "é.jpg", "a b.jpg"):
        foreign(shard, [name])
        assert "and DALI's index takes only ASCII without blanks, and no backslash" in refusal(tmp_path, "dali")


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


@pytest.mark.parametrize("name", ["_info.json", "sizes.json", "x.json", ".nv-meta/split.yaml", "x-0.tar"])
def test_nobody_waits_for_a_pipe(tmp_path: Path, name: str) -> None:
    """A pipe under the name of any file that index opens is named as one."""
    (tmp_path / ".nv-meta").mkdir()
    foreign(tmp_path / "x-1.tar", ["a.jpg"])
    os.mkfifo(tmp_path / name)
    with pytest.raises(SharderError, match=f"{name}.* it is a pipe, and no regular file"):
        index(tmp_path, "wids", "timm", "openclip", "energon")


def test_split_that_is_called_as_another_set(shards: Path, tmp_path: Path) -> None:
    """A set called train, which is of val, takes nothing away from the set of train."""
    folder = whole(shards, tmp_path / "x")
    for number in range(2):
        foreign(folder / f"train-{number}.tar", [f"t{number}.jpg"])
    index(folder, "timm")
    splits = json.loads((folder / "_info.json").read_text())["splits"]
    assert {"imagenet_train": 50, "train": 2, "val": 20} == {name: each["num_samples"] for name, each in splits.items()}
