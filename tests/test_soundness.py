"""Soundness: verify calls sound only what is, even where manifest and list of problems have been made to agree."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from parallel_sharder import Options, Verdict, VerifyOptions, convert, verify_shards
from parallel_sharder.cli.main import main
from tests import made
from tests.test_bad import picture
from tests.test_verify import members_in, packed, said, seal, sign

MEMORY_LIMIT_BYTES = 300 << 20


def make(folder: Path, suffix: str = "tar", **choices: Any) -> Path:
    """A set of small pictures, half of them annotated, and its two shards, in raw/ and out/; the first shard."""
    expected = made.classic_train(folder / "raw", classes=3, images=12, annotated=0)
    for number, key in enumerate(sorted(expected.wnids)):
        (folder / "raw" / "train" / expected.wnids[key] / f"{key}.JPEG").write_bytes(picture())
        if number % 2:
            expected.xml(f"train/{expected.wnids[key]}", key)
    return run(folder, suffix, **choices)


def run(folder: Path, suffix: str = "tar", **choices: Any) -> Path:
    """Convert raw/ to two shards in out/; the first shard."""
    dest = str(folder / "out" / f"imagenet_train-%06d.{suffix}")
    convert(Options(root=folder / "raw", dest=dest, shards=2, workers=0, **choices))
    return folder / "out" / f"imagenet_train-000000.{suffix}"


def verify(folder: Path, *, source: bool = False) -> Verdict:
    return verify_shards(VerifyOptions(dest=folder / "out", source=folder / "raw" if source else None, workers=0))


def manifest_path(folder: Path) -> Path:
    return folder / "out" / "imagenet_train.json"


def manifest_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(manifest_path(folder).read_text())
    return content


# Compressed files: one member, one frame, from the first byte to the last.

SKIPPABLE = struct.pack("<II", 0x184D2A50, 4) + b"note"
EMPTY = {"tgz": zlib.compressobj(wbits=31).flush(), "tar.zst": zstandard.ZstdCompressor().compress(b"")}
BEHIND = "goes on behind its (gzip member|zstd frame)"
WITHIN = "ends within its (gzip member|zstd frame)"
NO_BEGINNING = "incorrect header|does not begin with a zstd frame"
STREAMS: dict[str, tuple[Callable[[bytes, str], bytes], str]] = {
    "twice": (lambda data, _: data + data, BEHIND),
    "an empty one behind": (lambda data, suffix: data + EMPTY[suffix], BEHIND),
    "an empty one before": (lambda data, suffix: EMPTY[suffix] + data, BEHIND),
    "a skippable frame behind": (lambda data, _: data + SKIPPABLE, BEHIND),
    "a skippable frame before": (lambda data, _: SKIPPABLE + data, NO_BEGINNING),
    "a zero behind": (lambda data, _: data + b"\0", BEHIND),
    "cut by 1": (lambda data, _: data[:-1], WITHIN),
    "cut by 3": (lambda data, _: data[:-3], WITHIN),
    "cut by 4": (lambda data, _: data[:-4], WITHIN),
    "cut by 9": (lambda data, _: data[:-9], WITHIN),
    "a wrong checksum": (lambda data, _: data[:-5] + bytes(each ^ 1 for each in data[-5:]), "cannot be read on"),
    "not compressed": (lambda data, _: packed([]), NO_BEGINNING),
    "nothing": (lambda data, _: b"", WITHIN),
}


@pytest.mark.parametrize("suffix", ["tgz", "tar.zst"])
@pytest.mark.parametrize("damage", STREAMS)
def test_one_member_and_one_frame(tmp_path: Path, suffix: str, damage: str) -> None:
    """Whatever is before, behind, or missing, is found, even where size and digest are those of the manifest."""
    shard = make(tmp_path, suffix)
    assert "" == said(verify(tmp_path))
    spoil, finding = STREAMS[damage]
    shard.write_bytes(spoil(shard.read_bytes(), suffix))
    seal(tmp_path / "out")
    verdict = verify(tmp_path)
    assert 1 == verdict.exit_code
    assert [str(shard)] == sorted({each.path for each in verdict.deviations})
    assert re.search(finding, said(verdict)), said(verdict)


# Memory: what headers promise is not believed.


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.mode, member.uname, member.gname = size, kind, 0o444, "bigdata", "bigdata"
    return member.tobuf(tarfile.GNU_FORMAT if size >= 1 << 33 else tarfile.USTAR_FORMAT)


def frame(start: bytes, zeros: int, window: int = 0x38) -> bytes:
    """A zstd frame of `start` and so many zeros, four bytes for 128 KB of them; `window` is its window descriptor."""
    blocks = [struct.pack("<I", len(start) << 3)[:3] + start]
    blocks += [struct.pack("<I", 1 << 1 | (1 << 17) << 3)[:3] + b"\0"] * (zeros >> 17)
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + b"".join(blocks) + b"\1\0\0"


def member(start: bytes, zeros: int) -> bytes:
    """The beginning of a gzip member of `start` and so many zeros."""
    stream = zlib.compressobj(wbits=31)
    first = stream.compress(start) + stream.flush(zlib.Z_FULL_FLUSH)
    piece = stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)
    return first + piece * (zeros >> 20)


KEY = "n01440764_1"
LARGE = 1 << 29
UNREADABLE = "cannot be read on|is no plain file"
ROOM = "by its header, and the manifest has room for"
BOMBS: dict[str, tuple[str, Callable[[], bytes], int, str]] = {
    "a large member": ("tar.zst", lambda: frame(header(f"{KEY}.jpg", LARGE), LARGE), 40_000, ROOM),
    "the manifest agrees": ("tar.zst", lambda: frame(header(f"{KEY}.jpg", LARGE), LARGE), LARGE + 1536, "ends with"),
    "a large cls": (
        "tar.zst",
        lambda: frame(header(f"{KEY}.cls", LARGE), LARGE),
        LARGE + 1536,
        "has the members cls; expected",
    ),
    "a large json": ("tar.zst", lambda: frame(header(f"{KEY}.json", LARGE), LARGE), LARGE + 1536, "none has more than"),
    "zeros": ("tar.zst", lambda: frame(b"", LARGE), 40_000, "has more before compression than the 40,000 bytes"),
    "all zeros": ("tar.zst", lambda: frame(b"", LARGE), LARGE, f"ends with {LARGE:,} bytes of zeros"),
    "a window": ("tar.zst", lambda: frame(b"", LARGE, window=0xA8), LARGE, "cannot be read on: .*too much memory"),
    "PAX": ("tar.zst", lambda: frame(header("pax", LARGE, tarfile.XHDTYPE), LARGE), LARGE + 1536, UNREADABLE),
    "a long name": (
        "tar.zst",
        lambda: frame(header("long", LARGE, tarfile.GNUTYPE_LONGNAME), LARGE),
        LARGE,
        UNREADABLE,
    ),
    "a sparse file": ("tar.zst", lambda: frame(header("s", LARGE, tarfile.GNUTYPE_SPARSE), LARGE), LARGE, UNREADABLE),
    "base 256": ("tar.zst", lambda: frame(header(f"{KEY}.jpg", 1 << 60), LARGE), LARGE, ROOM),
    "gzip": ("tgz", lambda: member(header(f"{KEY}.jpg", LARGE), LARGE), 40_000, ROOM),
    "gzip's zeros": ("tgz", lambda: member(b"", LARGE), 40_000, "has more before compression than the 40,000 bytes"),
    "gzip, the manifest agrees": ("tgz", lambda: member(header(f"{KEY}.jpg", LARGE), LARGE), LARGE + 512, WITHIN),
    "headers": (
        "tar.zst",
        lambda: zstandard.ZstdCompressor().compress(header(f"{KEY}.txt", 0).replace(b"444", b"445") * 400_000),
        400_000 * 512,
        "cannot be read on|neither a whole header",
    ),
    "deviations": (
        "tar.zst",
        lambda: zstandard.ZstdCompressor().compress((header(f"{KEY}.txt", 0) + header("n01440764_2.x", 0)) * 200_000),
        400_000 * 512,
        "has more than 1,000 deviations, and was read no further",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_is_bounded(tmp_path: Path, bomb: str) -> None:
    """Some KB that unpack to half a GB are told from a shard in bounded memory, whatever the manifest says."""
    suffix, data, tar_bytes, finding = BOMBS[bomb]
    make(tmp_path, suffix).write_bytes(data())
    seal(tmp_path / "out", tar_bytes=tar_bytes)
    assert_bounded(tmp_path, finding)


def test_holes_are_no_memory(tmp_path: Path) -> None:
    """A shard that is not compressed can be a hole of any size."""
    shard = make(tmp_path)
    shard.write_bytes(header(f"{KEY}.jpg", LARGE))
    os.truncate(shard, LARGE + 1536)
    manifest = manifest_of(tmp_path)
    manifest["shardlist"][0] |= {"filesize": LARGE + 1536, "tar_bytes": LARGE + 1536}
    _total(manifest)
    sign(manifest_path(tmp_path), manifest)
    assert_bounded(tmp_path, "has the members jpg; expected were cls, jpg, json")


def assert_bounded(folder: Path, finding: str) -> None:
    """That a process which verifies the set finds that, and has taken little memory."""
    script = (
        "import re, sys\n"
        "from parallel_sharder import VerifyOptions, verify_shards\n"
        "verdict = verify_shards(VerifyOptions(dest=sys.argv[1], workers=0))\n"
        "print(re.search('VmHWM:(.*)kB', open('/proc/self/status').read())[1], verdict.exit_code)\n"  # of this alone
        "print(verdict.text())\n"
    )
    words = [sys.executable, "-c", script, str(folder / "out")]
    output = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout
    first, rest = output.split("\n", 1)
    kilobytes, status = map(int, first.split())
    assert re.search(finding, rest), rest
    assert 1 == status
    assert kilobytes * 1024 < MEMORY_LIMIT_BYTES


# What the manifest says of the shards, and of itself.


def _first_class(content: dict[str, Any]) -> dict[str, Any]:
    """The first that has samples."""
    row: dict[str, Any] = next(row for row in content["classes"] if row["wnid"] == "n01440764")
    return row


def _total(content: dict[str, Any]) -> None:
    """Let the totals say what the list of shards gives."""
    shards = content["shardlist"]
    fields = {"samples": "nsamples", "filesize": "filesize", "tar_bytes": "tar_bytes"}
    content["totals"].update({total: sum(entry[field] for entry in shards) for total, field in fields.items()})
    content["totals"].update(shards=len(shards))


def _with_samples(content: dict[str, Any], count: int) -> None:
    """Let the first shard have so many, and the totals with it."""
    content["shardlist"][0].update(nsamples=count)
    _total(content)


def _without_the_last(content: dict[str, Any]) -> None:
    """List a shard less, in the totals too."""
    del content["shardlist"][-1]
    _total(content)


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
    "MD5": (lambda content: content["shardlist"][0].update(md5sum="0" * 32), r"as digest \(MD5\); the manifest says 0"),
    "samples": (lambda content: _with_samples(content, 7), "has 6 samples; the manifest says 7"),
    "class": (lambda content: _first_class(content).update(count=9), "class 449 has 9 samples; the shards hold 4"),
    "other classes": (
        lambda content: _first_class(content).update(wnid="n99999999", name="it"),
        r"its cls is 449 \(it\), and its json is of class 449 \(thing",
    ),
    "fewer shards": (
        _without_the_last,
        "is a shard too many: the manifest does not have it",
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
    "boxes": (lambda content: content["options"].update(annotations="boxes"), "its json has not the fields cls, cname"),
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


# What is in the shards, by the manifest's form.


def with_member(shard: Path, ending: str, change: Callable[[bytes], bytes]) -> str:
    """Change what the last member of that ending holds, in a shard that is not compressed; its key."""
    members = members_in(shard)
    last = max(number for number, (name, _) in enumerate(members) if name.endswith(ending))
    name, content = members[last]
    members[last] = name, change(content)
    shard.write_bytes(packed(members))
    return name.partition(".")[0]


def _with(**fields: Any) -> Callable[[bytes], bytes]:
    return lambda text: json.dumps({**json.loads(text), **fields}).encode()


JSONS: dict[str, tuple[dict[str, Any], Callable[[bytes], bytes], str]] = {
    "NaN": ({}, _with(cls=float("nan")), "its json holds the number NaN, and whole numbers are all"),
    "infinity": ({}, _with(cls=float("inf")), "its json holds the number Infinity"),
    "1.0": ({}, _with(cls=449.0), r"its json holds the number 449\.0"),
    "an exponent": (
        {},
        lambda text: re.sub(rb'"cls": ([0-9]+)', rb'"cls": \1e0', text),
        "its json holds the number [0-9]+e0",
    ),
    "true": ({}, _with(cls=True), r"its json is of class True \("),
    "text": ({}, _with(cls="449"), r"its json is of class 449 \("),
    "a key twice": ({}, lambda text: text[:-1] + b', "cls": 449}', "is not a JSON object as json.dumps writes it"),
    "a field more": (
        {},
        _with(wnid="n01440764"),
        "its json has the fields .*wnid; expected were annotation, cls, cname",
    ),
    "fields of boxes": ({}, _with(boxes=[]), "its json has the fields .*boxes; expected were annotation, cls, cname"),
    "no annotation": ({}, _with(annotation=None), "its json has (the fields|something else than text)"),
    "numbers of XML": ({}, _with(annotation={"size": {"width": 500}}), "its json has (the fields|something else)"),
    "none, with boxes": ({"annotations": "none"}, _with(boxes=[]), "has cls, cname, boxes, and there should be no"),
    "none, with annotation": ({"annotations": "none"}, _with(annotation={}), "and there should be no annotation"),
    "boxes, with none": ({"annotations": "boxes"}, lambda _: b'{"cls": 1, "cname": "it"}', "has not the fields cls"),
    "boxes, without size": ({"annotations": "boxes"}, _with(width=0), "its json has the file .* of 0 x"),
    "large": (
        {},
        _with(annotation={"a": "b" * 8_000_000}),
        "its json has 8,000,0.. bytes; none has more than 7,340,032",
    ),
}


@pytest.mark.parametrize("sample", JSONS)
def test_json_that_no_form_has(tmp_path: Path, sample: str) -> None:
    """Each field, of its type, as the set's form has it, and nothing else."""
    choices, change, finding = JSONS[sample]
    shard = make(tmp_path, **choices)
    key = with_member(shard, ".json", change)
    seal(tmp_path / "out")
    verdict = verify(tmp_path)
    assert {key} == {each.key for each in verdict.deviations if each.path == str(shard)}
    assert re.search(finding, said(verdict)), said(verdict)


