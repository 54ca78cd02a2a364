"""Destinations: which places can take the shards, and what each refusal says."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, convert, coordinator
from parallel_sharder.destination import make_folder, refuse_full, refuse_taken, refuse_unfit, refuse_unwritable
from parallel_sharder.errors import DestinationError
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.pattern import ShardPattern
from tests import made
from tests.conftest import without_privileges

pytestmark = pytest.mark.usefixtures("typed")


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """Shards of the pattern, of any number, and its manifest are in the way; other files are not."""
    pattern = ShardPattern.parse(str(tmp_path / "x-%06d.tar"))
    refuse_taken(pattern)
    for other in ("y-000000.tar", "x-000000.tgz", "x-00000a.tar", ".x-000000.tar.1234.partial", "x-000000.tar.idx"):
        (tmp_path / other).touch()
    refuse_taken(pattern)
    (tmp_path / "x-000123.tar").touch()
    with pytest.raises(DestinationError, match=r"x-000123.tar is already there.*choose another --dest"):
        refuse_taken(pattern)
    (tmp_path / "x.json").touch()
    with pytest.raises(DestinationError, match=r"x-000123.tar and 1 more, up to .*x.json, are already there"):
        refuse_taken(pattern)


def test_room_and_digits() -> None:
    """Too few digits would spoil the order of names, too little room the end of the run: both are said before."""
    pattern = ShardPattern.parse("x-%02d.tar")
    refuse_unfit(pattern, 100)
    with pytest.raises(DestinationError, match=r"101 shards need numbers of 3 digits, and x-00.tar has 2. Write %03d"):
        refuse_unfit(pattern, 101)
    refuse_full(pattern, 10, 10)
    with pytest.raises(DestinationError, match=r"has 1,000 bytes free.*need up to 1,500. Make 500 bytes of room"):
        refuse_full(pattern, 1500, 1000)


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    """A destination inside a file is refused, by name and with the remedy."""
    (tmp_path / "file").touch()
    pattern = ShardPattern.parse(str(tmp_path / "file" / "x-%06d.tar"))
    for refused in (refuse_taken, make_folder):
        with pytest.raises(
            DestinationError, match=r"file cannot hold the shards: (Not a directory|File exists).*choose another"
        ):
            refused(pattern)


REMEDY = "Mend that, or choose another folder with --dest."


def refusal(root: Path, dest: str | Path, **choices: Any) -> str:
    """The message of a conversion that is refused for its destination before anything is scanned or written."""
    before = sorted(root.rglob("*"))
    monitor = Recording()
    with pytest.raises(DestinationError) as caught:
        convert(Options(root=root, dest=str(dest), workers=0, **choices), monitor)
    assert [] == monitor.scans
    assert before == sorted(root.rglob("*"))
    return str(caught.value)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    made.classic_train(tmp_path / "raw", images=10)
    return tmp_path / "raw"


def _file(folder: Path) -> str:
    (folder / "x").touch()
    return f"{folder}/x/y cannot hold the shards: Not a directory. {REMEDY}"


def _file_higher_up(folder: Path) -> str:
    (folder / "x").touch()
    return f"{folder}/x/y/z cannot hold the shards: Not a directory. {REMEDY}"


def _broken_link(folder: Path) -> str:
    (folder / "x").symlink_to("/nowhere/at/all")
    return f"{folder}/x cannot hold the shards: a broken link to /nowhere/at/all. {REMEDY}"


def _broken_link_higher_up(folder: Path) -> str:
    (folder / "x").symlink_to("nowhere")
    return f"{folder}/x/y/z cannot hold the shards: a broken link to nowhere ({folder}/x). {REMEDY}"


def _link_to_itself(folder: Path) -> str:
    (folder / "x").symlink_to("x")
    return f"{folder}/x/y cannot hold the shards: Too many levels of symbolic links. {REMEDY}"


def _journal_that_is_a_folder(folder: Path) -> str:
    (folder / "x" / ".imagenet_train.journal").mkdir(parents=True)
    return f"{folder}/x cannot hold the shards: Is a directory ({folder}/x/.imagenet_train.journal). {REMEDY}"


@pytest.mark.parametrize(
    "make",
    [_file, _file_higher_up, _broken_link, _broken_link_higher_up, _link_to_itself, _journal_that_is_a_folder],
)
def test_destinations_that_are_no_folders(raw: Path, make: Callable[[Path], str]) -> None:
    """Each is refused before the scan, with the path, the cause and the remedy."""
    message = make(raw.parent)
    assert message == refusal(raw, message.partition(" cannot")[0])


@pytest.mark.parametrize(
    ("mode", "dest", "message"),
    [
        (0o500, "x", "{x} cannot hold the shards: Permission denied."),
        (0o500, "x/y/z", "{x}/y/z cannot hold the shards: Permission denied ({x})."),
        (0o600, "x", "{x} cannot hold the shards: Permission denied."),
        (0o600, "x/y/z", "{x}/y/z cannot hold the shards: Permission denied."),
        (0o300, "x", "{x} cannot hold the shards: Permission denied."),
    ],
)
def test_destination_without_permission(raw: Path, mode: int, dest: str, message: str) -> None:
    """A folder that may not be written to, searched, or listed is refused with the cause and the remedy."""
    folder = raw.parent / "x"
    folder.mkdir(mode=mode)
    folder.chmod(mode)
    words = ["--root", str(raw), "--dest", str(raw.parent / dest), "--quiet"]
    command = [*without_privileges(), sys.executable, "-m", "parallel_sharder", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (1, f"parallel-sharder: {message.format(x=folder)} {REMEDY}\n") == (done.returncode, done.stderr)
    folder.chmod(0o700)
    assert [] == os.listdir(folder)


def test_first_line_of_the_readme_in_a_read_only_data_set(raw: Path) -> None:
    """Who may not write to the data set's folder is told the folder, the cause and --dest, not a file's name."""
    raw.chmod(0o500)
    command = [*without_privileges(), sys.executable, "-m", "parallel_sharder", "--workers", "2"]
    done = subprocess.run(command, cwd=raw, capture_output=True, text=True, check=False)
    message = f"parallel-sharder: {raw} cannot hold the shards: Permission denied. {REMEDY}\n"
    assert (1, message) == (done.returncode, done.stderr)
    preview = subprocess.run([*command, "--dry-run"], cwd=raw, capture_output=True, text=True, check=False)
    raw.chmod(0o700)
    assert f"in the way   {raw} cannot hold the shards: Permission denied. {REMEDY}\n" in preview.stdout


def test_journal_that_may_not_be_written(raw: Path) -> None:
    """What another user has begun is refused before the scan, and the journal is named."""
    out = raw.parent / "out"
    convert(Options(root=raw, dest=str(out), workers=0))
    (out / ".imagenet_train.journal").chmod(0o400)
    words = ["--root", str(raw), "--dest", str(out), "--quiet"]
    command = [*without_privileges(), sys.executable, "-m", "parallel_sharder", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    cause = f"Permission denied ({out}/.imagenet_train.journal)"
    assert f"parallel-sharder: {out} cannot hold the shards: {cause}. {REMEDY}\n" == done.stderr


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.ENOSPC, errno.EROFS])
def test_no_further_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A quota of files that is used up, a disk without room for one more, and a read-only one are told before."""
    opened = os.open

    def refuse(path: str, flags: int, *more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number), path)
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DestinationError, match=f"^{tmp_path} cannot hold the shards: {os.strerror(number)}. Mend"):
        refuse_unwritable(ShardPattern.parse(str(tmp_path)))


