"""Which sets a folder holds, whatever else lies there: each shard once, finished sets alone."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from parallel_sharder import Options, convert
from parallel_sharder.cli.main import main
from tests.indexed import (
    TRAIN,
    broken_source,
    content_of,
    finished_sets,
    foreign,
    index,
    refusal,
    whole,
    wids_index,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val side by side, made by the tool."""
    return finished_sets(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and val, with samples that are left out: at the beginning, in the middle, at the end."""
    return broken_source(tmp_path_factory.mktemp("raw"))


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
            f"the set {tmp_path}/imagenet_train is not finished. 3 of 3 shards are done. An "
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
        assert f"a run is writing this set: it holds {folder}/.imagenet_val.journal" in refusal(folder, "timm")
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
        f"{folder}/imagenet_train-000009.tar has the name of a shard of the set, but {folder}/imagenet_train.json does "
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
