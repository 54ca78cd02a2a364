"""The manifest: read by one function, which believes only what has its digest and can be."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import IndexOptions, Options, VerifyOptions, convert, index_shards, verify_shards
from parallel_sharder.catalog.manifest import Manifest, signed
from parallel_sharder.errors import ManifestError
from tests import made

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of three shards with its MD5s."""
    folder = tmp_path_factory.mktemp("finished")
    made.classic_train(folder / "raw", images=20)
    out = str(folder / "out")
    convert(Options(root=folder / "raw", dest=out, shards=3, workers=0, md5=True))
    return folder


@pytest.fixture
def content(finished: Path) -> dict[str, Any]:
    """A sound manifest's."""
    found: dict[str, Any] = json.loads((finished / "out" / "imagenet_train.json").read_text())
    return found


def put(*path: str | int, value: Any) -> Change:
    """Put a value at a place."""

    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return change


def drop(*path: str | int) -> Change:
    """Remove what is at a place."""

    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        del content[path[-1]]

    return change


def content_in(data: bytes) -> dict[str, Any]:
    """What a manifest of ours has as JSON, field by field."""
    manifest = Manifest.parse(data)
    assert manifest is not None
    found: dict[str, Any] = json.loads(manifest.to_bytes())
    return found


def repeat_class(content: dict[str, Any]) -> None:
    content["classes"][1]["wnid"] = content["classes"][0]["wnid"]


