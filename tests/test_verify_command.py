"""Verify: it finds every damage, says where, and calls sound what is sound, and nothing else."""

from __future__ import annotations

import json
import random
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, VerifyOptions, convert, verify_shards
from parallel_sharder.cli.main import main
from parallel_sharder.errors import DestinationError, OptionsError
from parallel_sharder.options import OnBad
from tests import made, made_layouts
from tests.sealed import (
    FIRST,
    SECOND,
    check_damage,
    make,
    manifest_of,
    manifest_path,
    members_in,
    other_headers,
    packed,
    said,
    seal,
    sign,
    total,
    verify,
)
from tests.test_bad import picture


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("suffix", ["tar", "tgz", "tar.zst"])
def test_sound_sets(finished: Path, tmp_path: Path, suffix: str, workers: int) -> None:
    """What the tool has made is sound, compressed or not, by itself and beside its source."""
    convert(Options(root=finished / "raw", dest=str(tmp_path / f"x-%04d.{suffix}"), shards=3, workers=0, seed=7))
    options = VerifyOptions(dest=tmp_path, source=finished / "raw", workers=workers)
    verdict = verify_shards(options)
    assert "" == said(verdict)
    assert (60, 3, 60, 0) == (verdict.samples, verdict.shards, verdict.compared, verdict.exit_code)
    assert sum(path.stat().st_size for path in tmp_path.glob("x-*")) == verdict.file_bytes
    for line in ("samples  60\n", "source   60 samples compared with", "verdict  sound"):
        assert line in verdict.text()


@pytest.mark.parametrize("choices", [{"shuffle": False}, {"labels": "sorted"}, {"maxcount": 7}])
def test_sound_sets_of_other_choices(finished: Path, tmp_path: Path, choices: dict[str, Any]) -> None:
    """The manifest tells how the set was made, so nothing has to be said again."""
    convert(Options(root=finished / "raw", dest=str(tmp_path), workers=0, **choices))
    assert "" == said(verify_shards(VerifyOptions(dest=tmp_path, source=finished / "raw", workers=0)))


def test_all_splits_in_one_folder(tmp_path: Path) -> None:
    """Train, val and test side by side are verified together, each with its part of the source."""
    made.kaggle(tmp_path / "raw")
    for split in ("train", "val", "test"):
        convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), split=split, shards=2, workers=0))
    verdict = verify(tmp_path, source=True)
    assert "" == said(verdict)
    assert (3, 6, 120) == (len(verdict.manifests), verdict.shards, verdict.compared)


@pytest.mark.parametrize("on_bad", ["skip", "keep"])
def test_broken_samples_are_as_the_list_of_problems_says(tmp_path: Path, on_bad: OnBad) -> None:
    """Left out with a note, or kept with a note: both are sound. Without the note they are not."""
    expected = made.classic_train(tmp_path / "raw", images=20, annotated=0)
    first, second, third = sorted(expected.wnids)[:3]
    for key in (first, second):
        expected.xml(f"train/{expected.wnids[key]}", key).write_text("<annotation>")
    (tmp_path / "raw" / "train" / expected.wnids[third] / f"{third}.JPEG").write_bytes(picture()[:-100])
    convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "out"), workers=0, on_bad=on_bad))
    compared = verify(tmp_path, source=True)
    assert "" == said(compared)
    expected_keys = [first, second, third] if on_bad == "skip" else []
    assert expected_keys == [problem.key for problem in compared.problems if problem.leaves_out]
    alone = verify(tmp_path)
    listed = f"{tmp_path}/out/imagenet_train.problems.jsonl lists 3 images or classes that the conversion left out."
    assert 0 == alone.exit_code
    assert (listed,) * (on_bad == "skip") == alone.notices
    (tmp_path / "out" / "imagenet_train.problems.jsonl").write_text("{}\n")
    verdict = verify(tmp_path, source=True)
    assert "imagenet_train.problems.jsonl  None: line 1 is not as the tool writes it" in said(verdict)
    for key in (first, second):
        without_note = "None: .*is in no shard" if on_bad == "skip" else "[0-9]+: its source .* cannot be compared"
        assert re.search(f"{key} {without_note}", said(verdict))


def test_sets_of_the_version_before(tmp_path: Path) -> None:
    """What commit f209ad4 has made is sound as it was: three sets of one source, of each form and each compression.

    Made by its `parallel-sharder --root raw --meta raw/LOC_synset_mapping.txt --labels sorted --shards 2`, with --dest
    original-%06d.tar --md5, boxes-%04d.tgz --annotations boxes --on-bad keep, and none-%01d.tar.zst --annotations none
    --no-shuffle. The source has a broken image and a broken annotation, a PNG, a CMYK image and a box past its image.
    """
    with tarfile.open(Path(__file__).with_name("f209ad4.tgz")) as archive:
        archive.extractall(tmp_path, filter="data")
    meta = tmp_path / "raw" / "LOC_synset_mapping.txt"
    for source in (None, tmp_path / "raw"):
        options = VerifyOptions(dest=tmp_path / "out", source=source, meta=source and meta, workers=0)
        verdict = verify_shards(options)
        assert "" == said(verdict)
        assert (42, 6, 42 if source else 0) == (verdict.samples, verdict.shards, verdict.compared)
    assert (3, 3) == (verdict.left_out, verdict.exit_code)