@pytest.mark.parametrize(
    ("image", "finding"),
    [
        (b"", "an empty file"),
        (b"<html>404</html>", "not an image"),
        (picture()[:-40], "a JPEG that is cut off"),
        (bytes(40 << 20), "not an image"),
    ],
)
@pytest.mark.parametrize("on_bad", ["skip", "keep"])
def test_images_that_are_none(tmp_path: Path, image: bytes, finding: str, on_bad: str) -> None:
    """They are no deviation in a set that keeps them, and are in one that leaves them out."""
    shard = make(tmp_path, on_bad=on_bad)
    with_member(shard, ".jpg", lambda _: image)
    seal(tmp_path / "out")
    expected = f"its image is broken, and was to be left out: {finding}" if on_bad == "skip" else ""
    assert expected in said(verify(tmp_path))
    assert (1 if expected else 0) == verify(tmp_path).exit_code


def test_large_images(tmp_path: Path) -> None:
    """An image of which only the beginning is kept is compared as a whole, and its end is found where it is."""
    shard = make(tmp_path)
    [path] = [path for path in tmp_path.glob("raw/train/*/*.JPEG") if path.stem == members_in(shard)[0][0][:-4]]
    path.write_bytes(picture()[:-2] + bytes(40 << 20) + b"\xff\xd9" + bytes(1 << 20))
    run(tmp_path, overwrite=True)
    assert "" == said(verify(tmp_path, source=True))
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert f"its image is not that of the source, {path}" in said(verify(tmp_path, source=True))


