"""List places: class lists and val labels are found in every layout, in all their forms, around the images."""

from __future__ import annotations

import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from parallel_sharder.model import Listing
from parallel_sharder.sources.imagenet import kaggle_tree, official, tree
from parallel_sharder.sources.imagenet.classes import PACKAGE_TABLE, ilsvrc_ids
from parallel_sharder.sources.imagenet.layouts import find_layout
from tests import made
from tests.made import NAMES, WNIDS, Made
from tests.test_imagenet_classes import torch_zip
from tests.test_imagenet_scan import check, listing_of, refusal

DEVKIT = "ILSVRC2012_devkit_t12"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
LATER_NUMBERS = {wnid: 1 + (number + 311) % 1000 for wnid, number in ilsvrc_ids().items()}
"""Other numbers than ILSVRC2012's, of the same classes."""


def ilsvrc2017(root: Path) -> Made:
    """What image-net.org's ILSVRC2017_CLS-LOC.tar.gz unpacks to: Kaggle's tree without the LOC_ files."""
    expected = made.kaggle(root)
    for name in ("LOC_synset_mapping.txt", "LOC_val_solution.csv"):
        (root / name).unlink()
    lists = root / "ILSVRC" / "ImageSets" / "CLS-LOC"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("ILSVRC2012_val_00000001 1\n")
    return expected


def labels_by(numbers: dict[str, int], expected: Made) -> list[int]:
    """The ground truth of the val images in `expected`, as `numbers` numbers the classes."""
    labels = [1] * 50_000
    for key, wnid in expected.wnids.items():
        if "_val_" in key:
            labels[int(key[-8:]) - 1] = numbers[wnid]
    return labels


def later_devkit(data: Path, expected: Made) -> None:
    """The lists of a devkit of 2014 to 2017, whose numbers are its own, in the folder `data`."""
    data.mkdir(parents=True)
    numbers = sorted(LATER_NUMBERS.items(), key=lambda each: each[1])
    (data / "map_clsloc.txt").write_text("".join(f"{wnid} {number} thing_{wnid}\n" for wnid, number in numbers))
    truth = "".join(f"{label}\n" for label in labels_by(LATER_NUMBERS, expected))
    (data / "ILSVRC2015_clsloc_validation_ground_truth.txt").write_text(truth)


def packed(folder: Path, name: str, inside: str) -> Path:
    """Move `folder` into a tar.gz beside it, where it has the name `inside`."""
    with tarfile.open(folder.parent / name, "w:gz") as archive:
        archive.add(folder, inside)
    shutil.rmtree(folder)
    return folder.parent / name


def check_both(root: Path, expected: Made) -> tuple[Listing, Listing]:
    """Train and flat val of `root` are listed with the right classes and without a problem."""
    train, val = listing_of(root), listing_of(root, "val")
    for listing, word in ((train, "n"), (val, "ILSVRC2012_val")):
        keys = {key for key in expected.wnids if key.startswith(word)}
        assert [key.encode() for key in sorted(keys)] == list(listing.keys)
        found = {key.decode(): listing.classes[listing.class_index[row]] for row, key in enumerate(listing.keys)}
        assert {key: expected.wnids[key] for key in keys} == {key: row.id for key, row in found.items()}
        assert all(ilsvrc_ids()[row.id] == row.label for row in found.values())
        assert () == listing.problems
    return train, val


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("place", ["set", "set/ILSVRC", "set/ILSVRC/Data", "set/ILSVRC/Data/CLS-LOC", "."])
def test_devkit_around_a_tree_of_kaggles_shape(tmp_path: Path, place: str, is_packed: bool) -> None:
    """ILSVRC2017_CLS-LOC has no LOC_ files: the devkit beside it, packed or not, gives classes and labels."""
    expected = ilsvrc2017(tmp_path / "set")
    made.write_devkit(tmp_path / place, labels_by(ilsvrc_ids(), expected))
    if is_packed:
        packed(tmp_path / place / DEVKIT, f"{DEVKIT}.tar.gz", DEVKIT)
    train, _ = check_both(tmp_path / "set", expected)
    assert f"7 of the 1,000 in {tmp_path / place / DEVKIT}" in dict(train.found)["classes"]


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("place", ["set/ILSVRC/devkit", "ILSVRC2017_devkit/ILSVRC/devkit"])
def test_later_devkit_numbers_classes_by_itself(tmp_path: Path, place: str, is_packed: bool) -> None:
    """A later devkit's labels are read as numbers of its map_clsloc.txt; the shards' labels are ILSVRC2012_IDs."""
    expected = ilsvrc2017(tmp_path / "set")
    later_devkit(tmp_path / place / "data", expected)
    if is_packed:
        packed(tmp_path / place, "x.tar.gz", "ILSVRC/devkit").rename(tmp_path / "set" / "ILSVRC2017_devkit.tar.gz")
    _, val = check_both(tmp_path / "set", expected)
    assert {f"thing_{wnid}" for wnid in WNIDS} == {row.name for row in val.classes}


