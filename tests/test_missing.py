"""Nothing is missing in silence: files that the source should have, and that are not in the shards, are counted and
named, and the run ends with status 3 or is refused before anything is written. Unusual files that are clear are read.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, Report, VerifyOptions, convert, preview, verify_shards
from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import IMAGE_ENDINGS, IMAGE_SUFFIX
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids
from parallel_sharder.sources.imagenet.names import name_rule
from parallel_sharder.sources.imagenet.published import train_counts
from parallel_sharder.sources.names import NameKind
from tests import made
from tests.conftest import without_privileges
from tests.made import JPEG, WNIDS
from tests.reference import members_of

WNID = WNIDS[0]


def run(root: Path, **more: Any) -> Report:
    return convert(Options(root=root, **{"dest": root.parent / "out", "workers": 0, **more}))


def check_sums(root: Path, report: Report, **more: Any) -> None:
    """Images found are those stored and those left out: in summary, preview and verdict alike."""
    summary = report.json()
    assert summary["samples"] + summary["left_out"] == summary["images"]
    left_out = bool(summary["left_out"] or summary["left_out_classes"])
    assert (3 if left_out else 0) == report.exit_code
    assert left_out == ("left out  nothing" not in report.text())
    planned = preview(Options(root=root, dest=root.parent / "elsewhere", workers=0, **more)).json()
    assert summary["images"] == planned["images"]
    assert summary["left_out_classes"] == planned["left_out_classes"]
    verdict = verify_shards(VerifyOptions(dest=root.parent / "out", source=root, workers=0))
    assert ((), report.exit_code) == (verdict.deviations, verdict.exit_code)
    assert (summary["left_out"], summary["left_out_classes"]) == (
        verdict.left_out,
        verdict.json()["left_out_classes"],
    )
    assert left_out == ("sound, but incomplete" in verdict.text())


def kinds(report: Report) -> dict[str, list[str]]:
    """The names of the files with problems, by kind."""
    found: dict[str, list[str]] = {}
    for problem in report.problems:
        found.setdefault(problem.kind.value, []).append(os.path.basename(problem.path))
    return found


# Holes in archives.


def spoil(path: Path, start: int, end: int | None = None) -> int:
    """Make zeros of a stretch of the file; its length."""
    data = bytearray(path.read_bytes())
    end = len(data) if end is None else end
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    return end - start


def headers(path: Path, start: int = 0, size: int | None = None) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes()[start : None if size is None else start + size])) as archive:
        return archive.getmembers()


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """The official archives of train and val, of images that take some records."""
    made.flat_val(tmp_path / "raw", images=20)
    train = made.Made(tmp_path / "raw", sizes=(20_000, 40_000))
    for number in range(24):
        train.image(f"train/{WNIDS[number % 3]}", f"{WNIDS[number % 3]}_{number}", WNIDS[number % 3])
    root = made.official_archives(tmp_path / "archives", tmp_path / "raw")
    (root / "ILSVRC2012_bbox_train_v2.tar.gz").unlink()  # there are no annotations
    return root


def refusal(root: Path, **more: Any) -> str:
    with pytest.raises(SourceError) as caught:
        run(root, **more)
    assert not (root.parent / "out").exists()
    return str(caught.value)


@pytest.mark.parametrize("where", ["an inner header", "an outer header", "the tail"])
def test_holes_in_the_archive_of_train(archives: Path, where: str) -> None:
    """A hole of zeros, which an unfinished download leaves, is named with offset and length; nothing is written."""
    path = archives / "ILSVRC2012_img_train.tar"
    second = headers(path)[1]
    if where == "the tail":
        start, end = path.stat().st_size - 300_000, None
    elif where == "an outer header":
        start, end = second.offset, None
    else:
        inner = headers(path, second.offset_data, second.size)
        start, end = second.offset_data + inner[4].offset, second.offset_data + second.size
    spoil(path, start, end)
    told = refusal(archives)
    assert str(path) in told
    assert "the rest is a hole, as an unfinished download leaves it. Download or copy it again." in told
    if where != "the tail":
        assert f"at offset {start:,}: " in told
    if where == "an inner header":
        assert f"{end - start:,} zeros follow behind " in told  # type: ignore[operator]


def test_hole_in_the_middle(archives: Path) -> None:
    """A hole that begins at a header, and ends before the archive's end, is not taken for the end."""
    path = archives / "ILSVRC2012_img_train.tar"
    inner = headers(path)[1]
    members = headers(path, inner.offset_data, inner.size)
    spoil(path, inner.offset_data + members[2].offset, inner.offset_data + members[4].offset)
    length = members[4].offset - members[2].offset
    told = refusal(archives)
    assert f"at offset {inner.offset_data + members[2].offset:,}: data follows the end of the archive" in told
    assert f"the {length:,} zeros behind {members[1].name} are a hole" in told