@pytest.mark.parametrize("annotations", ["original", "boxes", "none"])
@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".png"])
def test_images_under_other_endings(tmp_path: Path, annotations: str, ending: str) -> None:
    """A set of them is sound, and in the boxes form `filename` is the file's own name."""
    make(tmp_path)
    for path in tmp_path.glob("raw/train/*/*.JPEG"):
        path.rename(path.with_suffix(ending))
    shard = run(tmp_path, overwrite=True, annotations=annotations)
    assert "" == said(verify(tmp_path, source=True))
    if annotations == "boxes":
        key = with_member(shard, ".json", lambda text: text.replace(ending.encode(), b".JPEG"))
        seal(tmp_path / "out")
        assert "" == said(verify(tmp_path))
        assert {key} == {each.key for each in verify(tmp_path, source=True).deviations}


# What the list of problems says of the source.


def problems_path(folder: Path) -> Path:
    return folder / "out" / "imagenet_train.problems.jsonl"


def listed(path: Path, kind: str, **changes: Any) -> str:
    """A line of the list, by which the sample of the file at `path` is left out."""
    fields = {"path": str(path), "key": path.stem, "kind": kind, "detail": "why", "left_out": True}
    return json.dumps(fields | changes) + "\n"


def left_out(folder: Path) -> Path:
    """Take the first sample out of its shard, and out of the manifest; the path of its image."""
    shard = folder / "out" / "imagenet_train-000000.tar"
    members = members_in(shard)
    shard.write_bytes(packed(members[3:]))
    seal(folder / "out")
    manifest = manifest_of(folder)
    manifest["shardlist"][0]["nsamples"] -= 1
    manifest["totals"]["samples"] -= 1
    next(row for row in manifest["classes"] if row["label"] == int(members[0][1]))["count"] -= 1
    sign(manifest_path(folder), manifest)
    [path] = folder.glob(f"raw/train/*/{members[0][0].partition('.')[0]}.JPEG")
    return path