@pytest.mark.parametrize("number", [errno.EISDIR, errno.EOPNOTSUPP])
@pytest.mark.parametrize(
    ("flag", "cause"), [(os.ST_RDONLY, "Read-only file system"), (0, "Permission denied"), (None, None)]
)
def test_file_systems_without_nameless_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, flag: int | None, cause: str | None
) -> None:
    """There the system is asked whether the folder may be written to, and nothing is made either."""

    class Status:
        f_flag = flag

    def refuse(path: str, *_: int, dir_fd: int | None = None) -> int:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "statvfs", lambda _: Status)
    monkeypatch.setattr(os, "access", lambda *_: cause is None)
    pattern = ShardPattern.parse(str(tmp_path / "new"))
    if cause is None:
        with pytest.raises(DestinationError, match="Is a directory|Operation not supported"):
            refuse_unwritable(pattern)  # at the journal, since every file is refused here
    else:
        with pytest.raises(DestinationError, match=rf"new cannot hold the shards: {cause} \({tmp_path}\). Mend that"):
            refuse_unwritable(pattern)
    assert [] == os.listdir(tmp_path)


# The source.


def in_source(dest: Path, place: str, source: Path) -> str:
    return (
        f"{dest} is {place}where files of the data set belong, and nothing is written there. Choose a folder outside "
        f"the data set with --dest, such as {source}-shards."
    )


