"""Archives as they are downloaded: the same shards as from the unpacked tree, and every damage named."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, VerifyOptions, convert, preview, verify_shards
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.options import Split
from parallel_sharder.sources import tar_contents
from parallel_sharder.sources.imagenet import survey
from tests import made
from tests.test_convert import digests


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, images=80)
    return root


def shards_of(root: Path, out: Path, **more: object) -> dict[str, str]:
    report = convert(Options(root=root, dest=str(out), **{"shards": 4, "workers": 2, **more}))  # type: ignore[arg-type]
    assert 0 == report.left_out
    return digests(out)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("nested_xml", [False, True])
def test_train_archives_give_the_trees_shards(tmp_path: Path, raw: Path, nested_xml: bool, workers: int) -> None:
    """Images from inner archives and annotations from the compressed one, flat or nested: byte for byte the same."""
    root = made.official_archives(tmp_path / "archives", raw, nested_xml=nested_xml)
    expected = shards_of(raw, tmp_path / "tree")
    assert expected == shards_of(root, tmp_path / "out", workers=workers)
    hidden = {f".imagenet_train.{ending}" for ending in ("journal", "index", "run.jsonl")}
    assert hidden == {each.name for each in (tmp_path / "out").glob(".*")}
    verdict = verify_shards(VerifyOptions(dest=tmp_path / "out", source=root, workers=workers))
    assert (0, 80) == (verdict.exit_code, verdict.compared), verdict.deviations


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_kaggles_zip_gives_the_trees_shards(tmp_path: Path, split: str) -> None:
    """Deflated entries are inflated by the worker."""
    made.kaggle(tmp_path / "raw")
    root = made.kaggle_zip(tmp_path / "zip", tmp_path / "raw").parent
    expected = shards_of(tmp_path / "raw", tmp_path / "tree", split=split)
    assert expected == shards_of(root, tmp_path / "out", split=split)
    verdict = verify_shards(VerifyOptions(dest=tmp_path / "out", source=root, workers=0))
    assert (0, 40) == (verdict.exit_code, verdict.compared), verdict.deviations


def test_real_samples(tmp_path: Path, real_imagenet: Path) -> None:
    """The real images and annotations, packed as the official archives are, with the real devkit: the tree's shards."""
    root = made.official_archives(tmp_path / "archives", real_imagenet)
    found = digests_without_problems(real_imagenet, tmp_path / "tree")
    assert found == digests_without_problems(root, tmp_path / "out")


def digests_without_problems(root: Path, out: Path) -> dict[str, str]:
    shards = shards_of(root, out)
    shards.pop("imagenet_train.problems.jsonl")  # of the orphan annotation, whose path is another
    return shards


def test_val_archive(tmp_path: Path) -> None:
    """Flat images, labelled by the ground truth inside the devkit's archive."""
    made.flat_val(tmp_path / "raw")
    root = made.official_archives(tmp_path / "archives", tmp_path / "raw")
    expected = shards_of(tmp_path / "raw", tmp_path / "tree", split="val")
    assert expected == shards_of(root, tmp_path / "out", split="val")


def test_dry_run_writes_nothing(tmp_path: Path, raw: Path) -> None:
    """Compressed annotations are counted in a stream, and the space that is needed includes their unpacked size."""
    root = made.official_archives(tmp_path / "archives", raw)
    plain = preview(Options(root=raw, dest=str(tmp_path / "out"), workers=0))
    packed = preview(Options(root=root, dest=str(tmp_path / "out"), workers=0))
    assert not (tmp_path / "out").exists()
    assert plain.samples == packed.samples
    assert packed.needed_bytes > plain.needed_bytes


def test_layouts_side_by_side(tmp_path: Path, raw: Path) -> None:
    """Tree and archives in one folder are an ambiguity, which --layout settles."""
    root = made.official_archives(tmp_path / "archives", raw)
    (root / "train").symlink_to(raw / "train")
    assert "layout tree) and" in refusal(root)
    for layout in ("tree", "archives"):
        assert 80 == preview(Options(root=root, workers=0, layout=layout)).samples


