"""Layouts and the scan: what is found, what becomes a problem, and what is refused."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from parallel_sharder.engines import open_engine
from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Listing, Role
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.imagenet.classes import read_classes
from parallel_sharder.sources.source import SourceOptions, open_source
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.sources.survey import results_of
from tests import made
from tests.conftest import without_privileges
from tests.made import WNIDS, Made, val_key


def listing_of(
    root: Path,
    split: str = "train",
    labels: str = "devkit",
    xml_root: Path | None = None,
    meta: Path | None = None,
    layout: str | None = None,
) -> Listing:
    options = SourceOptions(root=(str(root),), split=split, labels=labels, xml_root=xml_root, meta=meta, layout=layout)
    with open_engine(0, None) as engine, open_source(options) as source:
        return source.scan(engine, Silent(), Scratch())


def check(listing: Listing, expected: Made, keys: set[str], annotated: set[str]) -> None:
    """Rows are sorted and unique, and each points at its files, sizes and class."""
    rows = [key.decode() for key in listing.keys]
    assert sorted(keys) == rows
    images, xmls = listing.part(Role.IMAGE), listing.part(Role.ANNOTATION)
    for row, key in enumerate(rows):
        image = Path(listing.places[images.place[row]].path) / f"{key}.JPEG"
        assert images.size[row] == image.stat().st_size
        if key in annotated:
            xml = Path(listing.places[xmls.place[row]].path) / f"{key}.xml"
            assert xmls.size[row] == xml.stat().st_size
        else:
            assert (-1, -1) == (xmls.place[row], xmls.size[row])
        if listing.classes:
            assert expected.wnids[key] == listing.classes[listing.class_index[row]].id


def problems_of(listing: Listing) -> list[tuple[str, str]]:
    return sorted((problem.kind.value, os.path.basename(problem.path)) for problem in listing.problems)


def stems(root: Path, pattern: str) -> set[str]:
    return {path.stem for path in root.glob(pattern)}


def test_classic_train(tmp_path: Path) -> None:
    """A training tree with annotations beside the images; IDs of the devkit as labels."""
    expected = made.classic_train(tmp_path)
    listing = listing_of(tmp_path)
    check(listing, expected, set(expected.wnids), stems(tmp_path, "train/*/*.xml"))
    assert () == listing.problems
    tench = next(row for row in listing.classes if row.id == "n01440764")
    assert 449 == tench.label
    assert "classic tree, train images in " + str(tmp_path / "train") == dict(listing.found)["layout"]
    assert dict(listing.found)["classes"].startswith("5 of the 1,000 in ")


def test_classic_val_in_class_folders(tmp_path: Path) -> None:
    """Validation images under their classes: rows sorted by key, though folders interleave."""
    expected = Made(tmp_path)
    made.write_devkit(tmp_path)
    for number in range(1, 31):
        expected.image(f"val/{WNIDS[number % 3]}", val_key(number), WNIDS[number % 3])
        if number % 4 == 0:
            expected.xml(f"val/{WNIDS[number % 3]}", val_key(number))
    listing = listing_of(tmp_path, "val")
    check(listing, expected, set(expected.wnids), stems(tmp_path, "val/*/*.xml"))


@pytest.mark.parametrize("labels", ["devkit", "sorted"])
def test_flat_val(tmp_path: Path, labels: str) -> None:
    """A flat folder is labelled by the ground truth, in either label order."""
    expected = made.flat_val(tmp_path)
    listing = listing_of(tmp_path, "val", labels)
    check(listing, expected, set(expected.wnids), set())


@pytest.mark.parametrize("inside", ["", "ILSVRC"])
def test_kaggle(tmp_path: Path, inside: str) -> None:
    """All three splits of Kaggle's tree, from the unpacked folder or the ILSVRC in it; IDs come from our table."""
    expected = made.kaggle(tmp_path)
    train = listing_of(tmp_path / inside, "train")
    check(train, expected, stems(tmp_path, "**/train/*/*.JPEG"), stems(tmp_path, "**/train/*/*.xml"))
    assert 449 == next(row for row in train.classes if row.id == "n01440764").label
    val = listing_of(tmp_path / inside, "val")
    check(val, expected, stems(tmp_path, "**/val/*.JPEG"), stems(tmp_path, "**/val/*.xml"))
    test = listing_of(tmp_path / inside, "test")
    check(test, expected, stems(tmp_path, "**/test/*.JPEG"), set())
    assert () == train.problems + val.problems + test.problems