@pytest.mark.parametrize("kind", ["bad-image", "bad-annotation", "other-ending", "misplaced-image"])
def test_sound_samples_that_are_listed_as_bad(tmp_path: Path, kind: str) -> None:
    """The source is looked at again, and the list believed only where it is true."""
    make(tmp_path)
    path = left_out(tmp_path)
    problems_path(tmp_path).write_text(listed(path, kind))
    verdict = verify(tmp_path, source=True)
    [deviation] = verdict.deviations
    assert (1, str(problems_path(tmp_path)), path.stem) == (verdict.exit_code, deviation.path, deviation.key)
    assert re.fullmatch(
        rf"says that {path} is left out \(.*: why\), and it is sound; a conversion would store it", deviation.detail
    )


@pytest.mark.parametrize("kind", ["unreadable", "changed"])
def test_samples_that_can_be_read_by_now(tmp_path: Path, kind: str) -> None:
    """What could not be read, or was just changing, is left out until the next conversion."""
    make(tmp_path)
    path = left_out(tmp_path)
    problems_path(tmp_path).write_text(listed(path, kind))
    assert "and it can be read now; a conversion would store it" in said(verify(tmp_path, source=True))
    path.unlink()
    path.symlink_to("nowhere")  # which no run can read
    assert ("", 3) == (said(verify(tmp_path, source=True)), verify(tmp_path, source=True).exit_code)