def test_annotations_elsewhere(tmp_path: Path, raw: Path) -> None:
    """An archive of annotations can be named, packed or not, for images in archives and in a tree."""
    root = made.official_archives(tmp_path / "archives", raw)
    packed = (root / "ILSVRC2012_bbox_train_v2.tar.gz").rename(tmp_path / "boxes.tgz")
    plain = tmp_path / "boxes.tar"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    expected = shards_of(raw, tmp_path / "tree")
    for number, (images, xmls) in enumerate(((root, packed), (root, plain), (raw, packed))):
        shards = shards_of(images, tmp_path / str(number), xml_root=xmls)
        shards.pop("imagenet_train.problems.jsonl", None)  # annotations beside the images that are not used
        assert expected == shards
    bare = preview(Options(root=root, dest=str(tmp_path / "bare"), workers=0))
    assert ("annotations", "none found") in bare.found


def test_index_is_kept(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further run takes the index from its file, unless the archive has changed, or the file is damaged."""
    root = made.official_archives(tmp_path / "archives", raw)
    out = tmp_path / "out"
    expected = shards_of(root, out)
    indexed: list[str] = []

    def index(path: str, name: str, *rest: Any) -> Any:
        indexed.append(name)
        return tar_contents.list_images(path, name, *rest)

    monkeypatch.setattr(survey, "list_images", index)
    for damage in ("", "time", "digest", "cut"):
        indexed.clear()
        if damage == "time":
            os.utime(root / "ILSVRC2012_img_train.tar", ns=(1, 1))
            with pytest.raises(DestinationError, match=r"time of ILSVRC2012_img_train.tar: 20.*, now 1970-01-01"):
                shards_of(root, out, workers=0)
            indexed.clear()
            shutil.rmtree(out)
        elif damage == "digest":
            data = bytearray((out / ".imagenet_train.index").read_bytes())
            data[100] ^= 1
            (out / ".imagenet_train.index").write_bytes(data)
        elif damage == "cut":
            os.truncate(out / ".imagenet_train.index", 10)
        assert expected == shards_of(root, out, workers=0)
        assert (5 if damage else 0) == len(indexed), damage


def test_archives_copied_without_their_times(tmp_path: Path, raw: Path) -> None:
    """The refusal names the commands that give the times back, to the nanosecond; after them the set continues."""
    root = made.official_archives(tmp_path / "archives", raw)
    os.utime(root / "ILSVRC2012_img_train.tar", ns=(0, 1_700_000_000_123_456_789))
    os.utime(root / "ILSVRC2012_bbox_train_v2.tar.gz", ns=(0, 1_600_000_000_000_000_001))
    out = tmp_path / "out"
    expected = shards_of(root, out)
    copied = tmp_path / "a copy"
    shutil.copytree(root, copied, copy_function=shutil.copy)
    with pytest.raises(DestinationError) as caught:
        shards_of(copied, out)
    commands = [
        f"touch -d 2023-11-14T22:13:20.123456789Z '{copied}/ILSVRC2012_img_train.tar'",
        f"touch -d 2020-09-13T12:26:40.000000001Z '{copied}/ILSVRC2012_bbox_train_v2.tar.gz'",
    ]
    hint = (
        "\nIf these are the same archives, copied without their times (cp -p keeps them), run\n"
        f"  {commands[0]}\n  {commands[1]}\nand then the same command again, which continues.\n"
    )
    assert hint in str(caught.value)
    subprocess.run(["sh", "-e", "-c", "\n".join(commands[:1])], check=True)
    with pytest.raises(DestinationError) as caught:
        shards_of(copied, out)
    assert f"If this is the same archive, copied without its time (cp -p keeps it), run\n  {commands[1]}\n" in str(
        caught.value
    )
    subprocess.run(["sh", "-c", commands[1]], check=True)
    report = convert(Options(root=copied, dest=str(out), workers=0, shards=4))
    assert (4, 0) == (report.kept_shards, report.made_samples)
    assert expected == digests(out)


def test_no_command_for_archives_that_are_others(tmp_path: Path, raw: Path) -> None:
    """No `touch` is advised if a size has changed too, or an archive is new: it would not help."""
    root = made.official_archives(tmp_path / "archives", raw)
    boxes = (root / "ILSVRC2012_bbox_train_v2.tar.gz").rename(tmp_path / "boxes")
    shards_of(root, tmp_path / "out")
    os.utime(root / "ILSVRC2012_img_train.tar", ns=(1, 1))
    boxes.rename(root / "ILSVRC2012_bbox_train_v2.tar.gz")
    with pytest.raises(DestinationError, match="time of ILSVRC2012_bbox_train_v2.tar.gz: not used, now 20") as caught:
        shards_of(root, tmp_path / "out")
    assert "touch" not in str(caught.value)


def test_compressed_annotations_by_another_name(tmp_path: Path, raw: Path) -> None:
    """A compressed archive whose name has lost its .gz is read: some programs that download remove only the ending."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_bbox_train_v2.tar.gz"
    path.rename(path.with_suffix(""))
    assert shards_of(raw, tmp_path / "tree") == shards_of(root, tmp_path / "out")


def test_plain_archives_of_classes_among_the_annotations(tmp_path: Path, raw: Path) -> None:
    """Annotations may lie in plain archives of their classes, within a compressed or a plain archive."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_bbox_train_v2.tar.gz"
    folders = sorted({xml.parent for xml in raw.glob("train/*/*.xml")})
    data = inner_tar(*((f"{folder.name}.tar", made.tar_of(sorted(folder.glob("*.xml")))) for folder in folders))
    for number, content in enumerate((gzip.compress(data), data)):
        path.write_bytes(content)
        assert shards_of(raw, tmp_path / "tree") == shards_of(root, tmp_path / str(number))


# Bad ones: an error that names archive, member and offset, before anything is written.


REMEDIES = "Download|Unpack|Unzip|Make the archive|Name|Decompress it once|Move|Put|Choose|It is another archive"
"""How the sentence begins that says what to do about an archive."""


def refusal(root: Path, split: Split = "train") -> str:
    out = root.parent / "out"
    with pytest.raises(SourceError) as caught:
        convert(Options(root=root, split=split, dest=str(out), workers=0))
    assert not out.exists()
    told = str(caught.value)
    assert re.search(rf"(?:[^.]\. |\n)({REMEDIES})\b", told), told
    assert ".." not in re.sub(r"\.\./", "", told), told
    return told


def outer_tar(path: Path, members: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in members.items():
            made.add_bytes(archive, name, data)


def inner_tar(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                made.add_bytes(archive, *member)
    return data.getvalue()


def special(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, linkname
    return member


WNID = made.WNIDS[0]
IMAGE = (f"{WNID}_1.JPEG", made.JPEG)
SOUND = inner_tar(IMAGE)

BAD_INNER = {
    "a member of another class": (
        inner_tar(IMAGE, (f"{made.WNIDS[1]}_1.JPEG", b"")),
        rf"{WNID}.tar, at offset 1,536: {made.WNIDS[1]}_1.JPEG does not belong in this archive",
    ),
    "a name twice": (inner_tar(IMAGE, IMAGE), rf"{WNID}.tar, at offset 1,536: {WNID}_1.JPEG occurs twice"),
    "a link": (
        inner_tar(special(f"{WNID}_2.JPEG", tarfile.SYMTYPE, "/etc/passwd")),
        rf"at offset 512: {WNID}_2.JPEG is no plain file, but a link to /etc/passwd",
    ),
    "a hard link": (inner_tar(IMAGE, special(f"{WNID}_2.JPEG", tarfile.LNKTYPE, IMAGE[0])), f"link to {IMAGE[0]}"),
    "a device": (inner_tar(special(f"{WNID}_2.JPEG", tarfile.CHRTYPE)), "but a device or pipe"),
    "outside": (inner_tar((f"../{WNID}_1.JPEG", b"")), rf"\.\./{WNID}_1.JPEG would lie outside"),
    "absolute": (inner_tar((f"/{WNID}_1.JPEG", b"")), rf"/{WNID}_1.JPEG would lie outside"),
    "in a folder": (inner_tar((f"x/{WNID}_1.JPEG", b"")), rf"x/{WNID}_1.JPEG does not belong"),
    "a hole": (
        inner_tar(IMAGE)[:1536] + bytes(512) + inner_tar((f"{WNID}_2.JPEG", b"12"), (f"{WNID}_3.JPEG", b"1"))[512:],
        rf"{WNID}.tar, at offset [12],\d+: data follows the end of the archive, at offset \d,\d+",
    ),
    "two archives in a row": (SOUND + SOUND, r"data follows the end of the archive"),
    "a chain of long names": (special("././@LongLink", b"L").tobuf() * 3000, "there is no tar header"),
    "no end": (SOUND[:1024], rf"{WNID}.tar, at offset 1,536: it is cut short: there is no end .* behind {IMAGE[0]}"),
    "cut within a member": (SOUND[:514], rf"at offset 512: it is cut short: {IMAGE[0]} has 40 bytes"),
    "cut within a header": (SOUND[:300], r"at offset 512: it is cut short|there is no tar header"),
    "no tar": (b"it is none" * 100, rf"{WNID}.tar, at offset 512: there is no tar header"),
    "compressed": (gzip.compress(SOUND), rf"{WNID}.tar, at offset 512: it is compressed"),
}


@pytest.mark.parametrize("damage", BAD_INNER)
def test_bad_inner_archives(tmp_path: Path, raw: Path, damage: str) -> None:
    """Each damage is named with archive, member and offset, and nothing is written."""
    inner, message = BAD_INNER[damage]
    root = made.official_archives(tmp_path / "archives", raw)
    outer_tar(root / "ILSVRC2012_img_train.tar", {f"{WNID}.tar": inner})
    told = refusal(root)
    assert re.search(message, told), told
    assert str(root / "ILSVRC2012_img_train.tar") in told


BAD_OUTER = {
    "a class twice": ([f"{WNID}.tar", f"./{WNID}.tar"], rf"\./{WNID}.tar occurs twice"),
    "an unknown class": (["n00000001.tar"], "no class of .*meta.mat: n00000001"),
    "images": ([IMAGE[0]], rf"at offset 0: {IMAGE[0]} is not the archive of a class"),
    "compressed classes": ([f"{WNID}.tar.gz"], "Inner archives must not be compressed"),
}


@pytest.mark.parametrize("damage", BAD_OUTER)
def test_bad_members_of_the_archive_of_train(tmp_path: Path, raw: Path, damage: str) -> None:
    """The archive of train must hold an archive for each class, each once, and nothing else."""
    names, message = BAD_OUTER[damage]
    root = made.official_archives(tmp_path / "archives", raw)
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as archive:
        for name in names:
            made.add_bytes(archive, name, SOUND)
    told = refusal(root)
    assert re.search(message, told, re.DOTALL), told


@pytest.mark.parametrize("left", [0, 1, 511, 512, 3000, -20_000, -10_240])
def test_archive_of_train_cut_short(tmp_path: Path, raw: Path, left: int) -> None:
    """An archive that is cut short is refused wherever it is cut, also at a member's boundary."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_img_train.tar"
    with tarfile.open(path) as archive:
        end = max(member.offset_data + member.size for member in archive)
    end += -end % 512
    os.truncate(path, left if left >= 0 else min(end, path.stat().st_size + left))
    told = refusal(root)
    assert "it is cut short" in told
    assert "Download or copy it again" in told


@pytest.mark.parametrize("ending", ["", *made.PACKED])
def test_compressed_archive_of_train(tmp_path: Path, raw: Path, ending: str) -> None:
    """A compressed archive of images is read through under any name; --stage none is refused with the command."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_img_train.tar"
    whole = preview(Options(root=root, workers=0)).samples
    path.write_bytes(made.PACKED[ending or "gz"](path.read_bytes()))
    packed = path.rename(f"{path}.{ending}") if ending else path
    assert whole == preview(Options(root=root, workers=0)).samples
    with pytest.raises(SourceError, match=f"{packed} is compressed by .*Decompress it once: .*Or leave out stage none"):
        preview(Options(root=root, workers=0, stage="none"))


def test_unknown_compression(tmp_path: Path, raw: Path) -> None:
    """An archive that no package here decompresses is refused, with the command."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_img_train.tar"
    path.write_bytes(b"\x04\x22\x4d\x18\x64\x40")
    assert f"{path} is compressed by lz4, and only" in refusal(root)
    path.rename(f"{path}.lz4")
    with pytest.raises(SourceError) as caught:
        preview(Options(root=root, workers=0))
    assert f"{path.name}.lz4 has to be decompressed first (lz4 -d {path}.lz4)." == str(caught.value).splitlines()[-1]


def test_devkit_compressed_otherwise(tmp_path: Path, raw: Path) -> None:
    """Compression that Python's tarfile cannot read is refused with the same command."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_devkit_t12.tar.gz"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x04\x88")
    assert f"Decompress it once: mv {path} {path}.zst && zstd -d {path}.zst" in refusal(root)


def test_compressed_annotations(tmp_path: Path, raw: Path) -> None:
    """Annotations in another compression than gzip are refused with the same command."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_bbox_train_v2.tar.gz"
    path.write_bytes(lzma.compress(gzip.decompress(path.read_bytes())))
    assert f"Decompress it once: mv {path} {path}.xz && xz -d {path}.xz" in refusal(root)


def test_other_files_among_the_images_are_named(tmp_path: Path, raw: Path) -> None:
    """Other files in an archive are reported as in a tree, and leave no sample out."""
    root = made.official_archives(tmp_path / "archives", raw)
    outer_tar(root / "ILSVRC2012_img_train.tar", {f"{WNID}.tar": inner_tar(IMAGE, ("README", b"?"))})
    report = convert(Options(root=root, dest=str(tmp_path / "out"), workers=0))
    assert (1, 0) == (report.samples, report.left_out)
    path = f"{root}/ILSVRC2012_img_train.tar:{WNID}.tar:README"
    assert ["not-an-image"] == [each.kind for each in report.problems if each.path == path]


def test_broken_images_are_named_by_archive_and_member(tmp_path: Path, raw: Path) -> None:
    """A broken image in an archive is a problem of its sample."""
    root = made.official_archives(tmp_path / "archives", raw)
    inner = inner_tar(IMAGE, (f"{WNID}_2.JPEG", b"\xff\xd8 cut"), (f"{WNID}_3.JPEG", b""))
    outer_tar(root / "ILSVRC2012_img_train.tar", {f"{WNID}.tar": inner})
    report = convert(Options(root=root, dest=str(tmp_path / "out"), workers=0))
    assert (1, 2, 3) == (report.samples, report.left_out, report.exit_code)
    paths = {each.path for each in report.problems if each.kind == "bad-image"}
    assert {f"{root}/ILSVRC2012_img_train.tar:{WNID}_{number}.JPEG" for number in (2, 3)} == paths


def huge_member() -> bytes:
    member = tarfile.TarInfo(f"{WNID}/{WNID}_1.xml")
    member.size = 2**70
    return member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


BAD_ANNOTATIONS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda data: gzip.compress(data)[:-500], "cannot be decompressed any further"),
    "damaged": (lambda data: gzip.compress(data)[:-8] + b"12345678", "cannot be decompressed any further: CRC"),
    "cut inside": (lambda data: gzip.compress(data[:5000]), "it is cut short"),
    "empty": (lambda _: gzip.compress(inner_tar()), "holds no annotation, *.xml"),
    "huge": (lambda _: gzip.compress(huge_member()), "cut short"),
    "no tar": (lambda _: gzip.compress(b"none" * 1000), "at offset 0: there is no tar header"),
    "nothing": (lambda _: b"", "at offset 0: it is cut short"),
}