def test_later_devkit_beside_the_devkit_of_2012(tmp_path: Path) -> None:
    """Each ground truth is read with its own numbers, also where the class list is the other devkit's."""
    expected = ilsvrc2017(tmp_path)
    later_devkit(tmp_path / "ILSVRC" / "devkit" / "data", expected)
    data = made.write_devkit(tmp_path, labels_by(ilsvrc_ids(), expected))
    check_both(tmp_path, expected)
    (data / GROUND_TRUTH).unlink()
    train, _ = check_both(tmp_path, expected)
    assert dict(train.found)["classes"].endswith("meta.mat")
    (data / "meta.mat").unlink()
    (data / GROUND_TRUTH).write_text("".join(f"{label}\n" for label in labels_by(ilsvrc_ids(), expected)))
    check_both(tmp_path, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "map_clsloc.txt cannot be read: No such file or directory"),
        (lambda path: path.write_text("n01440764 tench\n"), "map_clsloc.txt is not a list of '<wnid> <number> <name>'"),
        (lambda path: path.write_text("n01440764 1 tench\nn01443537 1 goldfish\n"), "with each number once"),
        (
            lambda path: path.write_text("n01440764 1 tench\n"),
            "label 2 is '777', which is no number in .*map_clsloc.txt",
        ),
    ],
)
def test_later_devkit_without_its_numbers(tmp_path: Path, change: Callable[[Path], None], message: str) -> None:
    """Labels without a certain meaning are refused, and are never read as ILSVRC2012_IDs."""
    expected = ilsvrc2017(tmp_path)
    made.write_devkit(tmp_path)
    data = tmp_path / "ILSVRC" / "devkit" / "data"
    later_devkit(data, expected)
    truth = data / "ILSVRC2015_clsloc_validation_ground_truth.txt"
    truth.write_text("1\n777\n" + "1\n" * 49_998)
    change(data / "map_clsloc.txt")

    assert re.search(message, refusal(tmp_path, "val"))


@pytest.mark.parametrize("form", ["folder", "archive", "file"])
def test_meta_leaves_the_labels_to_be_found(tmp_path: Path, form: str) -> None:
    """With any --meta, a flat val folder is labelled by the ground truth beside that file or beside the images."""
    expected = ilsvrc2017(tmp_path / "set")
    data = made.write_devkit(tmp_path / "elsewhere", labels_by(ilsvrc_ids(), expected))
    meta = {"folder": data.parent, "archive": tmp_path / "elsewhere" / f"{DEVKIT}.tar.gz", "file": data / "meta.mat"}[
        form
    ]
    if form == "archive":
        packed(data.parent, meta.name, DEVKIT)
        (tmp_path / "set" / DEVKIT / "data").mkdir(parents=True)
        (tmp_path / "set" / DEVKIT / "data" / GROUND_TRUTH).write_text(
            "".join(f"{label}\n" for label in labels_by(ilsvrc_ids(), expected))
        )
    listing = listing_of(tmp_path / "set", "val", meta=meta)
    assert [expected.wnids[key.decode()] for key in listing.keys] == [
        listing.classes[index].id for index in listing.class_index.tolist()
    ]


def test_other_files_that_meta_takes(tmp_path: Path) -> None:
    """--meta can name Kaggle's zip and a later devkit's archive, and the class list in them is read."""
    expected = made.kaggle(tmp_path / "set")
    archive = made.kaggle_zip(tmp_path / "zip", tmp_path / "set")
    later_devkit(tmp_path / "devkit" / "data", expected)
    devkit = packed(tmp_path / "devkit", "ILSVRC2017_devkit.tar.gz", "ILSVRC/devkit")
    assert set(NAMES.values()) == {row.name for row in listing_of(tmp_path / "set", meta=archive).classes}
    assert {f"thing_{wnid}" for wnid in WNIDS} == {
        row.name for row in listing_of(tmp_path / "set", meta=devkit).classes
    }


def test_folder_for_meta_without_a_class_list(tmp_path: Path) -> None:
    """--meta can name a folder. If it holds no class list, the message lists the places that were looked at."""
    made.classic_train(tmp_path)
    (tmp_path / "empty").mkdir()
    text = refusal(tmp_path, meta=tmp_path / "empty")
    assert f"no class list in {tmp_path / 'empty'}, named with meta, found. Looked for:\n" in text
    assert f"  {tmp_path}/empty/meta.mat\n" in text
    assert "meta takes the devkit's meta.mat" in text


