"""Unfinished downloads and second copies: named, and not read as what they would become."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from tests import made
from tests.test_missing import refusal, run


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """The official archives of train and val; there are no annotations."""
    made.flat_val(tmp_path / "raw", images=20)
    train = made.Made(tmp_path / "raw")
    for number in range(24):
        train.image(f"train/{made.WNIDS[number % 3]}", f"{made.WNIDS[number % 3]}_{number}", made.WNIDS[number % 3])
    root = made.official_archives(tmp_path / "archives", tmp_path / "raw")
    (root / "ILSVRC2012_bbox_train_v2.tar.gz").unlink()
    return root


@pytest.mark.parametrize("end", [".aria2", ".part", ".st", ".lftp-pget-status", ".1a2b3c4d.partial", ".Zx-9bQ0a.part"])
@pytest.mark.parametrize(
    "name", ["ILSVRC2012_img_train.tar", "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_bbox_train_v2.tar.gz"]
)
def test_unfinished_downloads(archives: Path, name: str, end: str) -> None:
    """An archive that a program is still downloading is refused, whether it has its final name already or not."""
    (archives / f"ILSVRC2012_img_val.tar{end}").touch()  # which is not wanted
    assert 24 == run(archives, dest=archives.parent / "before").samples
    mark = archives / f"{name}{end}"
    mark.touch()
    told = f"{mark} shows that the download of {name} is not finished. Finish it, or remove {mark.name} if {name} is"
    assert told in refusal(archives)
    if (archives / name).exists() and "devkit" not in name:
        (archives / name).unlink()
        assert told in refusal(archives)


@pytest.mark.parametrize(
    "mark",
    ["{}.incomplete", "{}.fdmdownload", "{}.xltd", "{}.crdownload", "ILSVRC2012_img_train.kxY9Bq7o.tar.part"],
)
def test_marks_of_further_programs(archives: Path, mark: str) -> None:
    """The marks of other programs are known too. The mark of an archive whose name begins alike does not count."""
    (archives / "ILSVRC2012_img_train.tar.gz.part").touch()
    (archives / "ILSVRC2012_img_train.tar.bz2.part").touch()
    assert 24 == run(archives, dest=archives.parent / "before").samples
    path = archives / mark.format("ILSVRC2012_img_train.tar")
    path.touch()
    told = f"{path} shows that the download of ILSVRC2012_img_train.tar is not finished. Finish it, or remove"
    assert told in refusal(archives)
    assert refusal(archives).endswith("is whole; check_archives compares it with the official MD5.")


@pytest.mark.parametrize(
    "form",
    ["{} (1){}", "{}(2){}", "{} (14){}", "{}{}.1", "{}{}.3", "{} - Copy{}", "{} - Copy (2){}", "{} copy 2{}",
     "Copy of {}{}", "{}{}.~1~"],
)  # fmt: skip
def test_second_copies(archives: Path, form: str) -> None:
    """A copy alone is used as the archive, whose size is known; a copy beside the archive is refused."""
    expected = run(archives, dest=archives.parent / "before")
    for path in [*archives.iterdir()]:
        stem, dot, ending = path.name.partition(".")
        path.rename(path.with_name(form.format(stem, dot + ending)))
    report = run(archives)
    assert (24, 0) == (report.samples, report.exit_code)
    assert expected.notices[0].partition(" has ")[2] == report.notices[0].partition(" has ")[2]
    copy = archives / form.format("ILSVRC2012_img_train", ".tar")
    (archives / "ILSVRC2012_img_train.tar").write_bytes(copy.read_bytes())
    with pytest.raises(SourceError, match=re.escape(f"ILSVRC2012_img_train.tar and {copy.name} both exist")):
        run(archives, dest=archives.parent / "again")


def test_copies_and_downloads_of_the_zip(tmp_path: Path) -> None:
    """A copy of Kaggle's zip alone is used, and beside the zip it is refused."""
    made.kaggle(tmp_path / "raw")
    zipped = made.kaggle_zip(tmp_path / "zip", tmp_path / "raw")
    copy = zipped.rename(zipped.with_name(zipped.name + ".1"))
    assert 40 == run(zipped.parent).samples
    mark = copy.with_name(copy.name + ".part")
    mark.touch()
    told = rf"{zipped.name}.1 is not finished. Finish it, or remove {mark.name} if {copy.name} is whole.$"
    with pytest.raises(SourceError, match=told):  # no MD5 of it is known
        run(zipped.parent, dest=tmp_path / "again")
    mark.unlink()
    zipped.write_bytes(copy.read_bytes())
    with pytest.raises(SourceError, match="Keep the one that is whole, and move the other one away.$"):
        run(zipped.parent, dest=tmp_path / "again")