COUNT = "and should be a whole number from 0 on"
FAULTS: list[tuple[Change, str]] = [
    (put("shardlist", 2, "nsamples", value="x"), f'shardlist[2].nsamples is "x", {COUNT}'),
    (put("shardlist", 2, "nsamples", value=-1), f"shardlist[2].nsamples is -1, {COUNT}"),
    (put("shardlist", 2, "nsamples", value=True), f"shardlist[2].nsamples is true, {COUNT}"),
    (put("shardlist", 2, "nsamples", value=7.0), f"shardlist[2].nsamples is 7.0, {COUNT}"),
    (put("shardlist", 2, "nsamples", value=2**63), f"shardlist[2].nsamples is {2**63}, {COUNT}"),
    (put("shardlist", 0, "filesize", value=None), f"shardlist[0].filesize is null, {COUNT}"),
    (put("shardlist", 0, "tar_bytes", value=[]), f"shardlist[0].tar_bytes is a list, {COUNT}"),
    (put("shardlist", 0, "md5sum", value="0" * 31), "md5sum is \"0000000000000000000000000000000\", and should be 32"),
    (put("shardlist", 0, "md5sum", value="A" * 32), "and should be 32 hexadecimal digits"),
    (put("shardlist", 1, "xxh3_128", value=""), 'shardlist[1].xxh3_128 is "", and should be 32 hexadecimal digits'),
    (drop("shardlist", 1, "nsamples"), "shardlist[1] has no nsamples"),
    (put("shardlist", 1, value="x"), 'shardlist[1] is "x", and should be an object'),
    (put("shardlist", value={}), "shardlist is an object, and should be a list"),
    (put("shardlist", value=[]), "shardlist is empty"),
    (drop("shardlist"), "it has no shardlist"),
    (put("shardlist", 0, "url", value="../x-000000.tar"), 'shardlist[0].url is "../x-000000.tar", and should be'),
    (put("shardlist", 0, "url", value="/etc/passwd"), 'shardlist[0].url is "/etc/passwd", and should be'),
    (put("shardlist", 0, "url", value="imagenet_train-000001.tar"), "should be the name of shard 0 of the set"),
    (put("shardlist", 1, "url", value="imagenet_train-000003.tar"), 'and should be "imagenet_train-000001.tar"'),
    (put("shardlist", 1, "url", value="imagenet_train-000000.tar"), 'and should be "imagenet_train-000001.tar"'),
    (put("shardlist", 1, "url", value="../imagenet_train-000001.tar"), 'and should be "imagenet_train-000001.tar"'),
    (put("shardlist", 1, "url", value="imagenet_train-000001.tgz"), 'and should be "imagenet_train-000001.tar"'),
    (put("name", value="other"), 'should be the name of shard 0 of the set "other"'),
    (put("name", value="a/../b"), 'should be the name of shard 0 of the set "a/../b"'),
    (put("name", value="\udcff"), 'name is "\\udcff", and should be text'),
    (put("name", value=7), "name is 7, and should be text"),
    (put("totals", "samples", value=21), "totals.samples is 21, and should be 20, as the shards have it"),
    (put("totals", "shards", value=2), "totals.shards is 2, and should be 3"),
    (put("totals", "filesize", value=0), "totals.filesize is 0, and should be"),
    (put("totals", "tar_bytes", value="1"), f'totals.tar_bytes is "1", {COUNT}'),
    (drop("totals"), "it has no totals"),
    (put("options", "split", value="all"), 'options.split is "all", and should be "train" or "val" or "test"'),
    (put("options", "split", value=["train"]), "options.split is a list, and should be"),
    (put("options", "labels", value="x"), 'options.labels is "x", and should be "devkit" or "sorted"'),
    (put("options", "annotations", value=None), "options.annotations is null, and should be"),
    (put("options", "on_bad", value="no"), 'options.on_bad is "no"'),
    (put("options", "seed", value=2**64), f"options.seed is {2**64}, and should be a whole number from 0 to"),
    (put("options", "seed", value="0"), 'options.seed is "0", and should be a whole number'),
    (put("options", "maxsize", value=1e9), "options.maxsize is 1000000000.0, and should be a whole number from 1 on"),
    (put("options", "maxcount", value=0), "options.maxcount is 0, and should be a whole number from 1 on, or null"),
    (drop("options", "seed"), "options has no seed"),
    (put("options", value=[]), "options is a list, and should be an object"),
    (put("classes", 7, "label", value=7), "classes[7].label is 7, and should be above 7, the one before it"),
    (put("classes", 7, "label", value="8"), 'classes[7].label is "8", and should be a whole number'),
    (put("classes", 7, "wnid", value="x"), 'classes[7].wnid is "x", and should be a WordNet ID'),
    (repeat_class, "twice"),
    (put("classes", 7, "name", value=None), "classes[7].name is null, and should be text"),
    (put("classes", 7, "count", value=-3), f"classes[7].count is -3, {COUNT}"),
    (put("classes", value=None), "classes is null, and should be a list"),
    (put("wids_version", value=2), "wids_version is 2, and should be a whole number from 1 to 1"),
    (put("__kind__", value="x"), '__kind__ is "x", and should be "wids-shard-index-v1"'),
    (put("tool", value="x"), 'tool is "x", and should be an object'),
    (put("tool", "version", value="<b>\n"), 'tool.version is "<b>\\n", and should be a version'),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), FAULTS)
def test_what_cannot_be_is_named(content: dict[str, Any], change: Change, expected: str) -> None:
    """A manifest with a right digest and one value that cannot be: where it is, what it is, and what it should be."""
    change(content)
    with pytest.raises(ManifestError) as caught:
        Manifest.parse(signed(content))
    assert str(caught.value).startswith("is damaged: ")
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("change", [
    drop("shardlist", 0, "md5sum"), drop("options", "annotations"), put("options", "seed", value=None),
    put("more", value={"a": [None]}),
])  # fmt: skip
def test_what_may_be_otherwise(content: dict[str, Any], change: Change) -> None:
    """What older versions lack, and what later ones add, is taken."""
    change(content)
    assert content.keys() == (content_in(signed(content))).keys()


def test_what_old_ones_lack(content: dict[str, Any]) -> None:
    """Without a form the annotations are original, and without an MD5 there is none; both are said in one place."""
    del content["options"]["annotations"]
    for entry in content["shardlist"]:
        del entry["md5sum"]
    manifest = Manifest.parse(signed(content))
    assert manifest is not None
    assert ("original", ["", "", ""]) == (manifest.options.annotations, [shard.md5 for shard in manifest.shards])