def test_test_needs_no_labels(tmp_path: Path) -> None:
    """A flat test folder needs no devkit and has no classes."""
    expected = Made(tmp_path)
    for number in range(1, 5):
        expected.image("test", f"ILSVRC2012_test_{number:08}")
    listing = listing_of(tmp_path, "test")
    assert (4, ()) == (len(listing), listing.classes)
    assert [-1] * 4 == listing.class_index.tolist()


def test_sorted_labels(tmp_path: Path) -> None:
    """--labels sorted numbers all classes of the list, present or not, by wnid from 0."""
    made.classic_train(tmp_path, classes=3)
    listing = listing_of(tmp_path, labels="sorted")
    assert list(enumerate(WNIDS)) == [(row.label, row.id) for row in listing.classes]


def test_links_are_followed(tmp_path: Path) -> None:
    """Linked sets, splits, class folders and files are read like any other."""
    expected = made.classic_train(tmp_path / "real")
    root = tmp_path / "linked"
    (root / "train").mkdir(parents=True)
    (root / "ILSVRC2012_devkit_t12").symlink_to(tmp_path / "real" / "ILSVRC2012_devkit_t12")
    for position, folder in enumerate(sorted((tmp_path / "real" / "train").iterdir())):
        if position % 2:
            (root / "train" / folder.name).symlink_to(folder)
            continue
        (root / "train" / folder.name).mkdir()
        for file in folder.iterdir():
            (root / "train" / folder.name / file.name).symlink_to(file)
    listing = listing_of(root)
    check(listing, expected, set(expected.wnids), stems(tmp_path, "real/train/*/*.xml"))


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("folder", ["Annotations/train/{}", "Annotations/CLS-LOC/train/{}"])
def test_annotations_in_a_tree_of_their_own(tmp_path: Path, folder: str, given: bool) -> None:
    """Annotations in a tree of their own are found in the usual place, and anywhere with --xml-root."""
    expected = made.classic_train(tmp_path, annotated=0)
    for key in sorted(expected.wnids)[::2]:
        expected.xml(folder.format(expected.wnids[key]), key)
    top = tmp_path / folder.format("").rstrip("/")
    if given:
        top = top.rename(tmp_path / "elsewhere")
    listing = listing_of(tmp_path, xml_root=top if given else None)
    check(listing, expected, set(expected.wnids), set(sorted(expected.wnids)[::2]))
    assert str(top) in dict(listing.found)["annotations"]


def test_flat_annotations_for_class_folders(tmp_path: Path) -> None:
    """ILSVRC2012_bbox_val_v3.tgz unpacks flat; the images may be sorted into classes all the same."""
    expected = Made(tmp_path)
    made.write_devkit(tmp_path)
    for number in range(1, 11):
        expected.image(f"val/{WNIDS[number % 3]}", val_key(number), WNIDS[number % 3])
        expected.xml("bbox/val", val_key(number))
    expected.xml("bbox/val", val_key(99))
    listing = listing_of(tmp_path, "val", xml_root=tmp_path / "bbox")
    check(listing, expected, set(expected.wnids), set(expected.wnids))
    assert [("orphan-xml", f"{val_key(99)}.xml")] == problems_of(listing)


