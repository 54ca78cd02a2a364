"""Folders with other names, a wrong root, images sorted differently: they are read, or refused with one remedy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from parallel_sharder import Options, VerifyOptions, convert, verify_shards
from parallel_sharder.errors import SourceError
from parallel_sharder.sources.find import find_source
from parallel_sharder.sources.imagenet.layouts import find_layout
from parallel_sharder.sources.source import SourceOptions
from tests import made
from tests.made import WNIDS, Made, val_key
from tests.test_convert import digests
from tests.test_imagenet_scan import check, listing_of, refusal, stems

pytestmark = pytest.mark.usefixtures("typed")


DEVKIT = "ILSVRC2012_devkit_t12"


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Made, Made]:
    """A set with train in class folders and a flat val, and what is in each."""
    root = tmp_path / "above" / "set"
    train = made.classic_train(root, images=20)
    val = made.flat_val(tmp_path / "val", images=12)
    (tmp_path / "val" / "val").rename(root / "val")
    truth = Path(DEVKIT) / "data" / "ILSVRC2012_validation_ground_truth.txt"
    (tmp_path / "val" / truth).rename(root / truth)
    shutil.rmtree(tmp_path / "val")
    return root, train, val


def xmls(expected: Made) -> set[str]:
    return stems(expected.root, "**/*.xml")


def command_in(text: str) -> str:
    """The shell command in a message: the one line that is indented and begins with cd."""
    [command] = re.findall("^  (cd .*)$", text, re.MULTILINE)
    return str(command)


def root_in(text: str) -> Path:
    """The folder that a message names with --root, as a shell reads it."""
    [root] = re.findall(r"--root ('[^']+'|[^ ?,]+?)[?.]", text)
    return Path(root.strip("'"))


@pytest.mark.parametrize("name", ["ILSVRC2012_img_train", "train_images", "training", "Train", "my train"])
def test_images_folder_called_otherwise(both: tuple[Path, Made, Made], name: str) -> None:
    """For a set whose folders have other names, the message shows the names and the --root that works."""
    root, expected, val = both
    (root / "train").rename(root / name)
    (root / "val").rename(root / f"{name} val")
    text = refusal(root)
    assert f"{root} holds 3 folders (" in text
    assert name in text
    assert root / name == root_in(text)
    listing = listing_of(root_in(text))
    check(listing, expected, set(expected.wnids), xmls(expected))
    assert f"class folders, train images in {root / name}" == dict(listing.found)["layout"]
    listing = listing_of(root_in(refusal(root, "val")), "val")
    check(listing, val, set(val.wnids), set())
    assert f"flat folder, val images in {root / f'{name} val'}" == dict(listing.found)["layout"]


@pytest.mark.parametrize("deeper", ["imagenet", "imagenet/raw"])
def test_images_folders_called_otherwise_and_deeper(both: tuple[Path, Made, Made], deeper: str) -> None:
    """Images are found one folder below --root, and two below."""
    root, expected, _ = both
    annotated = xmls(expected)
    place = root.parent / "other" / deeper / "train_images"
    place.parent.mkdir(parents=True)
    (root / "train").rename(place)
    (root / DEVKIT).rename(place.parent / DEVKIT)
    assert place == root_in(refusal(place.parents[deeper.count("/") + 1]))
    check(listing_of(place), expected, set(expected.wnids), annotated)


def test_root_at_the_images_folder(both: tuple[Path, Made, Made]) -> None:
    """--root at train/ or val/ finds the set around it, with the same layout and the same shards."""
    root, _, _ = both
    for split in ("train", "val"):
        assert find_layout(root, split, None, None) == find_layout(root / split, split, None, None)
    expected = made.kaggle(root.parent / "kaggle")
    images = root.parent / "kaggle" / "ILSVRC" / "Data" / "CLS-LOC"
    for split in ("train", "val", "test"):
        layout = find_layout(images / split, split, None, None)
        assert find_layout(images, split, None, None) == layout
        assert "Kaggle tree" == layout.name
    assert expected.wnids


def test_images_folder_gives_the_trees_shards(both: tuple[Path, Made, Made], tmp_path: Path) -> None:
    """The name of a folder changes no byte, and verify --source can name the images' folder too."""
    root, _, _ = both
    for split in ("train", "val"):
        expected = tmp_path / f"{split} of the tree"
        convert(Options(root=root, split=split, dest=str(expected), workers=0))
        other = (root / split).rename(root / f"my {split}")
        out = tmp_path / f"{split} alone"
        convert(Options(root=other, split=split, dest=str(out), workers=0))
        assert digests(expected) == digests(out)
        assert 0 == verify_shards(VerifyOptions(dest=out, source=other, workers=0)).exit_code