def test_val_without_its_last_piece(archives: Path) -> None:
    """A hole at the end of a flat archive is found too: the file has its full size, and the last images are zeros."""
    path = archives / "ILSVRC2012_img_val.tar"
    spoil(path, headers(path)[16].offset)
    assert "the rest is a hole" in refusal(archives, split="val")


def test_larger_records(archives: Path) -> None:
    """An archive with more padding cannot be told from one with a hole: it is refused, and the remedy is given."""
    path = archives / "ILSVRC2012_img_val.tar"
    data = path.read_bytes()
    path.write_bytes(data + bytes(-len(data) % (512 * 512)))
    assert "written with larger records (tar -b), unpack it and write it with the usual ones (tar -b 20)." in refusal(
        archives, split="val"
    )


@pytest.mark.parametrize("blocks", range(21))
def test_whole_records_are_no_holes(tmp_path: Path, blocks: int) -> None:
    """The zeros with which tar, bsdtar and Python fill the last record are an archive's end, at every length."""
    made.flat_val(tmp_path / "raw", images=1)
    key = made.val_key(1)
    (tmp_path / "raw" / "val" / f"{key}.JPEG").write_bytes(JPEG + bytes(512 * blocks))
    root = made.official_archives(tmp_path / "archives", tmp_path / "raw")
    assert (root / "ILSVRC2012_img_val.tar").stat().st_size % 10_240 == 0
    assert 1 == run(root, split="val", on_bad="keep").samples


def test_size_and_count_of_the_official_archives(archives: Path) -> None:
    """An archive of another size, and a set with fewer images than it should have, are noted, and stored."""
    report = run(archives)
    assert (24, 0) == (report.samples, report.exit_code)
    size, count, *_ = report.notices
    assert f"{archives}/ILSVRC2012_img_train.tar has " in size
    assert "bytes, and the official one 147,897,477,120." in size
    assert "24 images were found, and the official train set has 1,281,167. 1,000 classes have fewer" in count
    assert "n01440764 (8 of 1,300)" in count
    assert report.text().endswith(f"note: {size}\nnote: {count}")
    assert [size, count] == report.json()["notices"]
    check_sums(archives, report)


def test_count_of_a_tree(tmp_path: Path) -> None:
    """A set with all 1,000 classes is compared with the official counts; a set with some of them is not."""
    made.classic_train(tmp_path / "few" / "raw", classes=3, images=6)
    assert () == run(tmp_path / "few" / "raw").notices
    made.classic_train(tmp_path / "all" / "raw", classes=1000, images=1001, annotated=0)
    [notice] = run(tmp_path / "all" / "raw").notices
    assert "1,001 images were found, and the official train set has 1,281,167." in notice


def test_official_counts() -> None:
    """The counts of the classes sum to the count of the set."""
    count = train_counts()
    assert 1_281_167 == sum(map(count, ilsvrc_ids()))
    assert (732, 1300) == (count("n02089078"), count("n01440764"))


def test_endings_in_capitals(archives: Path) -> None:
    """An archive whose ending is in capitals is recognised."""
    for path in [*archives.iterdir()]:
        stem, dot, ending = path.name.partition(".")
        path.rename(path.with_name(stem + dot + ending.upper()))
    assert 24 == run(archives).samples
    (archives / "ILSVRC2012_img_train.tar").write_bytes((archives / "ILSVRC2012_img_train.TAR").read_bytes())
    with pytest.raises(SourceError, match=r"ILSVRC2012_img_train.tar and ILSVRC2012_img_train.TAR both exist"):
        run(archives, dest=archives.parent / "again")