def test_given_annotations_rule_out_those_beside(tmp_path: Path) -> None:
    """Annotations beside the images are used, and not a tree; with --xml-root they are listed as not used."""
    expected = made.classic_train(tmp_path, images=10, annotated=0)
    one, other = sorted(expected.wnids)[:2]
    beside = expected.xml(f"train/{expected.wnids[one]}", one)
    expected.xml(f"Annotations/train/{expected.wnids[other]}", other)
    check(listing_of(tmp_path), expected, set(expected.wnids), {one})
    listing = listing_of(tmp_path, xml_root=tmp_path / "Annotations")
    check(listing, expected, set(expected.wnids), {other})
    assert [("unused-xml", beside.name)] == problems_of(listing)


def test_orphan_beside_the_images_does_not_hide_a_tree(tmp_path: Path) -> None:
    """Annotations beside the images are used if one of them belongs to an image; the real set has an orphan there."""
    expected = made.classic_train(tmp_path, images=10, annotated=0)
    key = min(expected.wnids)
    expected.xml(f"Annotations/train/{expected.wnids[key]}", key)
    orphan = expected.xml(f"train/{WNIDS[0]}", f"{WNIDS[0]}_0")
    listing = listing_of(tmp_path)
    check(listing, expected, set(expected.wnids), {key})
    assert [("orphan-xml", orphan.name)] == problems_of(listing)