def test_class_list_within_the_images_folder(tmp_path: Path) -> None:
    """A folder of class folders may hold the class list itself."""
    expected = made.classic_train(tmp_path)
    images = (tmp_path / "train").rename(tmp_path / "classes")
    (tmp_path / DEVKIT / "data" / "meta.mat").rename(images / "meta.mat")
    shutil.rmtree(tmp_path / DEVKIT)
    listing = listing_of(images)
    check(listing, expected, set(expected.wnids), xmls(expected))
    assert dict(listing.found)["classes"].endswith(f" in {images}/meta.mat")


@pytest.mark.parametrize("split", ["train", "val"])
def test_root_off_by_up_to_two_folders(both: tuple[Path, Made, Made], split: str) -> None:
    """With a --root above the set, in a class folder, or at the devkit, the message names the set's folder."""
    root, _, _ = both
    for wrong in (root.parent, root.parent.parent, root / DEVKIT, root / DEVKIT / "data", root / "train" / WNIDS[0]):
        assert f"Did you mean --root {root}?" in refusal(wrong, split)


def test_root_at_another_split(both: tuple[Path, Made, Made]) -> None:
    """For --root at val/ without --split val, and for a set without train/, the message names --split."""
    root, _, _ = both
    assert refusal(root / "val").endswith("It holds val images; they are converted with --split val.")
    assert refusal(root / "train", "val").endswith("It holds train images; they are converted with --split train.")
    shutil.rmtree(root / "train")
    assert refusal(root).endswith("It holds val images; they are converted with --split val.")


def test_layout_that_is_ruled_out(both: tuple[Path, Made, Made]) -> None:
    """With --layout, the message names images that exist in another layout."""
    root, _, _ = both
    with pytest.raises(SourceError, match=f"{root}/train exists: use --layout tree, or leave --layout out"):
        find_layout(root, "train", None, None, "kaggle")


def test_several_sets_nearby(both: tuple[Path, Made, Made]) -> None:
    """If several folders hold images, none is chosen, and the message names them."""
    root, _, _ = both
    shutil.copytree(root, root.parent / "copy")
    assert f"choose one: --root {root.parent}/copy, --root {root}." in refusal(root.parent)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_one_folder_too_many(both: tuple[Path, Made, Made], split: str) -> None:
    """If train/ holds the unpacked folder that holds the images, the message names that folder."""
    root, train, _ = both
    for number in range(1, 4):
        train.image("test", f"ILSVRC2012_test_{number:08}")
    (root / split).rename(root / "x")
    (root / split).mkdir()
    (root / "x").rename(root / split / f"ILSVRC2012_img_{split}")
    text = refusal(root, split)
    assert f"{root / split} holds 1 folder (ILSVRC2012_img_{split}), and no {split} images" in text
    assert root / split / f"ILSVRC2012_img_{split}" == root_in(text)
    assert listing_of(root_in(text), split)


def test_empty_folder_beside_the_images(both: tuple[Path, Made, Made]) -> None:
    """An empty train/ beside the folder of the images does not hide it."""
    root, _, _ = both
    (root / "train").rename(root / "ILSVRC2012_img_train")
    (root / "train").mkdir()
    assert f"{root}/train holds nothing, and no train images" in refusal(root)
    assert root / "ILSVRC2012_img_train" == root_in(refusal(root))


def numbered(folder: Path, name: str = "{}") -> None:
    """Sort the flat images of `folder` into 12 folders."""
    for number, path in enumerate(sorted(folder.iterdir())):
        (folder / name.format(number)).mkdir()
        path.rename(folder / name.format(number) / path.name)


@pytest.mark.parametrize("name", ["{}", "class{}"])
@pytest.mark.parametrize("folder", ["val", "other"])
def test_val_in_numbered_folders(both: tuple[Path, Made, Made], folder: str, name: str) -> None:
    """Numbers as folders' names are not taken for labels. The message has the command that makes the folder flat."""
    root, _, val = both
    numbered((root / "val").rename(root / folder), name)
    for place in (root, root / folder):
        text = refusal(place, "val")
        first = ", ".join(name.format(number) for number in (0, 1, 10))
        assert f"{root / folder} holds 12 folders ({first}, ...): val images in folders that are not named by" in text
    subprocess.run(command_in(text), shell=True, check=True)
    check(listing_of(root_in(text), "val"), val, set(val.wnids), set())


@pytest.mark.parametrize("kind", ["numbered", "words", "flat", "parts"])
@pytest.mark.parametrize("folder", ["train", "my images"])
def test_train_not_in_class_folders(both: tuple[Path, Made, Made], folder: str, kind: str) -> None:
    """For train's images that are sorted differently, or not at all, the message has the command that sorts them."""
    root, expected, _ = both
    keys = sorted(path.relative_to(root / "train") for path in (root / "train").glob("*/*"))
    images = (root / "train").rename(root / folder)
    for number, path in enumerate(keys):
        wnid = path.parts[0]
        into = {"numbered": str(WNIDS.index(wnid)), "words": f"a {wnid}", "flat": ".", "parts": f"part{number % 2}"}[
            kind
        ]
        (images / into).mkdir(exist_ok=True)
        (images / path).rename(images / into / path.name)
    for wnid in WNIDS[:5]:
        (images / wnid).rmdir()
    text = refusal(root)
    where = "without class folders" if kind == "flat" else "in folders that are not named by WordNet ID"
    assert f"train images {where}" in text
    subprocess.run(command_in(text), shell=True, check=True)
    check(listing_of(root_in(text)), expected, set(expected.wnids), xmls(expected))


