"""Inspect: sets in short, first and random samples, those of a class or a condition, and one sample by its key."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import (
    IndexOptions,
    Inspected,
    InspectOptions,
    Options,
    OptionsError,
    SharderError,
    VerifyOptions,
    convert,
    index_shards,
    inspect_shards,
    verify_shards,
)
from parallel_sharder.inspection import command
from parallel_sharder.inspection.reading import count_rows, find_key, nearest, sample_at, samples_of
from tests import made, made_layouts
from tests.shard_files import samples, write_shard


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished sets of train and val; val has boxes."""
    top = tmp_path_factory.mktemp("sets")
    made.kaggle(top / "raw")
    out = str(top / "shards")
    convert(Options(root=str(top / "raw"), dest=out, workers=0, maxcount=8))
    convert(Options(root=str(top / "raw"), dest=out, split="val", workers=0, maxcount=15, annotations="boxes"))
    return top / "shards"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Another tool's shards, with samples of several shapes."""
    made_layouts.make(tmp_path, "shards")
    return tmp_path / "raw"


def inspected(what: Path | str, **choices: Any) -> Inspected:
    return inspect_shards(InspectOptions(what=str(what), workers=0, **choices))


def keys(what: Path | str, **choices: Any) -> list[str]:
    return [line.key for line in inspected(what, **choices).samples]


def keys_of(paths: list[Path]) -> list[str]:
    return [sample.key for path in sorted(paths) for sample in samples_of(str(path))]


def test_sets(folder: Path) -> None:
    """Each set is told in short, the same as its manifest says, with the brace pattern that readers take."""
    found = inspected(folder)
    manifests = [json.loads((folder / f"imagenet_{split}.json").read_text()) for split in ("train", "val")]
    assert ["train", "val"] == [each.split for each in found.sets]
    assert [each["totals"]["samples"] for each in manifests] == [each.samples for each in found.sets]
    assert [len(each["shardlist"]) for each in manifests] == [each.shards for each in found.sets]
    sizes = [sum(path.stat().st_size for path in folder.glob(f"*{split}*.tar")) for split in ("train", "val")]
    assert sizes == [each.file_bytes for each in found.sets]
    last = len(manifests[0]["shardlist"]) - 1
    assert f"{folder}/imagenet_train-{{000000..{last:06}}}.tar" == found.sets[0].braces
    assert ("imagenet_train.json", "imagenet_val.json") == found.sets[0].beside
    assert {"finished"} == {each.state for each in found.sets}


def test_first_samples(folder: Path) -> None:
    """Ten by default, in the order of the shards; each with members, label, class and size in pixels."""
    names = keys_of([*folder.glob("*train*.tar")])
    assert names[:10] == keys(folder / "imagenet_train.json")
    assert names[:13] == keys(folder / "imagenet_train.json", head=13)
    assert names == keys(folder / "imagenet_train.json", head=10**6)
    line = inspected(folder / "imagenet_train.json").samples[0]
    assert ["cls", "jpg", "json"] == [field for field, _ in line.members]
    assert (90, 60) == line.pixels
    assert line.name == made.NAMES[line.key.partition("_")[0]]