def test_named_tree_without_annotations(tmp_path: Path) -> None:
    """--xml-root at a wrong place is an error, not a set without annotations; Kaggle's Annotations are found in it."""
    expected = made.kaggle(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "holds no annotation of any image in" in refusal(tmp_path, xml_root=tmp_path / "empty")
    listing = listing_of(tmp_path, xml_root=tmp_path / "ILSVRC" / "Annotations")
    check(listing, expected, stems(tmp_path, "**/train/*/*.JPEG"), stems(tmp_path, "**/train/*/*.xml"))


def test_strays_among_the_annotations_are_named(tmp_path: Path) -> None:
    """Other files and folders in a tree of annotations are reported, and leave no sample out."""
    expected = made.classic_train(tmp_path, images=10, annotated=0)
    key = min(expected.wnids)
    top = tmp_path / "Annotations" / "train"
    expected.xml(f"Annotations/train/{expected.wnids[key]}", key)
    (top / "old").mkdir()
    (top / "note.txt").touch()
    (top / expected.wnids[key] / "x.JPEG").touch()
    listing = listing_of(tmp_path)
    assert [("not-an-image", name) for name in ("note.txt", "old", "x.JPEG")] == problems_of(listing)


def test_unreadable_files_count_once_and_only_where_they_matter(tmp_path: Path) -> None:
    """A broken annotation of no image is an orphan, an unused one does no harm, and a broken pair is one image."""
    expected = made.classic_train(tmp_path, images=10, annotated=0)
    one, other = sorted(expected.wnids)[:2]
    folder = tmp_path / "train" / expected.wnids[one]
    (folder / f"{WNIDS[0]}_0.xml").symlink_to("nowhere")
    (folder / f"{one}.JPEG").unlink()
    (folder / f"{one}.JPEG").symlink_to("nowhere")
    (folder / f"{one}.xml").symlink_to("nowhere")
    problems = problems_of(listing_of(tmp_path))
    assert [
        ("orphan-xml", f"{WNIDS[0]}_0.xml"),
        ("orphan-xml", f"{one}.xml"),
        ("unreadable", f"{one}.JPEG"),
    ] == sorted(problems)
    expected.xml(f"elsewhere/{expected.wnids[other]}", other)
    (tmp_path / "train" / expected.wnids[other] / f"{other}.xml").symlink_to("nowhere")
    listing = listing_of(tmp_path, xml_root=tmp_path / "elsewhere")
    assert 9 == len(listing)
    assert {("unused-xml", f"{other}.xml"), ("unreadable", f"{one}.JPEG")} <= set(problems_of(listing))


def test_names_too_long_for_a_tar_header(tmp_path: Path) -> None:
    """An image whose name would not fit is named and left out, before it could stop a worker."""
    expected = made.classic_train(tmp_path, images=10, annotated=0)
    keys = set(expected.wnids)
    long = expected.image(f"train/{WNIDS[0]}", f"{WNIDS[0]}_{'1' * 90}", WNIDS[0])
    listing = listing_of(tmp_path)
    check(listing, expected, keys, set())
    assert [("misplaced-image", long.name)] == problems_of(listing)


def test_a_name_of_two_lines_is_not_two_images(tmp_path: Path) -> None:
    """Keys are matched all at once, a line each, and a name with a line break is not taken for two names."""
    expected = made.classic_train(tmp_path, classes=1, images=10, annotated=0)
    keys = set(expected.wnids)
    odd = tmp_path / "train" / WNIDS[0] / f"{WNIDS[0]}_1\n{WNIDS[0]}_2.JPEG"
    odd.write_bytes(made.JPEG)
    listing = listing_of(tmp_path)
    check(listing, expected, keys, set())
    assert [("misplaced-image", rf"{WNIDS[0]}_1\n{WNIDS[0]}_2.JPEG")] == problems_of(listing)


def test_every_other_file_is_named(tmp_path: Path) -> None:
    """Strangers, orphans, misplaced and unreadable files each become a problem; the rest is listed as if alone."""
    expected = made.classic_train(tmp_path, classes=2, images=10, annotated=0)
    folder, other = (tmp_path / "train" / wnid for wnid in WNIDS[:2])
    keys = set(expected.wnids)
    (tmp_path / "train" / "README.txt").touch()
    (tmp_path / "train" / ".cache").mkdir()
    (folder / "Thumbs.db").touch()
    (folder / "thumbnails").mkdir()
    (folder / f"{WNIDS[0]}_1.JPEG.part").touch()
    (folder / f"{WNIDS[0]}_.JPEG").touch()
    (folder / f"{WNIDS[1]}_5.JPEG").touch()
    (folder / f"{WNIDS[0]}_\u0661.JPEG").touch()
    (other / f"{WNIDS[1]}_0.xml").touch()
    (other / f"{WNIDS[0]}_1.xml").touch()
    (other / f"{WNIDS[1]}_7.JPEG").symlink_to(tmp_path / "nowhere")
    (other / f"{WNIDS[1]}_8.JPEG").mkdir()
    broken = next(key for key in sorted(keys) if key.startswith(WNIDS[1]))
    (other / f"{broken}.xml").symlink_to(tmp_path / "nowhere")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff\nname")).touch()
    listing = listing_of(tmp_path)
    check(listing, expected, keys - {broken}, set())
    assert [
        ("misplaced-image", f"{WNIDS[0]}_.JPEG"),
        ("misplaced-image", f"{WNIDS[0]}_\u0661.JPEG"),
        ("misplaced-image", f"{WNIDS[1]}_5.JPEG"),
        ("not-an-image", ".cache"),
        ("not-an-image", r"bad\xff\nname"),
        ("not-an-image", "README.txt"),
        ("not-an-image", "thumbnails"),
        ("orphan-xml", f"{WNIDS[0]}_1.xml"),
        ("orphan-xml", f"{WNIDS[1]}_0.xml"),
        ("other-ending", f"{WNIDS[0]}_1.JPEG.part"),
        ("unreadable", f"{broken}.xml"),
        ("unreadable", f"{WNIDS[1]}_7.JPEG"),
        ("unreadable", f"{WNIDS[1]}_8.JPEG"),
    ] == sorted(problems_of(listing), key=lambda each: (each[0], each[1].lower()))
    left_out = {Kind.MISPLACED_IMAGE, Kind.OTHER_ENDING, Kind.UNREADABLE}
    assert left_out == {p.kind for p in listing.problems if p.leaves_out_sample}


def refusal(root: Path, split: str = "train", **more: Path) -> str:
    with pytest.raises(SourceError) as caught:
        listing_of(root, split, **more)  # type: ignore[arg-type]
    assert 1 == caught.value.exit_code
    return str(caught.value)


def test_no_layout(tmp_path: Path) -> None:
    """Nothing found: every place that was looked at is listed."""
    text = refusal(tmp_path)
    assert f"no train images found under {tmp_path}" in text
    assert f"classic tree: {tmp_path}/train/" in text
    assert f"Kaggle tree: {tmp_path}/ILSVRC/Data/CLS-LOC/train/" in text
    assert "Name the folder that holds one of them with root." in text
    assert "is not a folder" in refusal(tmp_path / "missing")


def test_root_a_level_off(tmp_path: Path) -> None:
    """The usual slips are recognised, and the right folder is named."""
    made.classic_train(tmp_path / "set")
    remedy = f"Did you mean root {tmp_path / 'set'}?"
    for root in (tmp_path, tmp_path / "set" / "train" / WNIDS[0]):
        assert remedy in refusal(root)


def test_root_inside_kaggles_tree(tmp_path: Path) -> None:
    """Each folder between the top and the images can be the root, and a folder beside them leads to the set."""
    expected = made.kaggle(tmp_path)
    for root in ("ILSVRC/Data/CLS-LOC", "ILSVRC/Data"):
        listing = listing_of(tmp_path / root)
        check(listing, expected, stems(tmp_path, "**/train/*/*.JPEG"), stems(tmp_path, "**/train/*/*.xml"))
    assert f"Did you mean root {tmp_path}" in refusal(tmp_path / "ILSVRC" / "Annotations")


def test_two_layouts(tmp_path: Path) -> None:
    """A folder with both trees is ambiguous: nothing is chosen silently."""
    made.kaggle(tmp_path)
    (tmp_path / "train").mkdir()
    assert f"holds the train images more than once: {tmp_path}/train (layout tree) and" in refusal(tmp_path)
    assert dict(listing_of(tmp_path, layout="kaggle").found)["layout"].startswith("Kaggle tree, ")


def test_no_devkit(tmp_path: Path) -> None:
    """Without a class list, the table in this package has the labels and words of class folders, and is named."""
    expected = made.classic_train(tmp_path)
    (tmp_path / "ILSVRC2012_devkit_t12" / "data" / "meta.mat").unlink()
    for labels, tench in (("devkit", 449), ("sorted", 0)):
        listing = listing_of(tmp_path, labels=labels)
        check(listing, expected, set(expected.wnids), stems(tmp_path, "train/*/*.xml"))
        assert "5 of the 1,000 in the table in this package" == dict(listing.found)["classes"]
        assert (tench, "n01440764", "tench, Tinca tinca") == row_of(listing, "n01440764")


def row_of(listing: Listing, wnid: str) -> tuple[int, str, str]:
    [row] = [row for row in listing.classes if row.id == wnid]
    return row.label, row.id, row.name


def test_kaggle_without_its_mapping(tmp_path: Path) -> None:
    """The places of val's labels are listed if none exists; the class list is not missed."""
    made.kaggle(tmp_path)
    (tmp_path / "LOC_val_solution.csv").unlink()
    (tmp_path / "LOC_synset_mapping.txt").unlink()
    assert f"no labels for the flat val folder found. Looked for:\n  {tmp_path}/LOC_val_solution.csv" in refusal(
        tmp_path, "val"
    )
    assert dict(listing_of(tmp_path).found)["classes"].endswith(" in the table in this package")


def test_meta_elsewhere(tmp_path: Path) -> None:
    """--meta takes a meta.mat or a text file of classes; a missing or foreign file is an error that names it."""
    expected = made.classic_train(tmp_path)
    meta = (tmp_path / "ILSVRC2012_devkit_t12" / "data" / "meta.mat").rename(tmp_path / "m.mat")
    check(listing_of(tmp_path, meta=meta), expected, set(expected.wnids), stems(tmp_path, "train/*/*.xml"))
    text = tmp_path / "classes.txt"
    text.write_text("".join(f"{wnid} {made.NAMES[wnid]}\n" for wnid in WNIDS))
    assert listing_of(tmp_path, meta=meta).classes == listing_of(tmp_path, meta=text).classes
    assert "none.mat, named with meta, is not a file" in refusal(tmp_path, meta=tmp_path / "none.mat")
    meta.write_bytes(b"MATLAB 5.0 no, it is not")
    assert "m.mat is not the devkit's meta.mat" in refusal(tmp_path, meta=meta)
    assert "is neither a folder" in refusal(tmp_path, meta=text, xml_root=tmp_path / "none")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("n01440764 tench\ncat 5\n", "line 2 is 'cat 5': 'cat' is not a WordNet ID"),
        ("n01440764 tench\nn01440764 tench\n", "2 classes with 1 different wnid;"),
        ("", "0 classes"),
        ("n00000001 a thing\n", "n00000001 is not one of the 1,000 classes of ILSVRC2012.*labels sorted"),
    ],
)
def test_bad_class_lists(tmp_path: Path, lines: str, message: str) -> None:
    """A class list that is not one is refused, with line and value."""
    path = tmp_path / "classes.txt"
    path.write_text(lines)
    with pytest.raises(SourceError, match=message):
        read_classes(path, "devkit")


