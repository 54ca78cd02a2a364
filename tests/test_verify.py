"""Verify: it finds every damage, says where, and is content with what is sound."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import shutil
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel_sharder import Options, Verdict, VerifyOptions, convert, verify_shards
from parallel_sharder.cli import main
from parallel_sharder.errors import DestinationError, OptionsError
from parallel_sharder.manifestshape import DIGEST
from parallel_sharder.options import OnBad
from parallel_sharder.witness import ExpectedShard, check_shard
from tests import made
from tests.test_bad import picture

Members = list[tuple[str, bytes]]
FIRST = "imagenet_train-000000.tar"
SECOND = "imagenet_train-000001.tar"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a raw set and its three finished shards: raw/, out/. Copied by those who damage it."""
    folder = tmp_path_factory.mktemp("finished")
    made.classic_train(folder / "raw")
    convert(Options(root=folder / "raw", dest=str(folder / "out"), shards=3, workers=0))
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def verify(folder: Path, *, source: bool = False, workers: int = 0) -> Verdict:
    return verify_shards(VerifyOptions(dest=folder / "out", source=folder / "raw" if source else None, workers=workers))


def said(verdict: Verdict) -> str:
    return "\n".join(
        f"{os.path.basename(each.path)} {each.key} {each.offset}: {each.detail}" for each in verdict.deviations
    )


def members_in(shard: Path) -> Members:
    with tarfile.open(shard) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def packed(members: Iterable[tuple[str, bytes]], tar_format: Any = tarfile.USTAR_FORMAT, **fields: Any) -> bytes:
    """A tar as the tool writes it, made with Python's own tarfile; `fields` are other values of all headers."""
    data = b""
    for name, content in members:
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.uname, header.gname = len(content), 0o444, "bigdata", "bigdata"
        for field, value in fields.items():
            setattr(header, field, value)
        data += header.tobuf(tar_format) + content + bytes(-len(content) % 512)
    return data + bytes(1024)


def seal(out: Path, tar_bytes: int | None = None, **changes: Any) -> None:
    """Let the manifest say of all shards what they are now, but for their samples, as if the tool had made them so.

    Then only what is in the shards can show that something is wrong. `tar_bytes` is what compressed shards have before
    compression, if that is to change; `changes` are other values of the manifest's fields.
    """
    path = out / "imagenet_train.json"
    manifest = json.loads(path.read_text())
    manifest.update(changes)
    for entry in manifest["shardlist"]:
        data = (out / entry["url"]).read_bytes()
        entry["filesize"] = len(data)
        if tar_bytes is not None or entry["url"].endswith(".tar"):
            entry["tar_bytes"] = tar_bytes or len(data)
        entry["xxh3_128"] = xxhash.xxh3_128_hexdigest(data)
        if "md5sum" in entry:
            entry["md5sum"] = hashlib.md5(data).hexdigest()
    if "totals" not in changes:
        for name in ("filesize", "tar_bytes"):
            manifest["totals"][name] = sum(entry[name] for entry in manifest["shardlist"])
    sign(path, manifest)


