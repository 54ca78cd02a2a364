"""What this user may not read is named, with the system's words and the right to give; nobody is told to download."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import made
from tests.conftest import without_privileges

RIGHT = "Give this user the right to read it, and to search the folders above it (chmod u+rX for the owner)."


def complaint(root: Path, *words: str) -> str:
    """What a conversion that is bound by permissions says."""
    command = [*without_privileges(), sys.executable, "-m", "parallel_sharder", "--root", str(root), *words]
    run = subprocess.run(
        [*command, "--workers", "0", "--dest", f"{root.parent}/out"], capture_output=True, text=True, check=False
    )
    assert 1 == run.returncode
    assert not (root.parent / "out").exists()
    return run.stderr


@pytest.mark.parametrize(
    "name", ["ILSVRC2012_img_train.tar", "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_bbox_train_v2.tar.gz"]
)
def test_archives(tmp_path: Path, name: str) -> None:
    """An archive that may not be read needs a right, and no second download."""
    made.classic_train(tmp_path / "raw")
    archives = made.official_archives(tmp_path / "archives", tmp_path / "raw")
    (archives / name).chmod(0)
    assert f"{archives / name} cannot be read: Permission denied. {RIGHT}\n" in complaint(archives)


@pytest.mark.parametrize("name", ["ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12/data/meta.mat"])
def test_devkit(tmp_path: Path, name: str) -> None:
    """So it is with a devkit, and a file in it."""
    root = tmp_path / "raw"
    made.classic_train(root)
    (root / name).chmod(0)
    told = complaint(root)
    (root / name).chmod(0o700)
    assert f"data/meta.mat cannot be read: Permission denied. {RIGHT}\n" in told


@pytest.mark.parametrize(("split", "name"), [("train", "LOC_synset_mapping.txt"), ("val", "LOC_val_solution.csv")])
def test_kaggles_lists(tmp_path: Path, split: str, name: str) -> None:
    """So it is with Kaggle's lists."""
    root = tmp_path / "raw"
    made.kaggle(root)
    (root / name).chmod(0)
    assert f"{root / name} cannot be read: Permission denied. {RIGHT}\n" in complaint(root, "--split", split)


@pytest.mark.parametrize("name", [".", "ILSVRC", "ILSVRC/Data"])
@pytest.mark.parametrize("mode", [0, 0o400])
def test_folders_around_the_images(tmp_path: Path, name: str, mode: int) -> None:
    """A folder that may not be searched is told, and not that there are no images."""
    root = tmp_path / "raw"
    made.kaggle(root)
    (root / name).chmod(mode)
    told = complaint(root)
    (root / name).chmod(0o700)
    assert "cannot be looked into: Permission denied. Give this user the right to read and search it" in told
    assert "no train images" not in told


def test_zip_meta_and_annotations(tmp_path: Path) -> None:
    """So it is with Kaggle's zip, with what is named with --meta and --xml-root."""
    made.kaggle(tmp_path / "raw")
    zipped = made.kaggle_zip(tmp_path / "zip", tmp_path / "raw")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    for place, words in (
        (zipped, ["--layout", "zip"]),
        (closed / "meta.mat", ["--meta", str(closed / "meta.mat")]),
        (closed / "xml", ["--xml-root", str(closed / "xml")]),
    ):
        zipped.chmod(0)
        told = complaint(zipped.parent if place == zipped else tmp_path / "raw", *words)
        right = "Give this user the right to it and to the folders above it, and type the same command again."
        assert f"parallel-sharder: {place}: Permission denied. {right}\n" == told