def test_flipped_bits(folder: Path) -> None:
    """One flipped bit, anywhere in a shard or in the manifest, is found, and the file is named."""
    draw = random.Random(0)
    for path in (folder / "out" / SECOND, folder / "out" / "imagenet_train.json"):
        data = path.read_bytes()
        for position in draw.sample(range(len(data)), 150):
            flipped = bytearray(data)
            flipped[position] ^= 1 << draw.randrange(8)
            path.write_bytes(flipped)
            verdict = verify(folder)
            assert [str(path)] == sorted({each.path for each in verdict.deviations}), position
        path.write_bytes(data)
    assert "" == said(verify(folder))


def _sample_twice(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed(members + members[:3]))


def _sample_in_two_shards(out: Path) -> None:
    (out / SECOND).write_bytes(packed(members_in(out / FIRST)[-3:] + members_in(out / SECOND)))


def _shards_swapped(out: Path) -> None:
    one, two = (out / FIRST).read_bytes(), (out / SECOND).read_bytes()
    (out / FIRST).write_bytes(two)
    (out / SECOND).write_bytes(one)


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (_sample_twice, rf"{FIRST} n\d+_\d+ \d+: is stored twice, also in .*{FIRST}, at offset 0"),
        (_sample_in_two_shards, rf"{SECOND} n\d+_\d+ 0: is stored twice, also in .*{FIRST}, at offset \d+"),
        (_shards_swapped, rf"{SECOND}  None: does not follow {FIRST} in the order of the set"),
    ],
)
def test_damaged_sets(folder: Path, damage: Callable[[Path], None], finding: str) -> None:
    """Sound shards that make no set together are found, though the manifest agrees with each."""
    check_damage(folder, damage, finding)


def test_shard_of_another_run(folder: Path) -> None:
    """A shard of the same name, made with another seed, is found by its digest, its order and its keys."""
    convert(Options(root=folder / "raw", dest=str(folder / "other"), shards=3, seed=1, workers=0))
    shutil.copy(folder / "other" / FIRST, folder / "out")
    findings = said(verify(folder, source=True))
    assert f"{FIRST}  None: has" in findings
    assert "is stored twice" in findings
    assert "does not follow" in findings
    assert "is in no shard" in findings


def test_lost_and_further_shards(folder: Path) -> None:
    """A shard that is not there, and one that no manifest has."""
    (folder / "out" / FIRST).unlink()
    shutil.copy(folder / "out" / SECOND, folder / "out" / "imagenet_train-000017.tar")
    findings = said(verify(folder)).splitlines()
    assert "imagenet_train-000017.tar  None: is a shard too many: the manifest does not list it" in findings
    assert f"{FIRST}  None: is missing" in findings


def test_sets_without_their_manifest(folder: Path) -> None:
    """A set whose manifest is missing is not passed over: it may not be finished. Without a journal it is anybody's."""
    (folder / "out" / "imagenet_train.json").unlink()
    findings = said(verify(folder))
    assert "imagenet_train.json  None: is missing: the set is not finished" in findings
    assert "(the journal has 3 of 3 shards as done)" in findings
    for path in folder.glob("out/.*"):
        path.unlink()
    verdict = verify(folder)
    assert ((), (str(folder / "out" / "imagenet_train-%06d.tar"),), 60) == (
        verdict.manifests,
        verdict.foreign,
        verdict.samples,
    )
    assert 0 == verdict.exit_code


def test_class_counts(folder: Path) -> None:
    """The manifest's table of classes has to add up."""
    path = folder / "out" / "imagenet_train.json"
    manifest = json.loads(path.read_text())
    manifest["classes"][0]["count"] += 1
    path.write_text(json.dumps(manifest))
    seal(folder / "out")
    [finding] = said(verify(folder)).splitlines()
    assert re.fullmatch(
        r"imagenet_train.json  None: says that class \d+ has [\d,]+ samples?; the shards hold [\d,]+", finding
    )


def _first_class(content: dict[str, Any]) -> dict[str, Any]:
    """The first that has samples."""
    row: dict[str, Any] = next(row for row in content["classes"] if row["wnid"] == "n01440764")
    return row


def _with_samples(content: dict[str, Any], count: int) -> None:
    """Let the first shard have so many, and the totals with it."""
    content["shardlist"][0].update(nsamples=count)
    total(content)