def sign(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with the digest that its content gives."""
    content = {name: value for name, value in manifest.items() if name != DIGEST}
    content[DIGEST] = xxhash.xxh3_128_hexdigest(f"{json.dumps(content, indent=1)}\n".encode())
    path.write_text(json.dumps(content, indent=1) + "\n")


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
    assert "" == said(verify(tmp_path, source=True))
    alone = verify(tmp_path)
    listed = f"{tmp_path}/out/imagenet_train.problems.jsonl lists 3 images or classes that the conversion left out, "
    assert 0 == alone.exit_code
    assert (listed + "and that no shard holds.",) * (on_bad == "skip") == alone.notices
    (tmp_path / "out" / "imagenet_train.problems.jsonl").write_text("{}\n")
    verdict = verify(tmp_path, source=True)
    assert "imagenet_train.problems.jsonl  None: line 1 is not a problem" in said(verdict)
    for key in (first, second):
        without_note = "None: .*is in no shard" if on_bad == "skip" else "[0-9]+: its source .* cannot be compared"
        assert re.search(f"{key} {without_note}", said(verdict))


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


def _offsets(shard: Path) -> list[int]:
    with tarfile.open(shard) as archive:
        return [member.offset for member in archive]


@pytest.mark.parametrize("sealed", [False, True])
def test_cuts_at_member_boundaries(folder: Path, sealed: bool) -> None:
    """A shard that ends where a member begins is found, even if the manifest were made from it."""
    shard = folder / "out" / FIRST
    data = shard.read_bytes()
    for offset in [*_offsets(shard), len(data) - 1024, len(data) - 512]:
        shard.write_bytes(data[:offset])
        if sealed:
            seal(folder / "out")
        verdict = verify(folder)
        assert f"{FIRST}  {offset if len(data) - 512 != offset else offset - 512}: ends with" in said(verdict), offset


def _two_in_one(out: Path) -> None:
    (out / FIRST).write_bytes((out / FIRST).read_bytes() + (out / SECOND).read_bytes())


def _no_end(out: Path) -> None:
    os.truncate(out / FIRST, (out / FIRST).stat().st_size - 512)


def _long_end(out: Path) -> None:
    os.truncate(out / FIRST, (out / FIRST).stat().st_size + 8192)


def _sample_twice(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed(members + members[:3]))


def _sample_twice_in_a_row(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed(members[:3] + members))


def _sample_in_two_shards(out: Path) -> None:
    (out / SECOND).write_bytes(packed(members_in(out / FIRST)[-3:] + members_in(out / SECOND)))


def _sample_missing(out: Path) -> None:
    (out / FIRST).write_bytes(packed(members_in(out / FIRST)[3:]))


def _member_missing(out: Path) -> None:
    (out / FIRST).write_bytes(packed(members_in(out / FIRST)[1:]))


def _members_apart(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed([*members[:2], *members[3:6], members[2], *members[6:]]))


def _members_in_another_order(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed([members[1], members[0], *members[2:]]))


def _labels_swapped(out: Path) -> None:
    """As a whole: cls and json of two samples of different classes."""
    members = members_in(out / FIRST)
    other = next(i for i in range(3, len(members), 3) if members[i][1] != members[0][1])
    for field in (0, 2):
        one, two = members[field], members[other + field]
        members[field], members[other + field] = (one[0], two[1]), (two[0], one[1])
    (out / FIRST).write_bytes(packed(members))


def _cls_swapped(out: Path) -> None:
    members = members_in(out / FIRST)
    other = next(i for i in range(3, len(members), 3) if members[i][1] != members[0][1])
    members[0], members[other] = (members[0][0], members[other][1]), (members[other][0], members[0][1])
    (out / FIRST).write_bytes(packed(members))


def _cls(value: bytes) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        members = members_in(out / FIRST)
        (out / FIRST).write_bytes(packed([(members[0][0], value), *members[1:]]))

    return damage


def _json(value: bytes) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        members = members_in(out / FIRST)
        (out / FIRST).write_bytes(packed([*members[:2], (members[2][0], value), *members[3:]]))

    return damage


def _headers(**fields: Any) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        (out / FIRST).write_bytes(packed(members_in(out / FIRST), **fields))

    return damage


def _shards_swapped(out: Path) -> None:
    one, two = (out / FIRST).read_bytes(), (out / SECOND).read_bytes()
    (out / FIRST).write_bytes(two)
    (out / SECOND).write_bytes(one)


def _samples_swapped(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed([*members[3:6], *members[:3], *members[6:]]))


def _padding(out: Path) -> None:
    data = bytearray((out / FIRST).read_bytes())
    data[512 + 100] = 1  # behind the first label
    (out / FIRST).write_bytes(data)


def _pax(out: Path) -> None:
    members = members_in(out / FIRST)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 11
    more = header.tobuf(tarfile.USTAR_FORMAT) + b"11 a=bcdef\n" + bytes(501)
    (out / FIRST).write_bytes(packed(members[:3])[:-1024] + more + packed(members[3:]))


def _header_broken(out: Path) -> None:
    data = bytearray((out / FIRST).read_bytes())
    data[_offsets(out / FIRST)[3]] ^= 1
    (out / FIRST).write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (_two_in_one, rf"{FIRST}  \d+: has an archive's end, and goes on behind it"),
        (_no_end, rf"{FIRST}  \d+: ends with 512 bytes of zeros; a tar ends with 1,024"),
        (_long_end, rf"{FIRST}  \d+: ends with 9,216 bytes of zeros"),
        (_sample_twice, rf"{FIRST} n\d+_\d+ \d+: is there twice: also in .*{FIRST}, at offset 0"),
        (_sample_twice_in_a_row, rf"{FIRST} n\d+_\d+ 0: has the members cls, jpg, json, cls, jpg, json; expected were"),
        (_sample_in_two_shards, rf"{SECOND} n\d+_\d+ 0: is there twice: also in .*{FIRST}, at offset \d+"),
        (_sample_missing, rf"{FIRST}  None: has 19 samples; the manifest says 20"),
        (_member_missing, rf"{FIRST} n\d+_\d+ 0: has the members jpg, json; expected were cls, jpg, json"),
        (_members_apart, rf"{FIRST} n\d+_\d+ \d+: has the members json; expected were"),
        (_members_in_another_order, rf"{FIRST} n\d+_\d+ 0: has the members jpg, cls, json"),
        (_labels_swapped, rf"{FIRST} n\d+_\d+ 0: its cls is \d+, which is n\d{{8}}\n"),
        (_cls_swapped, rf"{FIRST} n\d+_\d+ 0: its cls is \d+ \(thing .*\), and its json is of class \d+ \(thing"),
        (_cls(b"1001"), rf"{FIRST} n\d+_\d+ 0: its cls is b'1001', which is no label of the manifest's"),
        (_cls(b"007"), "its cls is b'007', which is no label"),
        (_cls(b""), "its cls is b'', which is no label"),
        (_json(b"{"), rf"{FIRST} n\d+_\d+ 0: its json is not a JSON object as json.dumps writes it"),
        (_json(b"[]"), "its json is not a JSON object"),
        (_json(b'{"a":1}'), "its json is not a JSON object"),
        (_json(b"[" * 100_000), "its json is not a JSON object"),
        (_headers(mode=0o644), rf"{FIRST}  0: the header of n.*.cls has mode 0644"),
        (_headers(mtime=5, uname="me"), r"has mtime 5, uname 'me'"),
        (_headers(tar_format=tarfile.GNU_FORMAT), "has bytes that are not plain ustar"),
        (_headers(type=tarfile.DIRTYPE), r"0: 'n.*.cls' is no plain file of a ustar archive"),
        (_pax, r"\d+: 'pax' is no plain file of a ustar archive"),
        (_shards_swapped, rf"{SECOND}  None: does not follow {FIRST} in the order of the set"),
        (_samples_swapped, rf"{FIRST} n\d+_\d+ \d+: does not follow n\d+_\d+ in the order of the set"),
        (_padding, rf"{FIRST}  \d+: has other bytes than zero behind n.*.cls"),
        (_header_broken, rf"{FIRST}  \d+: has neither a whole header nor the archive's end"),
    ],
)
def test_damage_that_the_manifest_agrees_with(folder: Path, damage: Callable[[Path], None], finding: str) -> None:
    """Were the writer to make such a shard and its digest, reading it would show it; and without, the digest does."""
    damage(folder / "out")
    assert any("the manifest says" in each.detail for each in verify(folder).deviations)
    seal(folder / "out")
    verdict = verify(folder)
    assert 1 == verdict.exit_code
    assert re.search(finding, said(verdict) + "\n"), said(verdict)


def test_shard_of_another_run(folder: Path) -> None:
    """A shard of the same name, made with another seed, is found by its digest, its order and its keys."""
    convert(Options(root=folder / "raw", dest=str(folder / "other"), shards=3, seed=1, workers=0))
    shutil.copy(folder / "other" / FIRST, folder / "out")
    findings = said(verify(folder, source=True))
    assert f"{FIRST}  None: has" in findings
    assert "is there twice" in findings
    assert "does not follow" in findings
    assert "is in no shard" in findings


def test_lost_and_further_shards(folder: Path) -> None:
    """A shard that is not there, and one that no manifest has."""
    (folder / "out" / FIRST).unlink()
    shutil.copy(folder / "out" / SECOND, folder / "out" / "imagenet_train-000017.tar")
    findings = said(verify(folder)).splitlines()
    assert "imagenet_train-000017.tar  None: is a shard too many: the manifest does not have it" in findings
    assert f"{FIRST}  None: is missing" in findings


def test_sets_without_their_manifest(folder: Path) -> None:
    """A set whose manifest is missing is not passed over: it may not be finished."""
    (folder / "out" / "imagenet_train.json").unlink()
    findings = said(verify(folder))
    assert "imagenet_train.json  None: is missing: the set is not finished" in findings
    assert "(the journal has 3 of 3 shards as done)" in findings
    for path in folder.glob("out/.*"):
        path.unlink()
    with pytest.raises(DestinationError, match="out holds no set of shards with its manifest"):
        verify(folder)


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


def _image_of(folder: Path, position: int = 0) -> Path:
    return sorted(folder.glob("raw/train/*/*.JPEG"))[position]


def test_sources_that_differ(folder: Path) -> None:
    """Another image of the same size, another annotation, one image more, one less: each is named with its shard."""
    image, gone = _image_of(folder), _image_of(folder, -1)
    data = bytearray(image.read_bytes())
    data[50] ^= 1
    image.write_bytes(data)
    xml = min(folder.glob("raw/train/*/*.xml"))
    xml.write_text(xml.read_text().replace("<height>375", "<height>376"))
    more = image.with_name(f"{image.parent.name}_999999.JPEG")
    more.write_bytes(data)
    gone.unlink()
    (gone.with_suffix(".xml")).unlink(missing_ok=True)
    verdict = verify(folder, source=True)
    findings = {each.key: each for each in verdict.deviations}
    assert {image.stem, xml.stem, more.stem, gone.stem} == set(findings)
    assert f"its image is not that of the source, {image}" == findings[image.stem].detail
    assert "its json is not what the annotation" in findings[xml.stem].detail
    assert f"{more} is in no shard, and in no list of problems" == findings[more.stem].detail
    assert "is not in the source" == findings[gone.stem].detail
    shard = findings[image.stem].path
    with tarfile.open(shard) as archive:
        assert archive.getmember(f"{image.stem}.cls").offset == findings[image.stem].offset
    assert 59 == verdict.compared


def test_swapped_labels_of_val_are_found_by_the_source(tmp_path: Path) -> None:
    """A validation image's name does not tell its class; the devkit does."""
    made.flat_val(tmp_path / "raw")
    convert(Options(root=tmp_path / "raw", dest=str(tmp_path / "imagenet_train-%06d.tar"), split="val", workers=0))
    out = tmp_path / "out"
    out.mkdir()
    for path in tmp_path.glob("imagenet_train*"):
        shutil.move(path, out)
    _labels_swapped(out)
    seal(out)
    assert "" == said(verify(tmp_path))
    assert 2 == said(verify(tmp_path, source=True)).count("its json is not what the class ")


def test_all_deviations_in_json_and_the_first_in_text(folder: Path) -> None:
    """The text shows ten a file and counts the rest; JSON has every one, with its key and offset."""
    _headers(mode=0o644)(folder / "out")
    verdict = verify(folder)
    entries = verdict.json()["deviations"]
    assert len(entries) == len(verdict.deviations) >= 60
    assert {"path", "detail", "key", "offset"} == set(entries[0])
    assert f"{folder}/out/{FIRST}\n  offset 0: the header of " in verdict.text()
    assert f"  and {len(entries) - 10:,} more" in verdict.text()


def test_compressed_streams_that_break_off(finished: Path, tmp_path: Path) -> None:
    """Cut, flipped or followed by junk: a compressed shard's damage is found as well."""
    for suffix in ("tgz", "tar.zst"):
        out = tmp_path / suffix / "out"
        convert(Options(root=finished / "raw", dest=str(out / f"imagenet_train-%06d.{suffix}"), shards=3, workers=0))
        shard = out / f"imagenet_train-000000.{suffix}"
        data = shard.read_bytes()
        for damaged in (data[:-9], data[: len(data) // 2], data[:1000] + b"x" + data[1001:], data + b"junk", b""):
            shard.write_bytes(damaged)
            assert str(shard) in {each.path for each in verify(tmp_path / suffix).deviations}
        shard.write_bytes(gzip.compress(b"another stream"))
        assert str(shard) in {each.path for each in verify(tmp_path / suffix).deviations}


@settings(max_examples=300)
@given(data=st.data())
def test_any_bytes_are_verified_without_an_error(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """Whatever a shard has become, compressed or not, the check ends with deviations and never with an error."""
    tar = (finished / "out" / FIRST).read_bytes()
    draw = data.draw
    suffix = draw(st.sampled_from(["tar", "tgz", "tar.zst"]))
    good = {"tar": tar, "tgz": gzip.compress(tar, mtime=0), "tar.zst": zstandard.ZstdCompressor().compress(tar)}[suffix]
    mutated = bytearray(good)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(mutated)))
        start -= draw(st.sampled_from([0, start % 512]))
        mutated[start : start + draw(st.integers(0, 600))] = draw(st.binary(max_size=600))
    path = tmp_path_factory.mktemp("shard") / f"x.{suffix}"
    path.write_bytes(mutated)
    digest = xxhash.xxh3_128_hexdigest(good)
    classes = {int(cls): ("n", "") for name, cls in members_in(finished / "out" / FIRST) if name.endswith(".cls")}
    expected = ExpectedShard(
        str(path), 20, len(good), len(tar), digest, "", classes, "train", 0, "original", "skip", True
    )
    deviations = check_shard(expected).deviations
    if mutated == good:
        assert not [each for each in deviations if "its cls is" not in each.detail]  # the words of classes are none
    else:
        assert [each for each in deviations if "its cls is" not in each.detail]


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"dest": "x-%d.tar"}, "dest: x-%d.tar needs exactly one shard number"),
        ({"dest": ".", "workers": -1}, "workers -1 is outside 0 to 10,000"),
        ({"dest": ".", "meta": "x"}, "meta tells where a part of the source is; name that with source"),
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
    assert (f"{out} holds shards of cc3m too, and no manifest of theirs to verify them by.",) == verdict.notices
    assert "note: " + verdict.notices[0] in verdict.text()
    (out / "imagenet_train.json").unlink()
    assert "imagenet_train.json  None: is missing: the set is not finished" in said(verify(folder))