@pytest.mark.parametrize("damage", BAD_ANNOTATIONS)
def test_bad_archives_of_annotations(tmp_path: Path, raw: Path, damage: str) -> None:
    """Each damage to annotations is named, nothing is written, and the spool is removed."""
    spoil, message = BAD_ANNOTATIONS[damage]
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_bbox_train_v2.tar.gz"
    path.write_bytes(spoil(gzip.decompress(path.read_bytes())))
    told = refusal(root)
    assert message in told
    assert str(path) in told


def test_annotation_outside_its_class(tmp_path: Path, raw: Path) -> None:
    """An annotation in another class's folder would describe the wrong image."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_bbox_train_v2.tar.gz"
    path.write_bytes(gzip.compress(inner_tar((f"{made.WNIDS[1]}/{WNID}_1.xml", b"<annotation/>"))))
    assert f"at offset 0: {made.WNIDS[1]}/{WNID}_1.xml does not belong where it is" in refusal(root)


def test_devkit_without_its_files(tmp_path: Path, raw: Path) -> None:
    """A devkit's archive that is cut short, or is another archive, is named."""
    root = made.official_archives(tmp_path / "archives", raw)
    path = root / "ILSVRC2012_devkit_t12.tar.gz"
    data = path.read_bytes()
    path.write_bytes(data[:200])
    assert f"{path} cannot be read" in refusal(root)
    path.write_bytes(gzip.compress(inner_tar(("readme.txt", b""))))
    assert "no class list (the devkit's meta.mat) found" in refusal(root)
    assert f"\n{path} holds no data/meta.mat.\nPut " in refusal(root)