def _without_the_last(content: dict[str, Any]) -> None:
    """List a shard less, in the totals too."""
    del content["shardlist"][-1]
    total(content)


CONTRADICTIONS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "total samples": (
        lambda content: content["totals"].update(samples=13),
        r"totals\.samples is 13, and should be 12",
    ),
    "total shards": (
        lambda content: content["totals"].update(shards=1),
        r"totals\.shards is 1, and should be 2",
    ),
    "total bytes": (lambda content: content["totals"].update(filesize=1), r"totals\.filesize is 1, and should be"),
    "total tar bytes": (
        lambda content: content["totals"].update(tar_bytes=1),
        r"totals\.tar_bytes is 1, and should be",
    ),
    "MD5": (
        lambda content: content["shardlist"][0].update(md5sum="0" * 32),
        r"has the MD5 \w+; the manifest says 0",
    ),
    "samples": (lambda content: _with_samples(content, 7), "has 6 samples; the manifest says 7"),
    "class": (lambda content: _first_class(content).update(count=9), "class 449 has 9 samples; the shards hold 4"),
    "other classes": (
        lambda content: _first_class(content).update(wnid="n99999999", name="it"),
        r"its cls is 449 \(it\), and its json has the class 449 \(thing",
    ),
    "fewer shards": (
        _without_the_last,
        "is a shard too many: the manifest does not list it",
    ),
    "maxcount": (lambda content: content["options"].update(maxcount=5), "6 as nsamples, and that --maxcount was 5"),
    "maxsize": (lambda content: content["options"].update(maxsize=5), "as tar_bytes, and that --maxsize was 5"),
    "shards": (lambda content: content["options"].update(shards=3), "lists 2 shards, and says that --shards was 3"),
    "seed": (lambda content: content["options"].update(seed=5), "does not follow .* in the order of the set"),
    "no shuffle": (lambda content: content["options"].update(seed=None), "does not follow .* in the order of the set"),
    "labels": (lambda content: content["options"].update(labels="sorted"), "and its labels do not number"),
    "val": (lambda content: content["options"].update(split="val"), "is not the key of an image of val"),
    "test": (
        lambda content: content["options"].update(split="test"),
        "has 1,000 classes, and says that --split was te",
    ),
    "boxes": (
        lambda content: content["options"].update(annotations="boxes"),
        "json does not have the fields cls, cname",
    ),
    "none": (lambda content: content["options"].update(annotations="none"), "and there should be no annotation"),
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_manifests_that_are_signed_and_untrue(tmp_path: Path, contradiction: str) -> None:
    """What the shards, or the manifest's own parts, show to be otherwise is a deviation."""
    make(tmp_path, md5=True)
    assert "" == said(verify(tmp_path, source=True))
    change, finding = CONTRADICTIONS[contradiction]
    manifest = manifest_of(tmp_path)
    change(manifest)
    sign(manifest_path(tmp_path), manifest)
    verdict = verify(tmp_path)
    assert 1 == verdict.exit_code
    assert re.search(finding, said(verdict)), said(verdict)


IMPOSSIBLE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a split": lambda content: content["options"].update(split="all"),
    "an order of labels": lambda content: content["options"].update(labels="reversed"),
    "a form": lambda content: content["options"].update(annotations="all"),
    "a treatment": lambda content: content["options"].update(on_bad="mend"),
    "a seed": lambda content: content["options"].update(seed=-1),
    "a size": lambda content: content["options"].update(maxsize=0.5),
    "a count": lambda content: content["options"].update(maxcount="many"),
    "no options": lambda content: content.pop("options"),
    "a class twice": lambda content: content["classes"].append(content["classes"][0]),
    "a WordNet ID twice": lambda content: content["classes"].append({**content["classes"][0], "label": 1001}),
    "a shard twice": lambda content: content["shardlist"].append(content["shardlist"][0]),
    "a gap": lambda content: content["shardlist"][1].update(url="imagenet_train-000002.tar"),
    "a way up": lambda content: content["shardlist"][0].update(url="../out/imagenet_train-000000.tar"),
    "a way down": lambda content: content["shardlist"][0].update(url="./imagenet_train-000000.tar"),
    "an absolute path": lambda content: content["shardlist"][0].update(url="/imagenet_train-000000.tar"),
    "no shards": lambda content: content.update(shardlist=[]),
    "another version of wids": lambda content: content.update(wids_version=2),
    "another kind": lambda content: content.update(__kind__="wids-shard-index-v2"),
    "a name": lambda content: content.update(name=["imagenet_train"]),
    "a size of text": lambda content: content["shardlist"][0].update(filesize="many"),
}