@pytest.mark.parametrize("place", [".", "set", "set/ILSVRC2012_devkit_t12"])
@pytest.mark.parametrize("is_in_archives", [False, True])
def test_kaggles_lists_beside_a_classic_tree(tmp_path: Path, place: str, is_in_archives: bool) -> None:
    """A classic tree, and the official archives, can use Kaggle's two files instead of a devkit."""
    raw = tmp_path / "raw"
    expected = made.classic_train(raw)
    val = made.flat_val(tmp_path / "val set")
    shutil.move(tmp_path / "val set" / "val", raw / "val")
    expected.wnids.update(val.wnids)
    root = tmp_path / "set"
    if is_in_archives:
        made.official_archives(root, raw)
        (root / f"{DEVKIT}.tar.gz").unlink()
    else:
        shutil.rmtree(raw / DEVKIT)
        raw.rename(root)
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "LOC_synset_mapping.txt").write_text("".join(f"{wnid} {NAMES[wnid]}\n" for wnid in WNIDS))
    rows = "".join(f"{key},{wnid} 1 2 3 4 \n" for key, wnid in val.wnids.items())
    with zipfile.ZipFile(tmp_path / place / "LOC_val_solution.csv.zip", "w") as archive:  # as Kaggle gives this one
        archive.writestr("LOC_val_solution.csv", f"ImageId,PredictionString\n{rows}")
    check_both(root, expected)


def test_devkit_beside_a_zip_without_lists(tmp_path: Path) -> None:
    """A zip of Kaggle's tree that lacks the LOC_ files is read with a devkit beside it."""
    expected = ilsvrc2017(tmp_path / "raw")
    root = made.kaggle_zip(tmp_path / "zip", tmp_path / "raw").parent
    assert dict(listing_of(root).found)["classes"].endswith(" in the table in this package")
    assert f"no labels for the flat val folder found. Looked for:\n  {root}/imagenet-object-local" in refusal(
        root, "val"
    )
    made.write_devkit(root, labels_by(ilsvrc_ids(), expected))
    for split in ("train", "val"):
        listing = listing_of(root, split)
        assert [expected.wnids[key.decode()] for key in listing.keys] == [
            listing.classes[index].id for index in listing.class_index.tolist()
        ]


def test_lists_in_the_zip_beside_the_archives(tmp_path: Path) -> None:
    """The lists in Kaggle's zip are used for other images beside it."""
    expected = made.kaggle(tmp_path / "set")
    archive = made.kaggle_zip(tmp_path / "zip", tmp_path / "set")
    for name in ("LOC_synset_mapping.txt", "LOC_val_solution.csv"):
        (tmp_path / "set" / name).unlink()
    archive.rename(tmp_path / archive.name)
    check_both(tmp_path / "set", expected)


def test_archive_without_the_list_does_not_hide_another(tmp_path: Path) -> None:
    """A devkit's archive that lacks a file is passed over, and is named if no other place has the file."""
    expected = made.flat_val(tmp_path)
    truth = tmp_path / DEVKIT / "data" / GROUND_TRUTH
    truth = truth.rename(tmp_path / GROUND_TRUTH)
    archive = packed(tmp_path / DEVKIT, f"{DEVKIT}.tar.gz", DEVKIT)
    check(listing_of(tmp_path, "val"), expected, set(expected.wnids), set())
    truth.unlink()
    assert f"\n{archive} holds no data/{GROUND_TRUTH}.\nPut " in refusal(tmp_path, "val")


def test_usual_list_of_a_layout_comes_first(tmp_path: Path) -> None:
    """If several lists exist, a classic tree uses the devkit, and Kaggle's layouts use Kaggle's files."""
    made.classic_train(tmp_path / "classic")
    made.kaggle(tmp_path / "kaggle")
    for name in ("LOC_synset_mapping.txt", "LOC_val_solution.csv"):
        shutil.copy(tmp_path / "kaggle" / name, tmp_path / "classic" / name)
    shutil.copytree(tmp_path / "classic" / DEVKIT, tmp_path / "kaggle" / DEVKIT)
    classic = find_layout(tmp_path / "classic", "train", None, None)
    kaggle = find_layout(tmp_path / "kaggle", "val", None, None)
    assert tmp_path / "classic" / DEVKIT / "data" / "meta.mat" == classic.class_list
    assert tmp_path / "kaggle" / "LOC_synset_mapping.txt" == kaggle.class_list
    assert tmp_path / "classic" / DEVKIT / "data" / GROUND_TRUTH == classic.val_labels[0]
    assert tmp_path / "kaggle" / "LOC_val_solution.csv" == kaggle.val_labels[0]


