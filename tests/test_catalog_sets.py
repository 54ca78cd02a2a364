"""The finder of the sets in a folder: each state, by what lies there, and what stands for no set."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from parallel_sharder.catalog.manifest import ListedShard, Manifest
from parallel_sharder.catalog.sets import CountedShard, State, sets_in
from parallel_sharder.options import Options


def manifest(name: str, shards: int = 2) -> Manifest:
    listed = [ListedShard(f"{name}-{number}.tar", 5, 10, 10, "0" * 32) for number in range(shards)]
    return Manifest.made(name, Options().choices, listed, [], None)


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def states(folder: Path) -> dict[str, State]:
    return {each.name: each.state for each in sets_in(str(folder))}


def test_finished(tmp_path: Path) -> None:
    """A sound manifest is a finished set, whatever is there of its shards, and whether there is a journal."""
    made = manifest("x")
    (tmp_path / "x.json").write_bytes(made.to_bytes())
    put(tmp_path, "x-1.tar", "x-7.tar", ".x.journal")
    [found] = sets_in(str(tmp_path))
    assert (State.FINISHED, made, ("x-1.tar", "x-7.tar")) == (found.state, found.manifest, found.there)
    assert (CountedShard("x-0.tar", 5, 10), CountedShard("x-1.tar", 5, 10)) == found.listed
    assert str(tmp_path / "x.json") == found.files.manifest


def test_unfinished(tmp_path: Path) -> None:
    """A journal without a sound manifest is an unfinished set, and so are shards with a damaged one."""
    put(tmp_path, ".a.journal", ".b.journal", "b.json", "b-0.tar", "c-0.tar")
    (tmp_path / "c.json").write_bytes(manifest("c").to_bytes()[:-5])
    assert {"a": State.UNFINISHED, "b": State.UNFINISHED, "c": State.UNFINISHED} == states(tmp_path)
    assert all(each.manifest is None and not each.listed for each in sets_in(str(tmp_path)))


def test_foreign(tmp_path: Path) -> None:
    """Shards without a manifest, and a wids index of others, are foreign sets, each with what is known of it."""
    put(tmp_path, "a_0.tar.gz", "a_1.tar.gz", "7.tar")
    entries = [{"url": "y/0.tar", "nsamples": 1}, {"url": "z-0.tar", "nsamples": 3}, {"url": 7}]
    (tmp_path / "w.json").write_text(json.dumps({"__kind__": "wids-shard-index-v1", "shardlist": entries}))
    found = {each.name: (each.state, each.listed, each.there) for each in sets_in(str(tmp_path))}
    assert {
        "a": (State.FOREIGN, (), ("a_0.tar.gz", "a_1.tar.gz")),
        "shards": (State.FOREIGN, (), ("7.tar",)),
        "w": (State.FOREIGN, (CountedShard("z-0.tar", 3, 0),), ()),
    } == found


def test_what_stands_for_no_set(tmp_path: Path) -> None:
    """A copy of a manifest, a damaged one without shards, other JSON, pipes, folders, and hidden shards."""
    (tmp_path / "copy.json").write_bytes(manifest("x").to_bytes())
    (tmp_path / "cut.json").write_bytes(manifest("cut").to_bytes()[:-5])
    (tmp_path / "other.json").write_text('{"shardlist": [{"url": "x-0.tar", "nsamples": 1}]}')
    (tmp_path / "list.json").write_text("[]")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    put(tmp_path, ".x-0.tar", "x-0.tar.idx")
    assert {} == states(tmp_path)


def test_copy_beside_its_set(tmp_path: Path) -> None:
    """It takes nothing from the set, and shards of its own name belong to a foreign one."""
    for name in ("x.json", "copy.json"):
        (tmp_path / name).write_bytes(manifest("x").to_bytes())
    put(tmp_path, "copy-0.tar")
    assert {"copy": State.FOREIGN, "x": State.FINISHED} == states(tmp_path)


def test_folder_that_is_none(tmp_path: Path) -> None:
    """Whoever asks words it."""
    with pytest.raises(FileNotFoundError):
        sets_in(str(tmp_path / "x"))