@pytest.mark.parametrize("change", IMPOSSIBLE)
def test_manifests_that_are_signed_and_cannot_be(
    tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no conversion writes is a deviation, said in a sentence, with status 1."""
    make(tmp_path)
    manifest = manifest_of(tmp_path)
    IMPOSSIBLE[change](manifest)
    sign(manifest_path(tmp_path), manifest)
    assert 1 == main(["verify", str(tmp_path / "out"), "--workers", "0"])
    printed = capsys.readouterr()
    assert "" == printed.err
    assert "verdict" in printed.out


def test_all_deviations_in_json_and_the_first_in_text(folder: Path) -> None:
    """The text shows ten a file and counts the rest; JSON has every one, with its key and offset."""
    other_headers(mode=0o644)(folder / "out")
    verdict = verify(folder)
    entries = verdict.json()["deviations"]
    assert len(entries) == len(verdict.deviations) >= 60
    assert {"path", "detail", "key", "offset"} == set(entries[0])
    assert f"{folder}/out/{FIRST}\n  offset 0: the header of " in verdict.text()
    assert f"  and {len(entries) - 10:,} more" in verdict.text()


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"dest": "x-%d.tar"}, "dest: x-%d.tar needs exactly one shard number"),
        ({"dest": ".", "workers": -1}, "workers -1 is outside 0 to 10,000"),
        ({"dest": ".", "meta": "x"}, "meta is for a comparison with the source; name the source with source"),
    ],
)
def test_refused_options(choices: dict[str, Any], complaint: str) -> None:
    """Each slip is named with its remedy."""
    with pytest.raises(OptionsError) as caught:
        VerifyOptions(**choices)
    assert complaint in str(caught.value)


def test_source_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named as the reader calls it: by the field in the library, by the option on the command line."""
    remedy = "nowhere is not a folder; name the data set's with"
    [deviation] = verify_shards(VerifyOptions(dest=folder / "out", source=folder / "nowhere", workers=0)).deviations
    assert deviation.detail.endswith(f"{remedy} source.")
    assert 1 == main(["verify", str(folder / "out"), "--source", str(folder / "nowhere"), "--workers", "0"])
    assert f"{remedy} --source.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "why"),
    [("raw/table.csv", "is no folder"), ("raw/images", "has no table.csv, of which the set was made")],
)
def test_sources_without_the_table(tmp_path: Path, source: str, why: str) -> None:
    """A table's path, and another folder, are no source; the message says which folder is."""
    made_layouts.make(tmp_path, "csv").convert()
    (tmp_path / "raw/images").mkdir(exist_ok=True)
    [deviation] = verify_shards(VerifyOptions(dest=tmp_path / "out", source=tmp_path / source, workers=0)).deviations
    assert (
        f"cannot be compared with its source: {tmp_path / source} {why}. Name the data set's folder, "
        "in which the table is table.csv."
    ) == deviation.detail


def test_places(folder: Path) -> None:
    """A manifest or a pattern names one set of a folder; whatever is neither is refused."""
    for dest in (folder / "out" / "imagenet_train.json", folder / "out" / "imagenet_train-%06d.tar"):
        assert 60 == verify_shards(VerifyOptions(dest=dest, workers=0)).samples
    (folder / "other.json").write_text("{}")
    with pytest.raises(DestinationError, match="other.json is no manifest of this tool"):
        verify_shards(VerifyOptions(dest=folder / "other.json", workers=0))
    with pytest.raises(DestinationError, match="nowhere cannot be read: No such file or directory"):
        verify_shards(VerifyOptions(dest=folder / "nowhere", workers=0))
    with pytest.raises(DestinationError, match="raw holds no set of shards"):
        verify_shards(VerifyOptions(dest=folder / "raw", workers=0))


def test_sets_of_others_beside(folder: Path) -> None:
    """Shards and indexes of another tool, copies of a manifest and broken JSON beside a set: it is verified, and sets
    that have no manifest of ours are named.
    """
    out = folder / "out"
    for number in range(2):
        (out / f"cc3m-{number:05}.tar").write_bytes(b"another tool's")
    entries = [{"url": f"cc3m-{number:05}.tar", "nsamples": 7} for number in range(2)]
    index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries}
    (out / "cc3m.json").write_text(json.dumps(index))
    (out / "backup.json").write_bytes((out / "imagenet_train.json").read_bytes())
    (out / "notes.json").write_text("{")
    verdict = verify(folder)
    assert "" == said(verdict)
    assert ((str(out / "imagenet_train.json"),), 60) == (verdict.manifests, verdict.samples)
    assert (
        f"{out}/cc3m-%05d.tar was not verified, because no manifest of this tool lists these shards. Verify them with "
        f"`parallel-sharder verify {out}/cc3m-%05d.tar`.",
    ) == verdict.notices
    assert "note: " + verdict.notices[0] in verdict.text()
    (out / "imagenet_train.json").unlink()
    assert "imagenet_train.json  None: is missing: the set is not finished" in said(verify(folder))