@pytest.mark.parametrize("what", ["set", "foreign", "compressed"])
def test_random_samples(folder: Path, foreign: Path, tmp_path: Path, what: str) -> None:
    """The same ones for the same seed, none twice, all if there are fewer; with a condition too."""
    place: Path | str = folder / "imagenet_train.json"
    if what == "foreign":
        place = f"{foreign}/*.tar"
    elif what == "compressed":
        (tmp_path / "packed").mkdir()
        for path in foreign.glob("*.tar"):
            (tmp_path / "packed" / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        place = tmp_path / "packed"
    all_keys = keys(place, head=10**6)
    first = keys(place, random=7)
    assert first == keys(place, random=7)
    assert 7 == len({*first})
    assert first == sorted(first, key=all_keys.index)
    assert {*all_keys} > {*first}
    assert len({tuple(keys(place, random=7, seed=seed)) for seed in range(5)}) > 1
    assert all_keys == keys(place, random=10**6)
    condition = "cls >= 2" if what != "set" else "cls > 445"
    some = keys(place, head=10**6, where=condition)
    assert 0 < len(some) < len(all_keys)
    assert 3 == len(keys(place, random=3, where=condition))
    assert {*keys(place, random=3, where=condition, seed=4)} < {*some}


def test_random_samples_are_fair(tmp_path: Path) -> None:
    """Whether or not there is a condition, each sample is drawn about equally often."""
    write_shard(tmp_path / "a-0.tar", [(f"s{number}.cls", b"1") for number in range(8)])
    write_shard(tmp_path / "a-1.tar", [(f"t{number}.cls", b"1") for number in range(2)])
    for choices in ({}, {"where": "cls == 1"}):
        counts = dict.fromkeys(keys(tmp_path, head=20), 0)
        for seed in range(300):
            for key in keys(tmp_path, random=2, seed=seed, **choices):
                counts[key] += 1
        assert 30 < min(counts.values()) <= max(counts.values()) < 95


@pytest.mark.parametrize(
    "name",
    ["thing n01440764", "THING N01440764", "the '449th' of its kind", made.NAMES["n01440764"], "n01440764", "449"],
)
def test_class(folder: Path, name: str) -> None:
    """By one of its names, in any case, by all of them, by its WordNet ID, or by its label."""
    found = inspected(folder, class_=name, head=10**6)
    assert found.samples
    assert {made.NAMES["n01440764"]} == {line.name for line in found.samples}


def test_class_that_is_not_there(folder: Path, foreign: Path) -> None:
    """The nearest names are told. Without a table of classes, no sample is so."""
    with pytest.raises(OptionsError, match=r"class_? ?n01440765: .*Did you mean n01440764 "):
        inspected(folder, class_="n01440765")
    found = inspected(f"{foreign}/*.tar", class_="tench")
    assert () == found.samples
    assert "No sample matches." in found.text()
    assert keys(f"{foreign}/*.tar", class_="2", head=100) == keys(f"{foreign}/*.tar", where="cls == 2", head=100)


@pytest.mark.parametrize("workers", [0, 2])
def test_key(folder: Path, workers: int) -> None:
    """One sample: its place, its members as they are, and its JSON."""
    key = keys_of([*folder.glob("*val*.tar")])[-1]
    found = inspect_shards(InspectOptions(what=str(folder), key=key, workers=workers))
    assert found.one is not None
    line = found.one.line
    shard = Path(line.shard).read_bytes()
    assert shard[line.offset : line.offset + 100].rstrip(b"\0") == f"{key}.cls".encode()
    content = dict(found.one.contents)
    assert dict(line.members) == {field: len(data) for field, data in content.items()}
    assert json.loads(content["json"]) == found.json()["content"]["json"]
    assert len(json.loads(content["json"])["boxes"]) == line.boxes
    assert f"{key}\n" in found.text()


def test_key_that_is_not_there(folder: Path, foreign: Path) -> None:
    """The nearest keys are told, of all shards."""
    key = keys_of([*folder.glob("*val*.tar")])[-1]
    with pytest.raises(SharderError, match=rf"has the key {key[:-1]}x\. The nearest keys are .*ILSVRC2012_val"):
        inspected(folder, key=f"{key[:-1]}x")
    with pytest.raises(SharderError, match="No key is like it"):
        inspected(f"{foreign}/*.tar", key="~")
    assert ["n1_10"] == nearest("n1_100", ["n1_10", "zzzzz"])


def test_extract(foreign: Path, tmp_path: Path) -> None:
    """Members are written as they are, under the last part of the key; nothing is overwritten."""
    to = tmp_path / "new" / "folder"
    found = inspected(f"{foreign}/*.tar", key="1/x_4", extract=to)
    assert found.one is not None
    assert {f"x_4.{each.field}": each.data for each in found.one.contents} == {
        path.name: path.read_bytes() for path in to.iterdir()
    }
    assert sorted(map(str, to.iterdir())) == sorted(found.one.written)
    (to / "x_4.jpg").write_bytes(b"mine")
    with pytest.raises(SharderError, match=r"x_4\.\w+ is already there, and nothing is overwritten"):
        inspected(f"{foreign}/*.tar", key="1/x_4", extract=to)
    (to / "x_4.cls").unlink()
    with pytest.raises(SharderError, match=r"x_4\.jpg is already there"):
        inspected(f"{foreign}/*.tar", key="1/x_4", extract=to)
    assert not (to / "x_4.cls").exists()
    with pytest.raises(SharderError, match="cannot be written"):
        inspected(f"{foreign}/*.tar", key="1/x_4", extract=to / "x_4.jpg" / "below")


def test_part_of_a_set(folder: Path, tmp_path: Path) -> None:
    """One shard of ours has the classes of its set's manifest; a shard without it has those in its JSON."""
    shard = folder / "imagenet_train-000001.tar"
    found = inspected(shard, head=100)
    assert [f"of the finished set {folder}/imagenet_train.json"] == [each.state for each in found.sets]
    assert keys_of([shard]) == [line.key for line in found.samples]
    alone = tmp_path / "imagenet_train-000001.tar"
    alone.write_bytes(shard.read_bytes())
    found_alone = inspected(alone, head=100)
    assert ["without a manifest of this tool"] == [each.state for each in found_alone.sets]
    assert [line.name for line in found.samples] == [line.name for line in found_alone.samples]


def test_unfinished_set(tmp_path: Path) -> None:
    """What is there of a set that was stopped is shown, and that it is not finished."""
    from parallel_sharder.monitor.recording import Recording

    made.classic_train(tmp_path / "raw", images=30)

    class Stopping(Recording):
        def progress(self, samples: int, tar_bytes: int) -> None:
            if samples >= 20:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(Options(root=str(tmp_path / "raw"), dest=str(tmp_path / "out"), workers=0, maxcount=10), Stopping())
    found = inspected(tmp_path / "out")
    assert ["not finished"] == [each.state for each in found.sets]
    assert 10 == len(found.samples)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "is cut short"),
        (lambda path: path.write_bytes(b"x" * 10_000), "imagenet_train-000000.tar"),
        (lambda path: path.unlink(), "000000.tar is missing, and its set's manifest lists it"),
    ],
)
def test_damaged(folder: Path, tmp_path: Path, change: Any, complaint: str) -> None:
    """A shard that is damaged or missing is told by its path."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    change(tmp_path / "imagenet_train-000000.tar")
    with pytest.raises(SharderError, match=complaint):
        inspected(tmp_path / "imagenet_train.json", head=1000)


def test_odd_members(tmp_path: Path) -> None:
    """What is no JSON, no number and no image is no error; links and members without a key are passed over."""
    members = [
        ("a/", b""),
        ("README", b"text"),
        ("a/x.cls", b"cat"),
        ("a/x.jpg", b"no image"),
        ("a/x.json", b"{broken"),
        ("a/y.txt", b"\xff\xfe"),
        ("a/y.seg.png", b"->x"),
        ("a/z.json", b'[1]'),
    ]  # fmt: skip
    write_shard(tmp_path / "odd.tar", members)
    x, y, z = inspected(tmp_path / "odd.tar").samples
    assert ("a/x", "cat", None, None) == (x.key, x.label, x.pixels, x.boxes)
    assert (("txt", 2),) == y.members
    assert ("a/z", None) == (z.key, z.label)
    detail = inspected(tmp_path / "odd.tar", key="a/x")
    assert {"cls": "cat", "jpg": "no image", "json": "{broken"} == detail.json()["content"]
    assert {} == inspected(tmp_path / "odd.tar", key="a/y").json()["content"]


def test_only_headers_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a plain shard, and the members of the samples that are shown."""
    read = 0
    real = os.pread

    def counting(descriptor: int, size: int, offset: int) -> bytes:
        nonlocal read
        read += size
        return real(descriptor, size, offset)

    made.classic_train(folder.parent / "large", images=40)
    for path in (folder.parent / "large" / "train").rglob("*.JPEG"):
        path.write_bytes(path.read_bytes()[:-2] + bytes(200_000) + b"\xff\xd9")
    out = folder.parent / "large_shards"
    convert(Options(root=str(folder.parent / "large"), dest=str(out), workers=0))
    size = (out / "imagenet_train-000000.tar").stat().st_size
    monkeypatch.setattr(os, "pread", counting)
    assert 40 == count_rows(str(out / "imagenet_train-000000.tar"))
    assert 0 < read < size / 10
    key = keys(out, head=40)[-1]
    read = 0
    assert 39 == find_key(str(out / "imagenet_train-000000.tar"), key).row
    assert 0 < read < size / 10


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"key": "a", "head": 3}, "--key names one sample"),
        ({"head": 3, "random": 3}, "exclude each other"),
        ({"extract": "x"}, "name it with --key"),
        ({"head": 0}, "--head 0 is outside"),
        ({"random": -1}, "--random -1 is outside"),
        ({"where": "cls = 1"}, "=="),
        ({"key": ""}, "--key is empty"),
        ({"class_": ""}, "--class is empty"),
    ],
)
def test_wrong_options(folder: Path, choices: dict[str, Any], complaint: str) -> None:
    """Each is told before a shard is opened."""
    with pytest.raises(OptionsError, match=complaint.replace("--", "(--)?")):
        inspected(folder, **choices)