# Classes that are not there.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made.classic_train(tmp_path / "raw", classes=5, images=60, annotated=0.5)
    return tmp_path / "raw"


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".zip", " (1).tar", ".tar.1", ".TAR", ".tar.part", ""])
def test_packed_classes(tree: Path, ending: str) -> None:
    """A class that is still packed beside unpacked ones is left out by name, unless it is unpacked too."""
    for wnid in (WNIDS[7], WNIDS[8]):
        (tree / "train" / f"{wnid}{ending}").write_bytes(b"?")
    if ending == ".tar":
        (tree / "train" / f"{WNID}.tar").write_bytes(made.tar_of(sorted((tree / "train" / WNID).glob("*.JPEG"))))
    report = run(tree)
    assert [f"{WNIDS[7]}{ending}", f"{WNIDS[8]}{ending}"] == kinds(report)["packed-class"]
    assert ([f"{WNID}.tar"] if ending == ".tar" else None) == kinds(report).get("not-an-image")
    assert "left out  2 classes, whose images are not counted\n" in report.text()
    assert f"class that is still packed, whose images are not known, left out: 2\n  {tree}/train/{WNIDS[7]}" in (
        report.text()
    )
    check_sums(tree, report)


@pytest.mark.parametrize("where", ["train/{0}.tar", "train/{0}/{0}.tar", "train/{0}/rest.tar"])
def test_half_unpacked_class(tree: Path, where: str) -> None:
    """Images that a class's archive has, and its folder lacks, are left out by name: unpacking was interrupted."""
    folder = tree / "train" / WNID
    images = sorted(folder.glob("*.JPEG"))
    (tree / where.format(WNID)).write_bytes(made.tar_of(images))
    for image in images[3:]:
        image.unlink()
    for xml in folder.glob("*.xml"):
        xml.unlink()
    report = run(tree)
    assert [image.name for image in images[3:]] == [name.partition(":")[2] for name in kinds(report)["packed-image"]]
    assert (48 + 3, len(images) - 3) == (report.samples, report.left_out)
    check_sums(tree, report)


def test_half_unpacked_val(tmp_path: Path) -> None:
    """Images that lie only in an archive are left out by name in a flat folder too."""
    made.flat_val(tmp_path / "raw", images=12)
    images = sorted(tmp_path.glob("raw/val/*.JPEG"))
    (tmp_path / "raw" / "val" / "ILSVRC2012_img_val.tar").write_bytes(made.tar_of(images))
    for image in images[5:]:
        image.unlink()
    report = run(tmp_path / "raw", split="val")
    assert (5, 7) == (report.samples, report.left_out)
    check_sums(tmp_path / "raw", report, split="val")


