"""Hints: a stage is recommended where the source lies on a slow disk, or the workers have waited, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder import Options, convert, hints, preview
from parallel_sharder.monitor.recording import Recording
from parallel_sharder.stores.disks import SlowPlace
from parallel_sharder.stores.waits import Waits
from tests import made


def notices(root: Path, out: Path, **choices: object) -> list[str]:
    recording = Recording()
    convert(Options(root=str(root), dest=str(out), workers=0, **choices), recording)  # type: ignore[arg-type]
    return recording.notices


def test_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once, before the writing, with what was seen; not with a stage, and not where nothing is written."""
    made.classic_train(tmp_path / "raw", images=10)
    monkeypatch.setattr(hints, "slow_place", lambda path: SlowPlace("a rotational disk", "sda"))
    options = Options(root=str(tmp_path / "raw"), dest=str(tmp_path / "out"), workers=0)
    foreseen = preview(options).notices
    [hint] = notices(tmp_path / "raw", tmp_path / "out")
    assert hint in foreseen
    assert hint not in preview(options).notices
    assert f"{tmp_path}/raw/train/" in hint
    assert "lies on a rotational disk (sda)" in hint
    assert "--stage DIR" in hint
    assert notices(tmp_path / "raw", tmp_path / "out") == []
    assert notices(tmp_path / "raw", tmp_path / "none", stage="none") == []
    assert notices(tmp_path / "raw", tmp_path / "sorted", shuffle=False) == []
    [staged] = notices(tmp_path / "raw", tmp_path / "staged", stage=str(tmp_path / "stage"))
    assert staged.startswith("staged ")


def test_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that waited are told at the end, with their share."""
    made.classic_train(tmp_path / "raw", images=10)
    assert notices(tmp_path / "raw", tmp_path / "first") == []
    monkeypatch.setattr(hints, "Waits", lambda *_: Waits(1000.0, 40.0, 1, 1))
    [hint] = notices(tmp_path / "raw", tmp_path / "out")
    assert "the workers waited 96% of the time" in hint
    assert notices(tmp_path / "raw", tmp_path / "none", stage="none") == []