def test_unknown_class_folder(tmp_path: Path) -> None:
    """A folder that is no class could hold images that would be lost: it stops the run."""
    made.classic_train(tmp_path)
    (tmp_path / "train" / "n99999999").mkdir()
    (tmp_path / "train" / "cats").mkdir()
    text = refusal(tmp_path)
    assert "folders that are no class of" in text
    assert "cats, n99999999. Move them" in text


def test_no_images(tmp_path: Path) -> None:
    """An empty tree, one of packed classes, and one of empty folders say what was looked for."""
    made.write_devkit(tmp_path)
    (tmp_path / "train").mkdir()
    assert "holds no image of the train set" in refusal(tmp_path)
    (tmp_path / "train" / f"{WNIDS[0]}.tar").touch()
    assert "Unpack the archives of the classes, each into a folder of its name." in refusal(tmp_path)
    (tmp_path / "train" / f"{WNIDS[0]}.tar").unlink()
    (tmp_path / "train" / WNIDS[0]).mkdir()
    assert "Expected were files named train/<wnid>/<wnid>_<number>.JPEG" in refusal(tmp_path)


def test_images_in_and_beside_class_folders(tmp_path: Path) -> None:
    """A val folder that is half sorted into classes is refused: half its labels would come from elsewhere."""
    expected = made.flat_val(tmp_path, 5)
    expected.image(f"val/{WNIDS[0]}", val_key(6), WNIDS[0])
    assert "holds 5 images beside its class folders" in refusal(tmp_path, "val")