def _xml(text: str) -> Callable[[Path], object]:
    return lambda image: image.with_suffix(".xml").write_text(text)


SPOILT: dict[str, tuple[str, Callable[[Path], object]]] = {
    "an empty image": ("original", lambda image: image.write_bytes(b"")),
    "a cut image": ("original", lambda image: image.write_bytes(picture()[:-40])),
    "no XML": ("original", _xml("<annotation>")),
    "deep XML": ("original", _xml("<annotation>" + "<a>" * 100_000 + "</a>" * 100_000 + "</annotation>")),
    "large XML": ("boxes", _xml("<annotation>" + "<a/>" * 300_000 + "</annotation>")),
    "an image without size": ("boxes", lambda image: image.write_bytes(b"\x59\xa6\x6a\x95" + bytes(28))),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_broken_samples_that_are_listed(tmp_path: Path, fault: str) -> None:
    """What a conversion leaves out is left out rightly; and is not, once it has been mended."""
    make(tmp_path)
    annotations, spoil = SPOILT[fault]
    [image, *_] = sorted(path for path in tmp_path.glob("raw/train/*/*.JPEG") if not path.with_suffix(".xml").exists())
    spoil(image)
    run(tmp_path, overwrite=True, annotations=annotations)
    verdict = verify(tmp_path, source=True)
    assert ("", 3, 1) == (said(verdict), verdict.exit_code, verdict.left_out)
    image.write_bytes(picture())
    image.with_suffix(".xml").unlink(missing_ok=True)
    assert f"says that {image} is left out" in said(verify(tmp_path, source=True))


def test_sound_annotations_that_are_listed_as_bad(tmp_path: Path) -> None:
    """Where broken ones are kept, a sample without its annotation is sound only if that is broken."""
    make(tmp_path)
    xmls = sorted(tmp_path.glob("raw/train/*/*.xml"))
    sound = xmls[0].read_text()
    xmls[0].write_text("<annotation>")
    run(tmp_path, overwrite=True, on_bad="keep")
    assert "" == said(verify(tmp_path, source=True))
    xmls[0].write_text(sound)
    [deviation] = verify(tmp_path, source=True).deviations
    assert f"its annotation is listed as broken, and the source has {xmls[0]}, which is sound" == deviation.detail
    xmls[0].unlink()
    [deviation] = verify(tmp_path, source=True).deviations
    assert "its annotation is listed as broken, and the source has none" == deviation.detail


LINES: dict[str, tuple[Callable[[Path], str], str]] = {
    "a field more": (lambda path: listed(path, "cmyk", left_out=False, more=1), "its fields are not path, key, kind"),
    "a field less": (lambda path: json.dumps({"key": path.stem, "left_out": True}) + "\n", "its fields are not path"),
    "other types": (lambda path: listed(path, "cmyk", left_out=0), "its fields are not path"),
    "a list": (lambda path: "[]\n", "its fields are not path"),
    "no JSON": (lambda path: "{\n", "line 1 is not a problem as the tool lists it"),
    "deep JSON": (lambda path: "[" * 100_000 + "\n", "line 1 is not a problem as the tool lists it"),
    "a key twice": (lambda path: listed(path, "cmyk", left_out=False).replace('"path"', '"key": "", "path"'), "dumps"),
    "no end": (lambda path: listed(path, "cmyk", left_out=False)[:-1], "it is not written as json.dumps does"),
    "no kind": (lambda path: listed(path, "bad-luck"), "no problem is of the kind 'bad-luck'"),
    "cmyk left out": (lambda path: listed(path, "cmyk"), "left_out is true for cmyk with --on-bad skip"),
    "bad and stored": (lambda path: listed(path, "bad-image", left_out=False), "left_out is false for bad-image"),
    "no key": (lambda path: listed(path, "cmyk", left_out=False, key="\ud800"), "its key is none that a sample can"),
    "left out and there": (lambda path: listed(path, "bad-image"), "is listed as left out, and is there"),
    "not there": (lambda path: listed(path, "cmyk", left_out=False, key="n01440764_0"), "is listed as stored, and is"),
    "large": (lambda path: listed(path, "cmyk", left_out=False, detail="x" * 5_000_000), "line 1 is not a problem"),
}


@pytest.mark.parametrize("line", LINES)
def test_lists_that_the_tool_would_not_write(tmp_path: Path, line: str) -> None:
    """Each line has its form, and agrees with the shards, which is seen without the source."""
    make(tmp_path)
    make_line, finding = LINES[line]
    problems_path(tmp_path).write_text(make_line(min(tmp_path.glob("raw/train/*/*.JPEG"))))
    verdict = verify(tmp_path)
    assert [str(problems_path(tmp_path))] == [each.path for each in verdict.deviations], said(verdict)
    assert finding in said(verdict)


def test_listed_samples_that_are_in_no_source(tmp_path: Path) -> None:
    """A list that leaves out what the source never had is of another set."""
    make(tmp_path)
    problems_path(tmp_path).write_text(listed(tmp_path / "n01440764_0.JPEG", "bad-image"))
    assert "" == said(verify(tmp_path))
    [deviation] = verify(tmp_path, source=True).deviations
    assert ("n01440764_0", "is listed as left out, and is not in the source") == (deviation.key, deviation.detail)


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