@pytest.mark.parametrize("readable", [True, False])
def test_archives_of_whole_classes(tree: Path, readable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that was kept after its class was unpacked leaves nothing out, if the class is known to be whole."""
    images = sorted((tree / "train" / WNID).glob("*.JPEG"))
    (tree / "train" / f"{WNID}.tar").write_bytes(made.tar_of(images) if readable else b"?")
    if not readable:
        monkeypatch.setattr("parallel_sharder.sources.imagenet.published.USUAL_COUNT", len(images))
    report = run(tree)
    assert (60, 0, ["not-an-image"]) == (report.samples, report.exit_code, [*kinds(report)])


def test_class_packed_in_its_own_folder(tree: Path) -> None:
    """A class whose folder holds only its archive (`mkdir n; mv n.tar n/`) is named as still packed."""
    (tree / "train" / WNIDS[7]).mkdir()
    (tree / "train" / WNIDS[7] / f"{WNIDS[7]}.tar").write_bytes(b"?")
    report = run(tree)
    assert {"packed-class": [f"{WNIDS[7]}.tar"]} == kinds(report)
    check_sums(tree, report)


@pytest.mark.parametrize("holds", ["nothing", "junk", "annotations"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_empty_classes(tmp_path: Path, split: str, holds: str) -> None:
    """A class whose folder has no image is left out by name, whatever else the folder holds."""
    expected = made.Made(tmp_path / "raw")
    made.write_devkit(tmp_path / "raw")
    key, other = (f"{WNID}_1", f"{WNIDS[7]}_2") if split == "train" else (made.val_key(1), made.val_key(2))
    expected.image(f"{split}/{WNID}", key)
    folder = tmp_path / "raw" / split / WNIDS[7]
    folder.mkdir()
    if holds == "junk":
        (folder / ".DS_Store").touch()
    if holds == "annotations":
        expected.xml(f"{split}/{WNIDS[7]}", other)
    report = run(tmp_path / "raw", split=split)
    assert [WNIDS[7]] == kinds(report)["empty-class"]
    assert "left out  1 class, whose images are not counted\n" in report.text()
    check_sums(tmp_path / "raw", report, split=split)


def test_class_whose_images_are_left_out_is_not_empty(tree: Path) -> None:
    """The images that do not belong are named one by one."""
    (tree / "train" / WNIDS[7]).mkdir()
    (tree / "train" / WNIDS[7] / "cat.jpg").write_bytes(JPEG)
    report = run(tree)
    assert {"misplaced-image": ["cat.jpg"]} == kinds(report)
    check_sums(tree, report)


def test_empty_classes_of_archives(archives: Path, tmp_path: Path) -> None:
    """A class whose inner archive, or folder in a zip, has no image is left out by name."""
    with tarfile.open(archives / "ILSVRC2012_img_train.tar", "a") as archive:
        made.add_bytes(archive, f"{WNIDS[7]}.tar", made.tar_of([]))
    report = run(archives)
    assert {"empty-class": [f"ILSVRC2012_img_train.tar:{WNIDS[7]}"]} == kinds(report)
    check_sums(archives, report)
    made.kaggle(tmp_path / "kaggle" / "raw")
    zipped = made.kaggle_zip(tmp_path / "kaggle" / "zip", tmp_path / "kaggle" / "raw")
    with zipfile.ZipFile(zipped, "a") as archive_too:
        archive_too.writestr(f"ILSVRC/Data/CLS-LOC/train/{WNIDS[20]}/", b"")
    report = run(zipped.parent)
    assert {"empty-class": [f"{zipped.name}:{WNIDS[20]}"]} == kinds(report)
    check_sums(zipped.parent, report)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("with_images", [True, False])
def test_nested_class(tree: Path, depth: int, with_images: bool) -> None:
    """A class in a folder of the same name is read, and noted, whether the outer folder holds images or not."""
    before = sorted(path.stem for path in tree.glob("train/*/*.JPEG"))
    folder = tree / "train" / WNID
    inner = folder.joinpath(*[WNID] * depth)
    inner.mkdir(parents=True)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for file in files[: 3 if with_images else None]:
        file.rename(inner / file.name)
    report = run(tree)
    assert before == sorted({name.partition(".")[0] for name in members_of([tree.parent / "out" / SHARD])})
    assert ({}, 0) == (kinds(report), report.exit_code)
    lying = "1 folder that lies" if depth == 1 else "2 folders that lie"
    assert (f"Images were read from {lying} in a folder of the same name, such as {folder}/{WNID}.",) == report.notices
    check_sums(tree, report)


SHARD = "imagenet_train-000000.tar"


def test_nested_flat_folder(tmp_path: Path) -> None:
    """Images in val/val, which unpacking into an existing folder creates, are read and noted."""
    made.flat_val(tmp_path / "raw", images=10)
    (tmp_path / "raw" / "val").rename(tmp_path / "raw" / "inner")
    (tmp_path / "raw" / "val").mkdir()
    (tmp_path / "raw" / "inner").rename(tmp_path / "raw" / "val" / "val")
    report = run(tmp_path / "raw", split="val")
    assert (10, 0) == (report.samples, report.exit_code)
    nested = f"in a folder of the same name, such as {tmp_path}/raw/val/val."
    assert any(nested in notice for notice in report.notices)
    check_sums(tmp_path / "raw", report, split="val")


def test_link_to_itself_in_a_class(tree: Path) -> None:
    """A second `ln -s` creates a link within the folder, whose images are not read twice."""
    (tree / "train" / WNID / WNID).symlink_to(tree / "train" / WNID)
    report = run(tree)
    assert (60, 0) == (report.samples, report.exit_code)
    assert {"not-an-image": [WNID]} == kinds(report)


def test_folders_within_a_class(tree: Path) -> None:
    """The images of folders in a class, or in a flat folder, are left out one by one, unless the class has them too."""
    images = sorted((tree / "train" / WNID).glob("*.JPEG"))
    (tree / "train" / WNID / "more" / "still").mkdir(parents=True)
    (tree / "train" / WNID / "small").mkdir()
    (tree / "train" / WNID / "none").mkdir()
    (tree / "train" / WNID / "small" / images[5].name).write_bytes(JPEG)
    images[0].rename(tree / "train" / WNID / "more" / images[0].name)
    images[1].rename(tree / "train" / WNID / "more" / "still" / images[1].name)
    report = run(tree)
    found = kinds(report)
    assert [images[0].name, images[1].name] == found.pop("misplaced-image")
    assert ["none", "small"] == sorted(found.pop("not-an-image"))
    assert ["orphan-xml"] * bool(found) == [*found]
    assert (58, 2) == (report.samples, report.left_out)
    check_sums(tree, report)


def test_hidden_folders_and_links_below(tree: Path, tmp_path: Path) -> None:
    """The images in a hidden folder, or behind a link further down, are left out by name; circular links do no harm."""
    (tree / "train" / ".partial").mkdir()
    (tree / "train" / ".partial" / f"{WNID}_8.JPEG").write_bytes(JPEG)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / f"{WNID}_9.JPEG").write_bytes(JPEG)
    (tree / "train" / WNID / "more").mkdir()
    (tree / "train" / WNID / "more" / "deep").symlink_to(tmp_path / "elsewhere")
    (tree / "train" / WNID / "more" / "round").symlink_to(tree / "train" / WNID / "more")
    report = run(tree)
    assert [f"{WNID}_8.JPEG", f"{WNID}_9.JPEG"] == sorted(kinds(report)["misplaced-image"])
    check_sums(tree, report)


def test_folder_below_that_may_not_be_listed(tree: Path) -> None:
    """A folder further down that cannot be listed is refused, because it could hold images."""
    folder = tree / "train" / WNID / "rest"
    folder.mkdir()
    folder.chmod(0)
    words = [sys.executable, "-m", "parallel_sharder", "--root", str(tree), "--dest", str(tree.parent / "out")]
    done = subprocess.run([*without_privileges(), *words], capture_output=True, text=True, timeout=60, check=False)
    folder.chmod(0o755)
    assert 1 == done.returncode
    assert f"{folder}: cannot be listed: Permission denied." in done.stderr


@pytest.mark.parametrize("name", ["{}_1.JPEG.part", "readme.txt", "._{}_1.JPEG"])
def test_classes_of_a_zip_without_an_image(tmp_path: Path, name: str) -> None:
    """In a zip without entries for folders, each class is found, whatever lies in its folder."""
    made.kaggle(tmp_path / "raw")
    zipped = made.kaggle_zip(tmp_path / "zip", tmp_path / "raw")
    wnid = WNIDS[30]
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr(f"ILSVRC/Data/CLS-LOC/train/{wnid}/{name.format(wnid)}", b"?")
    report = run(zipped.parent)
    assert ("other-ending" if name.endswith("part") else "empty-class") in kinds(report)
    check_sums(zipped.parent, report)


# Images under another ending.

ENDINGS = (".jpg", ".jpeg", ".JPG", ".png", ".Jpeg", ".webp", ".jpe")


def rename_some(root: Path, pattern: str, step: int) -> dict[str, str]:
    """Give every so many-th image another ending; the names by key."""
    names = {}
    for number, path in enumerate(sorted(root.glob(pattern))):
        if number % step == 0:
            path = path.rename(path.with_suffix(ENDINGS[number // step % len(ENDINGS)]))
        names[path.stem] = path.name
    return names


@pytest.mark.parametrize("annotations", ["original", "boxes"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("step", [1, 3])
def test_other_endings_in_a_tree(tree: Path, step: int, workers: int, annotations: str) -> None:
    """Images with other endings are stored under the key without the ending, untouched, and are counted in a note."""
    names = rename_some(tree, "train/*/*.JPEG", step)
    report = run(tree, workers=workers, annotations=annotations, on_bad="keep")  # the made images have no size
    members = members_of([tree.parent / "out" / SHARD])
    for path in tree.glob("train/*/*"):
        if path.suffix != ".xml":
            assert path.read_bytes() == members[f"{path.stem}.jpg"]
    if annotations == "boxes":
        stored = {key: json.loads(members[f"{key}.json"])["filename"] for key in names}
        assert names == stored
    assert (60, 0) == (report.samples, report.exit_code)
    [notice] = report.notices
    assert "Not all names of images end in .JPEG: of 60, " in notice
    assert f"{sum(name.endswith('.jpg') for name in names.values())} .jpg, " in notice
    check_sums(tree, report, annotations=annotations, on_bad="keep")


def test_shards_do_not_depend_on_the_endings(tree: Path, tmp_path: Path) -> None:
    """In the original form the ending of an image's name is not stored."""
    run(tree)
    expected = (tree.parent / "out" / SHARD).read_bytes()
    rename_some(tree, "train/*/*.JPEG", 2)
    run(tree, dest=tmp_path / "again")
    assert expected == (tmp_path / "again" / SHARD).read_bytes()


def test_other_endings_of_annotations(tree: Path) -> None:
    """Annotations may end in .XML."""
    xmls = sorted(tree.glob("train/*/*.xml"))
    run(tree)
    expected = members_of([tree.parent / "out" / SHARD])
    for path in xmls[::2]:
        path.rename(path.with_suffix(".XML"))
    assert 0 == run(tree, dest=tree.parent / "again").exit_code
    assert expected == members_of([tree.parent / "again" / SHARD])


@pytest.mark.parametrize("split", ["train", "val"])
def test_other_endings_in_archives(archives: Path, split: str) -> None:
    """Images with other endings are read in tars too, nested and flat."""
    raw = archives.parent / "raw"
    for number, path in enumerate(sorted(raw.glob(f"{split}/**/*.JPEG"))):
        path.rename(path.with_suffix(ENDINGS[number % len(ENDINGS)]))
    images = {path.stem: path.read_bytes() for path in raw.glob(f"{split}/**/*.*")}
    path = archives / f"ILSVRC2012_img_{split}.tar"
    with tarfile.open(path, "w") as archive:
        for each in sorted((raw / split).iterdir()):
            if each.is_dir():
                made.add_bytes(archive, f"{each.name}.tar", made.tar_of(sorted(each.iterdir())))
            else:
                archive.add(each, each.name)
    report = run(archives, split=split)
    members = members_of([archives.parent / "out" / f"imagenet_{split}-000000.tar"])
    assert images == {name.removesuffix(".jpg"): data for name, data in members.items() if name.endswith(".jpg")}
    assert any(f"end in .JPEG: of {len(images)}, " in notice for notice in report.notices)
    check_sums(archives, report, split=split)


def test_other_endings_in_a_zip(tmp_path: Path) -> None:
    """Images with other endings are read in Kaggle's zip too."""
    made.kaggle(tmp_path / "raw")
    for path in tmp_path.glob("raw/ILSVRC/Data/CLS-LOC/train/*/*.JPEG"):
        path.rename(path.with_suffix(".jpg"))
    root = made.kaggle_zip(tmp_path / "zip", tmp_path / "raw").parent
    report = run(root)
    assert (40, 0) == (report.samples, report.exit_code)
    check_sums(root, report)


def test_two_endings_of_one_key(tree: Path) -> None:
    """Two files in one folder with the same key are refused, as in two folders."""
    path = next(iter(sorted(tree.glob("train/*/*.JPEG"))))
    path.with_suffix(".jpg").write_bytes(JPEG)
    told = refusal(tree)
    assert f"{path} and {path.with_suffix('.jpg')} have one key" in told


@pytest.mark.parametrize("name", ["{}_1.JPEG.part", "{}_1.crdownload", "{}_1", ".{}_1.JPEG.Xa3bQz", "{}_1.ppm"])
def test_what_may_be_an_image_is_left_out(tree: Path, name: str) -> None:
    """A file that begins with a key of the class, and has no image's ending, counts as that image, left out."""
    (tree / "train" / WNID / name.format(WNID)).write_bytes(JPEG)
    report = run(tree)
    assert {"other-ending": [name.format(WNID)]} == kinds(report)
    assert (60, 1) == (report.samples, report.left_out)
    check_sums(tree, report)


def test_what_lies_beside_its_image_is_none(tree: Path) -> None:
    """A caption or a mask of an image that exists does not count as an image."""
    key = next(iter(sorted(tree.glob("train/*/*.JPEG")))).stem
    for ending in (".txt", ".JPEG.bak", ".npy"):
        (tree / "train" / key.partition("_")[0] / f"{key}{ending}").touch()
    report = run(tree)
    assert (0, 3) == (report.exit_code, len(kinds(report)["not-an-image"]))


def test_no_ending_is_longer_than_the_plan_knows() -> None:
    """No ending is longer than .JPEG: the plan relies on it to bound the form with boxes, which has the file's name."""
    assert len(IMAGE_SUFFIX) == max(map(len, IMAGE_ENDINGS))
    assert {NameKind.IMAGE} == {name_rule("train").kind(f"x{ending}") for ending in IMAGE_ENDINGS}


# What systems leave behind.

JUNK_FILES = ("._{key}.JPEG", ".DS_Store", "Thumbs.db", ".nfs000000001", "desktop.ini", "._{key}.xml")
JUNK_FOLDERS = ("__MACOSX", "@eaDir", ".ipynb_checkpoints", "lost+found")


def litter(names: Sequence[str]) -> dict[str, bytes]:
    """Paths of junk in a folder, each with what is in it."""
    key = f"{WNID}_1"
    files = {name.format(key=key): b"junk" for name in JUNK_FILES}
    return files | {f"{folder}/{key}.JPEG": JPEG for folder in names}


def litter_tree(folder: Path) -> None:
    for name, data in litter(JUNK_FOLDERS).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def check_junk(root: Path, report: Report, samples: int, places: int) -> None:
    assert (samples, 0, {}) == (report.samples, report.exit_code, kinds(report))
    count = places * (len(JUNK_FILES) + len(JUNK_FOLDERS))
    [notice] = [notice for notice in report.notices if "passed over" in notice]
    assert (
        f"{count} files and folders were passed over, because systems leave them behind: {places} .DS_Store" in notice
    )
    assert f"{2 * places} ._*" in notice
    check_sums(root, report)


def test_junk_in_trees(tree: Path) -> None:
    """Junk beside the classes and in them is passed over, and counted in one note."""
    for folder in (tree / "train", tree / "train" / WNIDS[0], tree / "train" / WNIDS[1]):
        litter_tree(folder)
    check_junk(tree, run(tree), 60, 3)


def test_junk_in_archives(archives: Path) -> None:
    """Junk beside the archives of the classes, and in them, is passed over and counted."""
    path = archives / "ILSVRC2012_img_train.tar"
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        for name, data in litter(JUNK_FOLDERS).items():
            made.add_bytes(archive, name, data)
        made.add_bytes(archive, f"{WNIDS[7]}_1.JPEG", JPEG)
    with tarfile.open(path, "a") as archive:
        for name, data in litter(JUNK_FOLDERS).items():
            made.add_bytes(archive, name, data)
        made.add_bytes(archive, f"{WNIDS[7]}.tar", inner.getvalue())
    check_junk(archives, run(archives), 25, 2)


def test_junk_in_a_zip(tmp_path: Path) -> None:
    """Junk in Kaggle's zip is passed over and counted."""
    made.kaggle(tmp_path / "raw")
    litter_tree(tmp_path / "raw" / "ILSVRC" / "Data" / "CLS-LOC" / "train" / WNIDS[1])
    root = made.kaggle_zip(tmp_path / "zip", tmp_path / "raw").parent
    check_junk(root, run(root), 40, 1)


# Val in class folders with labels beside.


def sorted_val(root: Path, labels: Callable[[Path, dict[str, str]], object]) -> made.Made:
    """Val in class folders, and its labels in some form."""
    expected = made.flat_val(root, images=12)
    for key, wnid in expected.wnids.items():
        (root / "val" / wnid).mkdir(exist_ok=True)
        (root / "val" / f"{key}.JPEG").rename(root / "val" / wnid / f"{key}.JPEG")
    labels(root, expected.wnids)
    return expected


@pytest.mark.parametrize("on_bad", ["skip", "keep", "fail"])
def test_val_image_in_another_classs_folder(tmp_path: Path, on_bad: str) -> None:
    """Images in another class's folder stop the run, with any --on-bad; the message names them and has a remedy."""
    root = tmp_path / "raw"
    expected = sorted_val(root, lambda *_: None)
    assert (12, 0) == ((report := run(root, split="val")).samples, report.exit_code)
    key = made.val_key(3)
    wrong = next(wnid for wnid in expected.wnids.values() if wnid != expected.wnids[key])
    moved = root / "val" / wrong / f"{key}.JPEG"
    (root / "val" / expected.wnids[key] / f"{key}.JPEG").rename(moved)
    with pytest.raises(SourceError) as caught:
        run(root, split="val", dest=tmp_path / "again", on_bad=on_bad)
    told = str(caught.value)
    truth = root / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    assert f"the class folders and {truth} contradict each other, for 1 of 12 images:\n  {moved}: " in told
    assert f"{moved}: {expected.wnids[key]} by the labels\n" in told
    assert not (tmp_path / "again").exists()
    verdict = verify_shards(VerifyOptions(dest=tmp_path / "out", source=root, workers=0))
    assert any("contradict each other" in each.detail for each in verdict.deviations)


def test_labels_that_cannot_be_compared(tmp_path: Path) -> None:
    """A damaged ground truth beside class folders is noted and stops nothing, because the folders are the labels."""
    root = tmp_path / "raw"
    sorted_val(root, lambda *_: None)
    truth = root / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("1\n2\n")
    report = run(root, split="val")
    assert (12, 0) == (report.samples, report.exit_code)
    assert any(f"The class folders could not be compared with {truth}: " in notice for notice in report.notices)


@pytest.mark.parametrize("labels", ["ground truth", "solution"])
def test_val_labels_that_lack_some(tmp_path: Path, labels: str) -> None:
    """Images without a label are noted, and the other images are compared, also with a further file of labels."""
    root = tmp_path / "raw"
    expected = sorted_val(root, lambda *_: None)
    truth = root / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    if labels == "solution":
        truth.write_text("damaged")
        rows = [f"{key},{wnid} 1 2 3 4" for key, wnid in expected.wnids.items()][1:]
        (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows, ""]))
    else:
        expected.image(f"val/{WNID}", made.val_key(50_001), WNID)
    report = run(root, split="val")
    assert 0 == report.exit_code
    assert any("has no label for 1 of 1" in notice for notice in report.notices)
    key = made.val_key(3)
    wrong = next(wnid for wnid in expected.wnids.values() if wnid != expected.wnids[key])
    (root / "val" / expected.wnids[key] / f"{key}.JPEG").rename(root / "val" / wrong / f"{key}.JPEG")
    with pytest.raises(SourceError, match="contradict each other, for 1 of 1"):
        run(root, split="val", dest=tmp_path / "again")


def test_on_bad_fail_stops_at_what_is_missing(tree: Path) -> None:
    """With --on-bad fail, a class that is still packed stops the run before anything is written."""
    (tree / "train" / f"{WNIDS[7]}.tar").write_bytes(b"?")
    told = refusal(tree, on_bad="fail")
    assert f"{tree}/train/{WNIDS[7]}.tar: {Kind.PACKED_CLASS.meaning}: " in told
    assert told.endswith("(on_bad fail). Mend it, or use on_bad skip, which leaves such files out and lists them.")
