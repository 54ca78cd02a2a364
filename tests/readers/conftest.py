"""What all readers read: a made set whose images decode, its shards, and a process of its own for each reader."""

from __future__ import annotations

import io
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from parallel_sharder import Options, convert
from parallel_sharder.options import Split
from tests import made
from tests.reference import expected_members

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
LAST_WITH_WIDS = Path(sys.prefix) / "webdataset-0.2.111"

# Train has as many shards as the real one, so that the README's lines, which count them, run as they stand.
SAMPLES: dict[Split, int] = {"train": 304, "val": 60}
SHARDS: dict[Split, int] = {"train": 152, "val": 4}

# Nothing here needs the network; what asks for it all the same is told so, or finds nobody at the proxy's place.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "no_proxy": "",
}


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classic tree, train and val in class folders, of small images that decode: most of them RGB, some grey, and, as
    in the real set, a few CMYK and a PNG.
    """
    root = tmp_path_factory.mktemp("raw")
    kept = made.classic_train(root, images=SAMPLES["train"])
    for number in range(1, SAMPLES["val"] + 1):
        wnid = made.WNIDS[number * 7 % 1000]
        kept.image(f"val/{wnid}", made.val_key(number), wnid)
        if number % 2:
            kept.xml(f"val/{wnid}", made.val_key(number))
    for number, path in enumerate(sorted(root.rglob("*.JPEG"))):
        mode = "CMYK" if number % 50 == 1 else "L" if number % 10 == 0 else "RGB"
        path.write_bytes(drawn(kept.draw, mode, "PNG" if number == 2 else "JPEG"))
    return root


def drawn(draw: random.Random, mode: str, form: str) -> bytes:
    """An image of noise, of some size, in a mode and a format of Pillow's."""
    width, height = draw.randint(16, 64), draw.randint(16, 64)
    data = io.BytesIO()
    Image.frombytes(mode, (width, height), draw.randbytes(width * height * len(mode))).save(data, form)
    return data.getvalue()


@pytest.fixture(scope="session")
def shards(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the shards of both splits and every index, made in the same pass; read-only by agreement."""
    folder = tmp_path_factory.mktemp("shards")
    for split, count in SHARDS.items():
        report = convert(Options(root=raw, split=split, dest=folder, shards=count, workers=0, index=("all",)))
        assert (SAMPLES[split], 0) == (report.samples, report.exit_code)
    return folder


@pytest.fixture(scope="session")
def carded(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each form of annotations, with both splits, all indexes, and a dataset card.

    The first samples of each have no annotation: from those alone nobody could tell what a box is.
    """
    root = tmp_path_factory.mktemp("carded")
    bare = root / "raw"
    shutil.copytree(raw, bare)
    for split in SAMPLES:
        for image in sorted(bare.glob(f"{split}/*/*.JPEG"), key=lambda path: path.name)[:20]:
            image.with_suffix(".xml").unlink(missing_ok=True)
        for form in ("original", "boxes", "none"):
            options = Options(
                root=bare, split=split, dest=root / form, annotations=form, shuffle=False, shards=4, workers=0,
                index=("all",), card=True,
            )  # fmt: skip
            assert SAMPLES[split] == convert(options).samples
    return root


@pytest.fixture(scope="session")
def members(raw: Path) -> dict[str, dict[str, bytes]]:
    """Of each split: name to bytes of every member that the source makes, by the reference."""
    return {split: expected_members(raw, split) for split in SAMPLES}


class Readers:
    """Runs readers in a process each, with the shards' folder as current directory, so that they cannot disturb each
    other: some warn when they are imported, some change how processes are started, two are called wids.
    """

    def __init__(self, shards: Path, home: Path) -> None:
        self.shards = shards
        self.home = home

    def read(self, reader: str, *arguments: str, folder: Path | None = None, path: Sequence[Path] = ()) -> list[Any]:
        """What a function of `programs` yields; `path` is looked up before what is installed."""
        return self._result("programs", [reader, *arguments], folder, path)

    def read_fields(self, reader: str, *arguments: str, folder: Path | None = None) -> list[Any]:
        """What a function of `field_programs` yields."""
        return self._result("field_programs", [reader, *arguments], folder)

    def _result(self, programs: str, words: Sequence[str], folder: Path | None, path: Sequence[Path] = ()) -> list[Any]:
        result = self.home / "result"
        self.run([sys.executable, "-m", f"tests.readers.{programs}", str(result), *words], folder, path)
        data: list[Any] = pickle.loads(result.read_bytes())
        return data

    def run(self, command: Sequence[str | Path], folder: Path | None = None, path: Sequence[Path] = ()) -> str:
        """What a command prints; the test fails if it does not end well."""
        caches = {"HOME": str(self.home), "HF_HOME": str(self.home / "hf"), "WIDS_CACHE": str(self.home / "wids")}
        searched = {"PYTHONPATH": os.pathsep.join(map(str, [*path, CHECKOUT]))}
        done = subprocess.run(
            command,
            cwd=folder or self.shards,
            env=os.environ | OFFLINE | caches | searched,
            capture_output=True,
            text=True,
            timeout=100,
        )
        if done.returncode:
            pytest.fail(f"{command} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done.stdout


@pytest.fixture
def readers(shards: Path, tmp_path: Path) -> Readers:
    """Runs readers on the shards; their caches go with the test."""
    return Readers(shards, tmp_path)


def needs_package(name: str) -> None:
    """The test skips where a reader is not installed, and fails in CI, which installs it."""
    try:
        version(name)
    except PackageNotFoundError:
        missing(name)


def last_with_wids() -> Path:
    """The folder of the last webdataset that had wids in it."""
    if not LAST_WITH_WIDS.is_dir():
        missing("webdataset 0.2.111")
    return LAST_WITH_WIDS


def missing(name: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is missing; make test-readers installs it")
    pytest.skip(f"{name} is not installed")


def tool(name: str) -> Path:
    """The path of a reader's own command."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        missing(name)
    return path