def test_bytes_come_back(finished: Path, content: dict[str, Any]) -> None:
    """What is read and written again is the same to the byte, also with entries that only a later version knows."""
    data = (finished / "out" / "imagenet_train.json").read_bytes()
    manifest = Manifest.parse(data)
    assert manifest is not None
    assert data == manifest.to_bytes()
    content["shardlist"][1] = {"new": [1], **content["shardlist"][1], "last": {}}
    content = {"first": None, **content, "options": {"later": True, **content["options"]}}
    later = Manifest.parse(signed(content))
    assert later is not None
    digests = {shard.name: (shard.md5, shard.xxh3_128) for shard in later.shards}
    assert signed(content) == later.to_bytes() == later.with_md5(digests).to_bytes()
    assert manifest.shards == later.shards


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 10_000, b"\xff", b'{"a": ' + b"9" * 5000 + b"}"])
def test_what_is_no_json(data: bytes) -> None:
    """Whatever the bytes are, they are said to be damaged."""
    with pytest.raises(ManifestError, match="is damaged: it is not JSON"):
        Manifest.parse(data)


@pytest.mark.parametrize("data", [b"[]", b"7", b'"x"', b"{}", b'{"tool": "x"}', b'{"tool": {"name": "x"}, "a": 1}'])
def test_what_is_not_ours(data: bytes) -> None:
    """JSON of others is no manifest, and no damaged one."""
    assert Manifest.parse(data) is None


def test_digest(content: dict[str, Any]) -> None:
    """One other byte, a field twice, other blanks: the digest does not hold."""
    sound = signed(content)
    assert content == content_in(sound)
    for damaged in (
        sound.replace(b'"samples": 20', b'"samples": 21'),
        sound.replace(b"{\n", b'{\n "name": "imagenet_train",\n', 1),
        sound + b"\n",
        json.dumps(content).encode(),
    ):
        with pytest.raises(ManifestError, match="its content does not have the digest that it ends with"):
            Manifest.parse(damaged)


