"""The lines that the READMEs give for each reader run as they stand, in the shards' folder, and load what they say.

Those for webdataset and torch are in the first README, those for the others in the README beside this file.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.readers.conftest import CHECKOUT, HERE, SAMPLES, Readers, last_with_wids, needs_package

# What has been loaded once the lines have run.
LABEL = "assert 1 <= label <= 1000"
LOADED = {
    "webdataset": ("webdataset", f"assert image.convert('RGB').getbbox(); {LABEL}"),
    "torch DataLoader": ("torch", "assert (64, 3, 224, 224) == images.shape; assert (64,) == labels.shape"),
    "wids": ("wids", f"assert {SAMPLES['train']} == len(dataset); assert image.convert('RGB').getbbox(); {LABEL}"),
    "datasets": ("datasets", "assert sample['jpg'].getbbox(); assert sample['cls'] == sample['json']['cls']"),
    "DALI": (
        "nvidia-dali-cuda120",
        "assert (64, 224, 224, 3) == images.as_array().shape; label = int(bytes(memoryview(labels.at(0)))); " + LABEL,
    ),
    "energon": (
        "megatron-energon",
        "assert (64, 3) == batch.image.shape[:2]; assert 64 == len(batch.label) == len(batch.label_name)",
    ),
    "timm": ("timm", f"assert image.getbbox(); {LABEL}"),
}
README = (CHECKOUT / "README.md").read_text()
FURTHER = (HERE / "README.md").read_text()
PACKAGE = (CHECKOUT / "parallel_sharder" / "README.md").read_text()
SECTION = re.search(r"^## Read them$(.+?)^## ", README, re.MULTILINE | re.DOTALL)
assert SECTION is not None
_, *SECTIONS = re.split(r"^### (.+)$", SECTION[1] + FURTHER, flags=re.MULTILINE)
LINES = {
    reader: lines
    for reader, text in zip(SECTIONS[::2], SECTIONS[1::2], strict=True)
    for lines in re.findall(r"^```python\n(.+?)^```$", text, re.MULTILINE | re.DOTALL)
}
TABLE = dict(re.findall(r"^\| ([^|]+) \| ([^|]*\d[^|]*) \|", FURTHER, re.MULTILINE))


@pytest.mark.parametrize("reader", list(LOADED))
def test_lines(readers: Readers, reader: str) -> None:
    """A reader's lines end well, and images and labels are there."""
    package, check = LOADED[reader]
    needs_package(package)
    run(readers, reader, check)


def test_lines_for_wids_in_webdataset(readers: Readers) -> None:
    """Those for wids do so with the last webdataset that had it, too."""
    run(readers, "wids", "assert 'webdataset-0.2' in wids.__file__; " + LOADED["wids"][1], last_with_wids())


@pytest.mark.parametrize("boxes", [[], [[1, 2, 30, 40], [5, 6, 7, 8]]])
def test_lines_for_torchvision(readers: Readers, boxes: list[list[int]]) -> None:
    """The line that makes boxes for torchvision does so for samples with boxes and without."""
    needs_package("torchvision")
    [line] = re.findall(r"^```python\n(boxes = .+?)^```$", PACKAGE, re.MULTILINE | re.DOTALL)
    program = readers.home / "lines.py"
    program.write_text(
        "import torch\nfrom torchvision.tv_tensors import BoundingBoxes\n"
        f"info = {{'boxes': {boxes}, 'width': 50, 'height': 60}}\n{line}\nassert ({len(boxes)}, 4) == boxes.shape\n"
    )
    readers.run([sys.executable, program])


@pytest.mark.parametrize("form", ["original", "boxes", "none"])
def test_lines_of_a_card(readers: Readers, carded: Path, form: str) -> None:
    """The lines that a dataset card gives run as they stand, in its folder."""
    for package in ("webdataset", "datasets", "wids"):
        needs_package(package)
    blocks = re.findall(r"^```python\n(.+?)^```$", (carded / form / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    checks = (LABEL, "assert sample['cls'] == sample['json']['cls']", "assert 1 <= sample['.cls'] <= 1000")
    for block, check in zip(blocks, checks, strict=True):
        program = readers.home / "lines.py"
        program.write_text(f"{block}\n{check}\n")
        readers.run([sys.executable, program], carded / form)


def run(readers: Readers, reader: str, check: str, *path: Path) -> None:
    program = readers.home / "lines.py"
    program.write_text(f"{LINES[reader]}\nif __name__ == '__main__':\n    {check}\n    print('loaded')\n")
    assert readers.run([sys.executable, program], path=path).endswith("loaded\n")


def test_table() -> None:
    """Every reader of the table has its lines, and the versions it names are the oldest that the extra installs."""
    assert list(LOADED) == list(LINES) == list(TABLE)
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    oldest = dict(requirement.split(">=") for requirement in project["optional-dependencies"]["readers"])
    named = {
        "webdataset": oldest["webdataset"],
        "torch DataLoader": f"torch {oldest['torch']}, torchvision {oldest['torchvision']}",
        "wids": f"{oldest['wids']}, and within webdataset 0.2.111",
        "datasets": oldest["datasets"],
        "DALI": oldest["nvidia-dali-cuda120"],
        "energon": oldest["megatron-energon"],
        "timm": oldest["timm"],
    }
    assert named == TABLE
    assert f"open_clip {oldest['open_clip_torch']} " in FURTHER