def test_archive_for_root(tmp_path: Path) -> None:
    """For --root at an archive, the message names the archive's folder."""
    path = tmp_path / "ILSVRC2012_img_train.tar"
    path.touch()
    assert refusal(path) == f"{path} is not a folder; name the data set's with --root {tmp_path}."


def test_other_data(tmp_path: Path) -> None:
    """For a folder that is not ImageNet, the message lists its folders, and its files by ending, in one line."""
    for number in range(40):
        (tmp_path / f"train-{number:02}.parquet").touch()
    for name in ("README", "a.gz", "b.txt", "c.xml", "d.md"):
        (tmp_path / name).touch()
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "cat.txt").touch()
    lines = refusal(tmp_path).splitlines()
    assert (
        f"{tmp_path} holds 1 folder (cats) and 45 files (40 .parquet, 1 without ending, 1 .gz, and others; "
        "the first: README, a.gz, b.txt, ...)." == lines[-3]
    )
    assert "Name the folder that holds one of them with --root." == lines[-2]
    table = tmp_path / "train-00.parquet"
    assert f"If {table} is a table of images, --table {table} reads it." == lines[-1]


def test_class_folders_of_other_images(tmp_path: Path) -> None:
    """Class folders whose images have other names are no ImageNet, and neither are annotations alone."""
    for wnid in WNIDS[:3]:
        (tmp_path / "sketch" / wnid).mkdir(parents=True)
        (tmp_path / "sketch" / wnid / "sketch_1.JPEG").touch()
        (tmp_path / "boxes" / wnid).mkdir(parents=True)
        (tmp_path / "boxes" / wnid / f"{wnid}_1.xml").touch()
    assert "folders" == find_source(SourceOptions(root=(str(tmp_path / "sketch"),))).kind.layout
    assert refusal(tmp_path / "boxes").endswith("Name the folder that holds one of them with --root.")


def test_root_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a root that this user may not read, the message says so, and does not call it empty."""

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert f"{tmp_path} cannot be looked into: Permission denied." in refusal(tmp_path)


def test_one_image_shows_whose_folder_it_is(tmp_path: Path) -> None:
    """A folder of class folders is recognised by one image, among annotations and empty folders."""
    expected = Made(tmp_path)
    made.write_devkit(tmp_path)
    expected.image(f"x/{WNIDS[3]}", val_key(7), WNIDS[3])
    expected.xml(f"x/{WNIDS[3]}", val_key(1))
    (tmp_path / "x" / WNIDS[0]).mkdir()
    listing = listing_of(tmp_path / "x", "val")
    assert (1, "class folders") == (len(listing), dict(listing.found)["layout"].partition(",")[0])


def shell(line: str) -> None:
    subprocess.run(["sh", "-ec", line], check=True)


@pytest.mark.parametrize("form", ["images folders", "class in the name", "class in the name of val"])
def test_images_deeper_or_with_the_class_in_their_names(both: tuple[Path, Made, Made], form: str) -> None:
    """The message shows what the folder holds, and a command, after which the set is read."""
    root, train, val = both
    split, expected = ("val", val) if form.endswith("val") else ("train", train)
    for path in sorted((root / split).rglob("*.JPEG")):
        if form == "images folders":
            (path.parent / "images").mkdir(exist_ok=True)
            path.rename(path.parent / "images" / path.name)
        else:
            path.rename(path.with_stem(f"{path.stem}_{expected.wnids[path.stem]}"))
    with pytest.raises(SourceError) as caught:
        listing_of(root, split)
    told = str(caught.value)
    assert f"{root / split} holds no image of the {split} set. Expected were files named " in told
    assert f"\n{root / split} holds {'5 folders' if split == 'train' else '12 files'}" in told
    shell(command_in(told))
    assert set(expected.wnids) == {key.decode() for key in listing_of(root, split).keys}


def test_images_with_names_of_their_own(both: tuple[Path, Made, Made]) -> None:
    """The classes of images with unknown names are not known: the message shows the names, and the expected ones."""
    root, _, _ = both
    for number, path in enumerate(sorted((root / "val").iterdir())):
        path.rename(path.with_stem(f"val_{number}"))
    with pytest.raises(SourceError, match="12 .JPEG; the first: val_0.JPEG, val_1.JPEG, val_10.JPEG") as caught:
        listing_of(root, "val")
    last = str(caught.value).splitlines()[-1]
    assert last.startswith("Give the images these names, which tell classes and labels")