def test_one_key_twice(tmp_path: Path) -> None:
    """The same image under two classes has two labels; so does an annotation in two folders."""
    expected = Made(tmp_path)
    made.write_devkit(tmp_path)
    expected.image(f"val/{WNIDS[0]}", val_key(1), WNIDS[0])
    two = expected.image(f"val/{WNIDS[1]}", val_key(1), WNIDS[1])
    text = refusal(tmp_path, "val")
    assert "1 key occurs twice" in text
    assert str(two) in text
    two.unlink()
    for wnid in WNIDS[:2]:
        expected.xml(f"xml/val/{wnid}", val_key(1))
    assert "1 key occurs twice" in refusal(tmp_path, "val", xml_root=tmp_path / "xml")


@pytest.mark.parametrize("target", ["nowhere", f"train/{WNIDS[2]}"])
def test_folder_that_cannot_be_listed(tmp_path: Path, target: str) -> None:
    """A class folder behind a broken link, or one to itself, stops the run: its images would be missing."""
    made.classic_train(tmp_path, classes=2)
    (tmp_path / "train" / WNIDS[2]).symlink_to(tmp_path / target)
    assert f"train/{WNIDS[2]}: cannot be listed" in refusal(tmp_path)


def test_unreadable_files_have_their_cause(tmp_path: Path) -> None:
    """A broken link, a link to itself, a folder, a pipe and a socket are told apart, for images and annotations."""
    expected = made.classic_train(tmp_path, classes=1, images=10, annotated=0)
    folder, keys = tmp_path / "train" / WNIDS[0], sorted(expected.wnids)
    (folder / f"{keys[0]}.xml").symlink_to("nowhere")
    (folder / f"{keys[1]}.xml").mkdir()
    for key in keys[2:6]:
        (folder / f"{key}.JPEG").unlink()
    (folder / f"{keys[2]}.JPEG").symlink_to(folder / f"{keys[2]}.JPEG")
    (folder / f"{keys[3]}.JPEG").mkdir()
    os.mkfifo(folder / f"{keys[4]}.JPEG")
    os.mknod(folder / f"{keys[5]}.JPEG", stat.S_IFSOCK | 0o600)
    listing = listing_of(tmp_path)
    assert 4 == len(listing)
    assert {
        f"{keys[0]}.xml": "a broken link to nowhere",
        f"{keys[1]}.xml": "a folder, not a regular file",
        f"{keys[2]}.JPEG": f"a link to {folder}/{keys[2]}.JPEG, which cannot be followed: "
        "Too many levels of symbolic links",
        f"{keys[3]}.JPEG": "a folder, not a regular file",
        f"{keys[4]}.JPEG": "a pipe, not a regular file",
        f"{keys[5]}.JPEG": "a socket, not a regular file",
    } == {Path(problem.path).name: problem.detail for problem in listing.problems}