def test_nothing_there(tmp_path: Path) -> None:
    """A folder without shards, and one that is not there."""
    with pytest.raises(SharderError, match="holds no set of shards"):
        inspected(tmp_path)
    with pytest.raises(SharderError, match="cannot be read"):
        inspected(tmp_path / "none")


@pytest.fixture(scope="module")
def indexed(folder: Path) -> Path:
    """The two sets with energon's index."""
    out = folder.parent / "indexed"
    for path in folder.iterdir():
        out.mkdir(exist_ok=True)
        (out / path.name).write_bytes(path.read_bytes())
    index_shards(IndexOptions(dest=str(out), readers=("energon",), workers=0))
    return out


def test_key_by_index(folder: Path, indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With energon's index no shard is searched, and what is found is the same."""
    searched = {key: inspected(folder, key=key).json() for key in keys_of([*folder.glob("*.tar")])[::7]}
    monkeypatch.setattr(command, "find_key", lambda *_, **__: pytest.fail("the shards are searched"))
    for key, expected in searched.items():
        found = inspected(indexed, key=key).json()
        assert {**found, "shard": expected["shard"]} == expected
        assert os.path.basename(found["shard"]) == os.path.basename(expected["shard"])


@pytest.mark.parametrize("change", ["swapped", "garbage", "none", "other shards", "later", "infinite", "being written"])
def test_index_that_is_wrong(indexed: Path, tmp_path: Path, change: str) -> None:
    """An index that is not of these shards leads to a search, and to the right sample."""
    shutil.copytree(indexed, tmp_path / "x")
    first, second = (tmp_path / "x" / f"imagenet_train-00000{number}.tar" for number in range(2))
    if change == "swapped":
        one, other = first.read_bytes(), second.read_bytes()
        first.write_bytes(other)
        second.write_bytes(one)
    elif change == "garbage":
        (tmp_path / "x" / ".nv-meta" / "index.sqlite").write_bytes(b"no database" * 100)
    elif change == "none":
        (tmp_path / "x" / ".nv-meta" / ".info.json").unlink()
    elif change in ("later", "infinite"):
        offset = "byte_offset + 1024" if change == "later" else "9e999"
        with contextlib.closing(sqlite3.connect(tmp_path / "x" / ".nv-meta" / "index.sqlite")) as database:
            database.execute(f"UPDATE samples SET byte_offset = {offset}")
            database.commit()
    elif change == "being written":
        (tmp_path / "x" / ".nv-meta" / "index.sqlite-wal").touch()
    else:
        (tmp_path / "x" / ".nv-meta" / ".info.json").write_text('{"shard_counts": {"elsewhere.tar": 3}}')
    for key in keys_of([first])[:3]:
        found = inspected(tmp_path / "x", key=key)
        assert found.one is not None
        assert (key, str(first)) == (found.one.line.key, found.one.line.shard)


@pytest.mark.parametrize("pattern", ["imagenet_train-{000001..000002}.tar", "imagenet_train-00000[12].tar"])
def test_glob_of_a_part(folder: Path, pattern: str) -> None:
    """A part of a set that a glob names is shown, and no more."""
    found = inspected(folder / pattern, head=1000)
    assert keys_of([folder / f"imagenet_train-00000{number}.tar" for number in (1, 2)]) == [
        line.key for line in found.samples
    ]
    assert [(2, f"of the finished set {folder}/imagenet_train.json")] == [
        (each.shards, each.state) for each in found.sets
    ]
    assert {*keys(folder / pattern, random=5)} <= {line.key for line in found.samples}
    both = inspected(folder / "imagenet_*.tar", head=1000)
    assert 2 == len(both.sets)
    assert keys_of([*folder.glob("*.tar")]) == [line.key for line in both.samples]


def test_names_without_files(folder: Path) -> None:
    """A name that braces stand for and that has no file is told, here and by verify."""
    what = str(folder / "imagenet_train-{000000..000009}.tar")
    there = len([*folder.glob("imagenet_train-*.tar")])
    for act in (inspected, lambda dest: verify_shards(VerifyOptions(dest=dest, workers=0))):
        with pytest.raises(SharderError, match=f"{10 - there} names have no file, and no manifest lists one: .*0000"):
            act(what)


def test_class_without_a_table(folder: Path, tmp_path: Path) -> None:
    """Its ID may begin the keys."""
    shard = tmp_path / "a.tar"
    shard.write_bytes((folder / "imagenet_train-000000.tar").read_bytes())
    expected = [key for key in keys_of([shard]) if key.startswith("n01440764_")]
    assert expected == keys(shard, class_="n01440764", head=100) != []


def test_names_in_a_condition(folder: Path) -> None:
    """A name that no sample has is told, with those that samples have."""
    found = inspected(folder / "imagenet_train.json", where="width > 3")
    assert ("no sample has width; among what samples have is annotation, cls, cname",) == found.notices
    assert found.notices[0] in found.text()
    assert () == inspected(folder / "imagenet_train.json", where="cls == -5").notices


def test_files_beside_shards_are_counted(folder: Path, indexed: Path) -> None:
    """There can be as many as shards."""
    index_shards(IndexOptions(dest=str(indexed), readers=("dali",), workers=0))
    shards = len([*folder.glob("*.tar")])
    beside = inspected(indexed).sets[0].beside
    assert f"{shards} *.idx" in beside
    assert "imagenet_train.json" in beside


def test_index_in_another_mode(indexed: Path, tmp_path: Path) -> None:
    """Of a database that SQLite would write files beside, none is written."""
    shutil.copytree(indexed, tmp_path / "x")
    meta = tmp_path / "x" / ".nv-meta"
    with contextlib.closing(sqlite3.connect(meta / "index.sqlite")) as database:
        database.execute("PRAGMA journal_mode = WAL")
    before = sorted(os.listdir(meta))
    key = keys_of([*indexed.glob("*.tar")])[5]
    assert inspected(tmp_path / "x", key=key).one is not None
    assert before == sorted(os.listdir(meta))


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([(f"k.{'a' * 120}\0b.txt", b"x")], "has a zero byte"),
        ([("k.txt", b"x"), ("k.txt", b"y")], "has the field txt 2 times"),
    ],
)
def test_extract_of_what_no_files_can_hold(tmp_path: Path, members: list[tuple[str, bytes]], complaint: str) -> None:
    """It is told, and nothing is written."""
    write_shard(tmp_path / "a.tar", members, "pax", 0.5)
    with pytest.raises(SharderError, match=complaint):
        inspected(tmp_path / "a.tar", key="k", extract=tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_label_that_is_a_list(tmp_path: Path) -> None:
    """It is of no class."""
    write_shard(tmp_path / "a.tar", [("k.json", b'{"cls": [1, 2]}'), ("l.json", b'{"cls": 1}')])
    assert ["l"] == keys(tmp_path / "a.tar", class_="1")


def test_shard_that_unpacks_to_zeros(tmp_path: Path) -> None:
    """A small file that zstd unpacks to much is refused, and takes neither long nor much memory."""
    (tmp_path / "a.tar.zst").write_bytes(made.PACKED["zst"](bytes(300_000_000)))
    with pytest.raises(SharderError, match="zeros follow|hole"):
        inspected(tmp_path / "a.tar.zst")


def test_last_sample_of_a_padded_shard(tmp_path: Path) -> None:
    """A sample is found by its place also where all that follows is the zeros of a record of tar."""
    shard = write_shard(tmp_path / "x-000.tar", samples("a", "b", "c", "d"))
    assert 9 * 512 < shard_padding(Path(shard))
    places = [(each.key, each.offset) for each in samples_of(shard)]
    ends = [*(offset for _, offset in places[1:]), 4 * places[1][1]]
    for (key, offset), end in zip(places, ends, strict=True):
        with sample_at(shard, offset, end - offset, key) as found:
            assert found is not None
            assert key == found.key
        for length in (end - offset - 512, end - offset + 512):
            with sample_at(shard, offset, length, key) as found:
                assert found is None


def shard_padding(shard: Path) -> int:
    data = shard.read_bytes()
    return len(data) - len(data.rstrip(b"\0"))