def test_devkit_unpacked_one_folder_too_deep(tmp_path: Path) -> None:
    """A devkit in one more folder of the archive's name, which some programs create, is found."""
    made.classic_train(tmp_path)
    (tmp_path / DEVKIT).rename(tmp_path / "x")
    (tmp_path / DEVKIT).mkdir()
    (tmp_path / "x").rename(tmp_path / DEVKIT / DEVKIT)
    assert tmp_path / DEVKIT / DEVKIT / "data" / "meta.mat" == find_layout(tmp_path, "train", None, None).class_list


def test_torchvisions_class_list(tmp_path: Path) -> None:
    """A folder that torchvision has prepared, with class folders and meta.bin, is read."""
    expected = made.classic_train(tmp_path)
    shutil.rmtree(tmp_path / DEVKIT)
    (tmp_path / "meta.bin").write_bytes(torch_zip(({wnid: (NAMES[wnid],) for wnid in WNIDS}, [])))
    listing = listing_of(tmp_path)
    check(listing, expected, set(expected.wnids), {path.stem for path in tmp_path.glob("train/*/*.xml")})
    assert NAMES[WNIDS[0]] == listing.classes[0].name


def test_places_without_any_list(tmp_path: Path) -> None:
    """The message lists the places in one folder, then the other folders, then one remedy."""
    made.flat_val(tmp_path / "set")
    shutil.rmtree(tmp_path / "set" / DEVKIT)
    lines = refusal(tmp_path / "set", "val").splitlines()
    assert "no labels for the flat val folder found. Looked for:" == lines[0]
    assert f"  {tmp_path}/set/LOC_val_solution.csv" in lines
    assert f"  and the same in {tmp_path}, {tmp_path.parent}, {tmp_path}/set/{DEVKIT}, {tmp_path}/set/val" == lines[-2]
    assert lines[-1].startswith(f"Put {DEVKIT}.tar.gz, which holds them, or Kaggle's LOC_val_solution.csv into ")


def test_labels_without_a_class_list(tmp_path: Path) -> None:
    """The ground truth alone labels a flat val folder: the table in this package has the ILSVRC2012_IDs."""
    expected = made.flat_val(tmp_path)
    (tmp_path / DEVKIT / "data" / "meta.mat").unlink()
    check(listing_of(tmp_path, "val"), expected, set(expected.wnids), set())


@pytest.mark.parametrize("name", ["LOC_synset_mapping.txt", "LOC_val_solution.csv"])
def test_utf16(tmp_path: Path, name: str) -> None:
    """Text in UTF-16, which some Windows tools save, is refused with the command that converts it."""
    made.kaggle(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_text().encode("utf-16"))
    text = refusal(tmp_path, "val")
    assert f"{path} is text in UTF-16" in text
    assert f"iconv -f UTF-16 -t UTF-8 {path} > copy" in text


def test_kaggles_files_after_windows(tmp_path: Path) -> None:
    """A byte order mark, CRLF and blank lines in Kaggle's files change nothing."""
    expected = made.kaggle(tmp_path)
    before = listing_of(tmp_path, "val")
    for name in ("LOC_synset_mapping.txt", "LOC_val_solution.csv"):
        lines = (tmp_path / name).read_text().splitlines()
        (tmp_path / name).write_bytes("\r\n".join([*lines, "", "", ""]).encode("utf-8-sig"))
    after = listing_of(tmp_path, "val")
    assert before.classes == after.classes
    check(
        after, expected, {key for key in expected.wnids if "_val_" in key}, {k for k in expected.wnids if "_val_" in k}
    )


def test_ground_truth_after_windows(tmp_path: Path) -> None:
    """A byte order mark, CRLF and blank lines shift no label, and hide no label that is missing."""
    expected = made.flat_val(tmp_path)
    path = tmp_path / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    lines = path.read_text().splitlines()
    path.write_bytes("\r\n".join([*lines[:9], "", *lines[9:], "", ""]).encode("utf-8-sig"))
    check(listing_of(tmp_path, "val"), expected, set(expected.wnids), set())
    path.write_bytes("\r\n".join([*lines[:9], "", *lines[10:], ""]).encode())
    assert "has 49,999 labels; the validation set has 50,000" in refusal(tmp_path, "val")


@pytest.mark.parametrize("images", ["/train", "/CLS-LOC/train", "/Data/CLS-LOC/train", "/ILSVRC/Data/CLS-LOC/train"])
def test_set_at_the_root_of_a_file_system(images: str) -> None:
    """A set that is mounted at / is read, though fewer folders lie above it than are usually looked into."""
    for module in (kaggle_tree, tree, official):
        assert PACKAGE_TABLE == module.find(Path(images), "train", None, None).class_list
