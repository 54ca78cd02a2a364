"""A glance at a folder: bounded, and put out by nothing that lies there."""

from __future__ import annotations

import os
from pathlib import Path

from parallel_sharder.sources.imagenet.glance import ENTRIES_LIMIT, Glance
from tests.test_imagenet_scan import refusal


def test_glances_are_bounded(tmp_path: Path) -> None:
    """Of a large folder only ENTRIES_LIMIT entries are looked at, and the message says that it may hold more."""
    for number in range(ENTRIES_LIMIT + 5):
        os.mknod(tmp_path / f"{number}.txt")
    glance = Glance.at(tmp_path)
    assert ENTRIES_LIMIT + 1 == len(glance.files)
    assert str(glance).startswith(f"at least {ENTRIES_LIMIT + 1:,} files ({ENTRIES_LIMIT + 1:,} .txt")


def test_odd_entries_of_a_root(tmp_path: Path) -> None:
    """Broken links, links to themselves, and names that no terminal can print do not stop the search."""
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a\nb").mkdir()
    assert rf"{tmp_path} holds 1 folder (a\nb) and 2 files (2 without ending; the first: gone, loop)." in refusal(
        tmp_path
    )