@pytest.mark.parametrize(
    ("mode", "what"),
    [(0o400, "searched"), (0o300, "listed"), (0, "listed")],
)
@pytest.mark.parametrize("kind", ["class folder", "class folder of links", "flat folder"])
def test_folder_without_permission(tmp_path: Path, mode: int, what: str, kind: str) -> None:
    """A folder that may be read and not searched, or not be read, stops the run with that cause, not image by image."""
    if kind == "flat folder":
        made.flat_val(tmp_path)
        folder = tmp_path / "val"
    else:
        made.classic_train(tmp_path, classes=2)
        folder = tmp_path / "train" / WNIDS[0]
    if kind == "class folder of links":
        folder.rename(tmp_path / "elsewhere")
        folder.mkdir()
        for path in (tmp_path / "elsewhere").iterdir():
            (folder / path.name).symlink_to(path)
    folder.chmod(mode)
    split = "val" if kind == "flat folder" else "train"
    words = f"--root {tmp_path} --split {split} --workers 2 --dest {tmp_path}/out".split()
    command = [*without_privileges(), sys.executable, "-m", "parallel_sharder", *words]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    folder.chmod(0o700)
    remedy = "Give this user the right to read and search it (chmod u+rx for its owner)."
    assert f"parallel-sharder: {folder}: cannot be {what}: Permission denied. {remedy}" in run.stderr.splitlines()
    assert 1 == run.returncode
    assert not (tmp_path / "out").exists()


def test_columns_are_narrow(tmp_path: Path) -> None:
    """A row of the Listing costs under 60 bytes: 1,281,167 rows stay under 80 MB."""
    made.classic_train(tmp_path, images=100)
    listing = listing_of(tmp_path)
    columns = [each for each in vars(listing).values() if isinstance(each, np.ndarray)]
    assert sum(column.nbytes for column in columns) / len(listing) < 60


@pytest.mark.parametrize("workers", [0, 2])
def test_the_first_bad_folder_is_named(workers: int) -> None:
    """The same one on every run, whichever worker is first to find a bad one."""
    tasks = [partial(_refuse, 0.5, "first"), partial(_refuse, 0.0, "second")]
    with open_engine(workers, None) as engine, pytest.raises(SourceError, match="first"):
        results_of(tasks, engine, "/raw", Silent().scanning)


def _refuse(seconds: float, name: str) -> None:
    time.sleep(seconds)
    raise SourceError(name)