def test_an_md5_stands_beside_a_digest_that_holds(content: dict[str, Any]) -> None:
    """With the XXH3-128 that the manifest has, the MD5 is written; with another, nothing is."""
    digests = {entry["url"]: ("5" * 32, entry["xxh3_128"]) for entry in content["shardlist"]}
    manifest = Manifest.parse(signed(content))
    assert manifest is not None
    assert {"5" * 32} == {entry["md5sum"] for entry in json.loads(manifest.with_md5(digests).to_bytes())["shardlist"]}
    digests["imagenet_train-000001.tar"] = ("5" * 32, "0" * 32)
    with pytest.raises(ManifestError, match=r"of imagenet_train-000001.tar, and the file has 0{32}"):
        manifest.with_md5(digests)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """The set's shards and its manifest, without a journal."""
    for path in (finished / "out").glob("imagenet_train*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def refusal(folder: Path, *readers: Any, md5: bool = False) -> str:
    with pytest.raises(ManifestError) as caught:
        index_shards(IndexOptions(dest=folder, readers=readers, workers=0, md5=md5))
    return str(caught.value)


@pytest.mark.parametrize(
    "change", [put("shardlist", 1, "nsamples", value="x"), drop("options"), drop("tool", "version")]
)
def test_who_reads_it(copy: Path, content: dict[str, Any], change: Change) -> None:
    """Index, with MD5 and for any reader, and verify say the same of what cannot be a manifest, and leave it alone."""
    change(content)
    path = copy / "imagenet_train.json"
    path.write_bytes(signed(content))
    with pytest.raises(ManifestError) as caught:
        Manifest.read(str(path))
    for found in (refusal(copy, "wids", md5=True), refusal(copy, "timm"), refusal(copy, "energon")):
        assert f"{path} {caught.value}. Copy it again, or type the command of its conversion again, " in found
    [deviation] = verify_shards(VerifyOptions(dest=copy, workers=0)).deviations
    assert str(caught.value) in deviation.detail
    assert signed(content) == path.read_bytes()
    assert {"imagenet_train"} == {path.name.split("-")[0].split(".")[0] for path in copy.iterdir()}


def test_a_damaged_manifest_is_not_signed_anew(copy: Path) -> None:
    """One that somebody has edited stays as it is, and index says so."""
    path = copy / "imagenet_train.json"
    path.write_bytes(path.read_bytes().replace(b"thing", b"think"))
    before = path.read_bytes()
    assert f"{path} is damaged: its content does not have the digest" in refusal(copy, "wids", md5=True)
    assert before == path.read_bytes()


def test_no_md5_of_a_damaged_shard(copy: Path) -> None:
    """A shard that has changed since it was finished gets no MD5, and is named with both digests."""
    before = (copy / "imagenet_train.json").read_bytes()
    shard = copy / "imagenet_train-000001.tar"
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    shard.write_bytes(data)
    message = refusal(copy, "wids", md5=True)
    assert re.search(
        r"imagenet_train.json has [0-9a-f]{32} as digest \(XXH3-128\) of imagenet_train-000001.tar", message
    )
    assert before == (copy / "imagenet_train.json").read_bytes()


def test_a_pipe_is_no_manifest(copy: Path) -> None:
    """Nobody waits for one; a folder is none either."""
    path = copy / "imagenet_train.json"
    path.unlink()
    os.mkfifo(path)
    assert f"{path} cannot be read: it is a pipe, and no regular file" in refusal(copy, "timm")
    [deviation] = verify_shards(VerifyOptions(dest=copy, workers=0)).deviations
    assert deviation.detail.startswith("cannot be read: it is a pipe, and no regular file")
    path.unlink()
    path.mkdir()
    assert "it is a folder, and no regular file" in refusal(copy, "timm")


def test_card_beside_a_malformed_manifest(finished: Path, tmp_path: Path, content: dict[str, Any]) -> None:
    """A set whose manifest cannot be is in no card, and the run that writes the card ends well; so is a copy."""
    (tmp_path / "copy.json").write_bytes(signed(content))
    content["name"], content["options"] = "old", {"split": "train"}
    for number, entry in enumerate(content["shardlist"]):
        entry["url"] = f"old-{number:06}.tar"
    (tmp_path / "old.json").write_bytes(signed(content))
    os.mkfifo(tmp_path / "pipe.json")
    report = convert(
        Options(root=finished / "raw", dest=str(tmp_path), workers=0, card=True, index=("timm", "openclip"))
    )
    assert 0 == report.exit_code
    text = (tmp_path / "README.md").read_text()
    assert 1 == text.count("| train | 20 |")
    assert "`old.json`" not in text
    assert {"imagenet_train-000000.tar": 20} == json.loads((tmp_path / "sizes.json").read_text())


@pytest.mark.parametrize("name", ["null", "on", "2", "@a", "*a", "x:y", "x2", "100", "a|b`c<d"])
def test_names_that_sets_can_have(finished: Path, tmp_path: Path, name: str) -> None:
    """Whatever a pattern takes as a name is read again: by index, by the card, and by verify."""
    dest = str(tmp_path / f"{name}%03d.tar")
    convert(Options(root=finished / "raw", dest=dest, workers=0, shards=2, card=True))
    assert ("wids",) == IndexOptions(dest=dest).readers
    assert (name,) == index_shards(IndexOptions(dest=dest, workers=0, md5=True)).sets
    verdict = verify_shards(VerifyOptions(dest=tmp_path, workers=0))
    assert ((str(tmp_path / f"{name}.json"),), (), ()) == (verdict.manifests, verdict.notices, verdict.deviations)
