"""Kaggle's zip gives the shards that the unpacked folder gives, or says why not."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from parallel_sharder import Options, preview
from parallel_sharder.errors import SourceError
from parallel_sharder.options import SPLITS
from tests import made
from tests.test_sources_tar_contents import WNID, refusal, shards_of


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    made.kaggle(tmp_path / "raw")
    return made.kaggle_zip(tmp_path / "zip", tmp_path / "raw")


@pytest.mark.parametrize("folder", ["imagenet-object-localization-challenge/", "a/b c/", "./"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_zip_of_the_unpacked_folder(zipped: Path, tmp_path: Path, folder: str, split: str) -> None:
    """A zip that was packed again, with one folder more and macOS's junk, makes the same shards."""
    expected = shards_of(zipped.parent, tmp_path / "one", split=split)
    again = tmp_path / "again" / zipped.name
    again.parent.mkdir()
    with zipfile.ZipFile(zipped) as before, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as after:
        after.writestr(f"__MACOSX/{folder}ILSVRC/Data/CLS-LOC/train/._{WNID}", b"")
        for name in before.namelist():
            after.writestr(folder + name, before.read(name))
    assert expected == shards_of(again.parent, tmp_path / "other", split=split)


def test_zip_that_is_another(zipped: Path) -> None:
    """Another zip is refused, and the message says what it holds and has a remedy."""
    with zipfile.ZipFile(zipped, "w") as archive:
        for name in ("a.txt", "b/1.txt", "b/2.txt", "c.txt", "d.txt", "e/f/g.txt", "h.txt"):
            archive.writestr(name, b"")
    for split in SPLITS:
        assert (
            f"{zipped} holds no ILSVRC/, as Kaggle's zip does; it holds a.txt, b/, c.txt, d.txt, e/ and 1 more. It is "
            "another zip, or was cut short. Download it again, or unzip it and name the folder of the data set with "
            "root."
        ) == refusal(zipped.parent, split)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("LOC_synset_mapping.txt", (zipped.parents[1] / "raw" / "LOC_synset_mapping.txt").read_text())
        archive.writestr("ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG", made.JPEG)
    assert (
        f"{zipped} holds nothing in ILSVRC/Data/CLS-LOC/test/, where Kaggle's tree has its images; it holds "
        "LOC_synset_mapping.txt, ILSVRC/. Download it again, or unpack it and name the folder of the data set with "
        "root."
    ) == refusal(zipped.parent, "test")
    assert f"labels for the flat val folder found. Looked for:\n  {zipped}:LOC_val_solution.csv" in refusal(
        zipped.parent, "val"
    )


def test_tar_with_two_trees(tmp_path: Path) -> None:
    """Names with ./ are of the same tree; a second tree in the archive is refused, and none of its images are lost."""
    made.kaggle(tmp_path / "raw", images=20)
    root = made.kaggle_tar(tmp_path / "root", tmp_path / "raw", "ILSVRC2017_CLS-LOC.tar")
    with tarfile.open(root / "ILSVRC2017_CLS-LOC.tar", "a") as tar:
        made.add_bytes(tar, f"./ILSVRC/Data/CLS-LOC/train/{made.WNIDS[0]}/{made.WNIDS[0]}_99.JPEG", b"1")
    assert preview(Options(root=root, workers=0)).samples == 21
    with tarfile.open(root / "ILSVRC2017_CLS-LOC.tar", "a") as tar:
        made.add_bytes(tar, f"backup/ILSVRC/Data/CLS-LOC/train/{made.WNIDS[0]}/{made.WNIDS[0]}_98.JPEG", b"1")
    with pytest.raises(SourceError, match="holds Kaggle's tree twice: ILSVRC/, and backup/ILSVRC/"):
        preview(Options(root=root, workers=0))


def test_tar_of_a_folder(tmp_path: Path) -> None:
    """As `tar -C FOLDER -c .` makes it, with the folder itself; an absolute name is refused."""
    made.kaggle(tmp_path / "raw", images=20)
    path = tmp_path / "root" / "ILSVRC.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        tar.add(tmp_path / "raw", ".")
    assert preview(Options(root=path.parent, workers=0)).samples == 20
    with tarfile.open(path, "a") as tar:
        made.add_bytes(tar, "/ILSVRC/Data/CLS-LOC/train/x", b"1")
    with pytest.raises(SourceError, match="would lie outside of the archive's folder|holds Kaggle's tree twice"):
        preview(Options(root=path.parent, workers=0))
