"""Indexes in the same pass as the shards: as from the headers, and withdrawn with the shards."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.catalog.manifest import signed
from parallel_sharder.errors import DestinationError, OptionsError, SharderError
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.options import Split
from tests.indexed import broken_source, content_of, convert_both, dali_index, foreign, index


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val, with samples that are left out: at the beginning, in the middle, at the end."""
    return broken_source(tmp_path_factory.mktemp("raw"))


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


def test_resumed_run_has_the_same_indexes(raw: Path, tmp_path: Path) -> None:
    """Stopped while it writes shards, stopped while it writes indexes, with shards lost: always the same files."""
    convert_both(raw, tmp_path / "once", "all", md5=True)
    out = tmp_path / "out"
    for stop in ("stores.durable.write_file", "indexes.energon_table.Table.finish", "indexes.readers.index_shard"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"parallel_sharder.{stop}", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                convert_both(raw, out, "all", md5=True)
        assert not [path for path in out.rglob("*") if path.suffix in (".partial", ".lock")]
    convert_both(raw, out, "all", md5=True)
    assert content_of(tmp_path / "once") == content_of(out)
    (out / "imagenet_train-000001.tar").unlink()
    options = Options(root=raw / "train", dest=str(out), shards=3, workers=0)
    assert "indexes or a dataset card listed shards that were removed" in convert(options).text()
    convert_both(raw, out, "all", md5=True)
    assert content_of(tmp_path / "once") == content_of(out)
    convert_both(raw, out, "none", md5=True)  # takes nothing away
    assert content_of(tmp_path / "once") == content_of(out)


def test_the_large_index_comes_first(raw: Path, tmp_path: Path) -> None:
    """Where the disk has no room for the table of Energon, no index of the folder is written before it."""
    convert_both(raw, tmp_path, "none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("parallel_sharder.indexes.energon_table.Table.finish", Mock(side_effect=OSError(28, "No space")))
        with pytest.raises(SharderError, match="No space"):
            index(tmp_path, "wids", "timm", "openclip", "energon")
    assert [] == [name for name in content_of(tmp_path) if name.startswith(("sizes", "_info", ".nv-meta", "wids"))]


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
        match=r"d-00.tar has the sample ILSVRC.*, which is there twice\. .*Leave that reader out of index",
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
    with pytest.raises(DestinationError, match=r"holds no sample, and DALI refuses .*Leave that reader out of index"):
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


def test_refusals_in_time(raw: Path, tmp_path: Path) -> None:
    """Before anything is written: compressed shards for readers that seek, and files in the way."""
    options: dict[str, Any] = {"root": raw / "val", "split": "val", "workers": 0}
    with pytest.raises(OptionsError, match="index all: dali and energon cannot seek in compressed shards"):
        Options(dest=str(tmp_path / "x-%02d.tgz"), index=("all",))
    with pytest.raises(OptionsError, match="index dali,none: none cannot be combined with others"):
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