@pytest.mark.parametrize("folder", ["train", "val", "test", "ILSVRC2012_devkit_t12"])
def test_destination_within_a_classic_tree(raw: Path, folder: str) -> None:
    """Folders of every split and the devkit are refused, whether they are there or not, and all that is within them."""
    assert in_source(raw / folder, "", raw / folder) == refusal(raw, raw / folder)
    within = raw / folder / "a" / "b"
    assert in_source(within, f"in {raw / folder}, ", raw / folder) == refusal(raw, within / "x-%06d.tar")
    assert in_source(raw / folder, "", raw / folder) == refusal(raw, raw / folder, annotations="none")


def test_destination_within_class_folders(tmp_path: Path) -> None:
    """The example of another folder lies beside the root, not in it: it can be taken."""
    for name in ("set/train/a/1.jpg", "set/val/a/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(made.JPEG)
    root = tmp_path / "set"
    told = refusal(root, root / "train" / "out")
    assert in_source(root / "train" / "out", f"in {root}/train, ", root) == told
    assert 1 == convert(Options(root=root, dest=f"{root}-shards", workers=0)).samples


def test_destination_within_a_class_folder(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default destination is the current folder, which can be one of the source's."""
    monkeypatch.chdir(raw / "train" / made.WNIDS[0])
    with pytest.raises(DestinationError, match=f"^{raw}/train/{made.WNIDS[0]} is in {raw}/train, where files of the"):
        convert(Options(root=Path("../.."), workers=0))


def test_destination_behind_links(raw: Path) -> None:
    """Real folders count: a link into the source is refused, and a linked folder's own place."""
    (raw.parent / "link").symlink_to(raw / "train")
    assert in_source(raw.parent / "link", f"{raw}/train, ", raw / "train") == refusal(raw, raw.parent / "link")
    assert in_source(raw.parent / "link" / "x", f"in {raw}/train, ", raw / "train") == refusal(
        raw, raw.parent / "link" / "x"
    )
    (raw / "train").rename(raw.parent / "moved")
    (raw / "train").symlink_to(raw.parent / "moved")
    assert in_source(raw.parent / "moved" / "x", f"in {raw}/train, ", raw.parent / "moved") == refusal(
        raw, raw.parent / "moved" / "x"
    )


def test_destination_in_a_linked_class_folder(raw: Path) -> None:
    """A class folder that lies elsewhere belongs to the source too, and is known when the scan has found it."""
    wnid = raw / "train" / made.WNIDS[0]
    wnid.rename(raw.parent / "moved")
    wnid.symlink_to(raw.parent / "moved")
    before = sorted(raw.parent.rglob("*"))
    for do in (convert, coordinator.preview):
        with pytest.raises(DestinationError) as caught:
            do(Options(root=raw, dest=str(raw.parent / "moved" / "new"), workers=0))
        assert in_source(raw.parent / "moved" / "new", f"in {wnid}, ", raw.parent / "moved") == str(caught.value)
    assert before == sorted(raw.parent.rglob("*"))


def test_destination_within_kaggles_tree_or_annotations(tmp_path: Path) -> None:
    """Splits and annotations of Kaggle's tree, and a named tree of annotations, are refused."""
    made.kaggle(tmp_path / "raw")
    for folder in ("Data/CLS-LOC/train", "Data/CLS-LOC/test", "Annotations/CLS-LOC/train", "Annotations/CLS-LOC/val"):
        place = tmp_path / "raw" / "ILSVRC" / folder
        assert in_source(place, "", place) == refusal(tmp_path / "raw", place)
    shutil.copytree(tmp_path / "raw/ILSVRC/Annotations/CLS-LOC/train", tmp_path / "boxes")
    place = tmp_path / "boxes" / "new"
    assert in_source(place, f"in {place.parent}, ", place.parent) == refusal(
        tmp_path / "raw", place, xml_root=tmp_path / "boxes"
    )


def test_destinations_beside_the_source(raw: Path) -> None:
    """The root, a folder beside train/, one above the root, and the folder of the archives are fine."""
    archives = made.official_archives(raw.parent / "archives", raw)
    for number, (root, dest) in enumerate(
        [(raw, raw), (raw, raw / "shards"), (raw, raw.parent), (raw, raw / "trains"), (archives, archives)]
    ):
        assert 10 == convert(Options(root=root, dest=f"{dest}/x{number}-%06d.tar", workers=0)).samples
    assert in_source(archives / "train", "", archives / "train") == refusal(archives, archives / "train")
