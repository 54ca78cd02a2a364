"""No files: pipes, sockets, devices, folders under the names of files have no command wait, or end in a traceback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder.cli.main import main
from parallel_sharder.errors import SampleError
from parallel_sharder.kinds import Kind
from parallel_sharder.stores.blob import LooseFile, Stretch, ZipEntry
from tests import made

HANG_SECONDS = 10
KINDS = ("pipe", "socket", "device", "folder")

FINISHED = {
    "verify": "verify {}/out",
    "verify --source": "verify {}/out --source {}/archives",
    "index": "index {}/out --for all",
    "convert": "--root {}/archives --dest {}/out --shards 2 --index all --card",
    "convert --check": "--root {}/archives --dest {}/out --shards 2 --index all --card --check",
    "--dry-run": "--root {}/archives --dest {}/out --shards 2 --index all --card --dry-run",
}
"""Commands for the finished set, by what they are called here."""

BESIDE = {
    "imagenet_train-000000.tar": ("verify", "index"),
    "imagenet_train.json": ("verify", "index", "convert"),
    "other.json": (),
    "imagenet_train.problems.jsonl": ("verify", "verify --source"),
    "imagenet_train.classes.tsv": (),
    "imagenet_train-000000.idx": (),
    "imagenet_train-000000.tar.idx": (),
    "sizes.json": (),
    "_info.json": (),
    "README.md": ("convert",),
    ".imagenet_train.journal": ("convert",),
    ".imagenet_train.index": (),
    ".nv-meta/split.yaml": ("index", "convert"),
    ".nv-meta/.info.json": (),
    ".nv-meta/index.sqlite": (),
}
"""Names beside a finished set, and the commands that say what is there instead of a file."""

SOURCES = {
    "raw": ("train", ["train/n01440764/{image}.JPEG", "train/n01440764/{image}.xml", "devkit/meta.mat"]),
    "archives": (
        "train",
        ["ILSVRC2012_img_train.tar", "ILSVRC2012_bbox_train_v2.tar.gz", "ILSVRC2012_devkit_t12.tar.gz"],
    ),
    "flat": ("val", ["val/ILSVRC2012_val_00000001.JPEG", "devkit/meta.mat", "devkit/truth"]),
    "kaggle": ("val", ["LOC_synset_mapping.txt", "LOC_val_solution.csv"]),
    "zip": ("train", ["imagenet-object-localization-challenge.zip"]),
}
"""Each source's split, and names in it; see `place`."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source of each layout, and in out/ a finished set of one with all that can lie beside it."""
    folder = tmp_path_factory.mktemp("folders")
    made.classic_train(folder / "raw", classes=2, images=6, annotated=1)
    made.official_archives(folder / "archives", folder / "raw")
    made.flat_val(folder / "flat", images=3)
    made.kaggle(folder / "kaggle", images=3)
    made.kaggle_zip(folder / "zip", folder / "kaggle")
    assert 0 == answer(FINISHED["convert"], folder)[0]
    return folder


def place(root: Path, name: str) -> Path:
    """The path of the file that is called `name` here."""
    data = root / "ILSVRC2012_devkit_t12" / "data"
    named = {"devkit/meta.mat": "meta.mat", "devkit/truth": "ILSVRC2012_validation_ground_truth.txt"}
    if name in named:
        return data / named[name]
    images = sorted(root.glob("train/n01440764/*.JPEG"))
    return root / name.format(image=images[0].stem if images else "")


def put(kind: str, path: Path) -> None:
    """Put something of the kind in the place of a file, or where there is none."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as server:  # whose paths are short
            server.bind(path.name)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


def answer(words: str, folder: Path) -> tuple[int, str]:
    """Status and output of a command, in a process of its own; the test fails if it takes HANG_SECONDS."""
    output = folder / "output"
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with open(descriptor, "w") as sys.stdout, contextlib.redirect_stderr(sys.stdout):
                status = main([*words.format(folder, folder).split(), "--workers", "0"])
        except BaseException as error:  # a traceback, for whoever types the command
            output.write_text(repr(error))
            status = 99
        os._exit(status)
    deadline = time.monotonic() + HANG_SECONDS
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail(f"{words} waits")
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(done[1]), output.read_text()


def check(folders: Path, copy: Path, source: str, name: Path, words: str, *, is_said: bool) -> None:
    """That the command ends well with each kind in the place of the file, and says which that is."""
    for kind in KINDS:
        for used in ("out", source):
            shutil.copytree(folders / used, copy / used)
        put(kind, copy / name.relative_to(folders))
        status, text = answer(words, copy)
        assert status in (0, 1, 3), (kind, text)
        if is_said and kind != "folder":  # the device is behind a link
            assert f"a {kind}" in text or (kind == "device" and "is a link" in text), (kind, text)
        shutil.rmtree(copy)


@pytest.mark.parametrize("command", FINISHED)
@pytest.mark.parametrize("name", BESIDE)
def test_beside_finished_sets(folders: Path, tmp_path: Path, command: str, name: str) -> None:
    """No command waits for what is no file, and the one that would read it says what it is."""
    path = folders / "out" / name
    check(folders, tmp_path / "copy", "archives", path, FINISHED[command], is_said=command in BESIDE[name])


@pytest.mark.parametrize("command", ["--dest {}/new", "--dest {}/new --dry-run", "verify {}/out"])
@pytest.mark.parametrize(("source", "name"), [(source, name) for source in SOURCES for name in SOURCES[source][1]])
def test_in_sources(folders: Path, tmp_path: Path, command: str, source: str, name: str) -> None:
    """The same for images, annotations, archives, class lists and labels of every layout."""
    split = SOURCES[source][0]
    words = f"{command} --root {{}}/{source} --split {split}"
    if command.startswith("verify"):
        words = f"{command} --source {{}}/{source}"
    path = place(folders / source, name)
    check(folders, tmp_path / "copy", source, path, words, is_said=not command.startswith("verify"))


@pytest.mark.parametrize("kind", KINDS)
def test_blobs_that_are_files_no_more(tmp_path: Path, kind: str) -> None:
    """What was a file when it was scanned and is a pipe when it is read is a problem of its sample, also when somebody
    writes to it just what was expected.
    """
    path = str(tmp_path / "x")
    put(kind, Path(path))
    blobs: list[Any] = [LooseFile(path, 5), Stretch(path, 3, 5, "x"), ZipEntry(path, 3, 5, 0, 5, "x")]
    with contextlib.ExitStack() as context:
        if kind == "pipe":
            writer = os.open(path, os.O_RDWR)
            context.callback(os.close, writer)
            os.write(writer, b"right")
        for blob in blobs[: 1 if kind == "device" else 3]:  # /dev/zero can be read anywhere
            blob.announce()
            with pytest.raises(SampleError) as caught:
                blob.read()
            assert caught.value.kind in (Kind.UNREADABLE, Kind.CHANGED)
            if kind in ("pipe", "socket"):
                assert "it is no regular file any more" == caught.value.detail
