"""What a process may use: quotas of both versions of control groups, made in a folder."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from parallel_sharder.engines import cores


def test_quota_of_version_2_counts_every_ancestor(tmp_path: Path) -> None:
    """The smallest quota on the way up holds; "max" is none."""
    (tmp_path / "cgroup").write_text("0::/job/step\n")
    groups = tmp_path / "fs"
    (groups / "job" / "step").mkdir(parents=True)
    (groups / "job" / "step" / "cpu.max").write_text("max 100000\n")
    (groups / "job" / "cpu.max").write_text("250000 100000\n")
    assert 2.5 == cores.cgroup_quota(tmp_path / "cgroup", groups)


def test_quota_of_version_1(tmp_path: Path) -> None:
    """The cpu controller's quota over its period; -1 is none; other controllers do not matter."""
    (tmp_path / "cgroup").write_text("5:memory:/box\n4:cpu,cpuacct:/box\n")
    box = tmp_path / "fs" / "cpu" / "box"
    box.mkdir(parents=True)
    (box / "cpu.cfs_quota_us").write_text("400000\n")
    (box / "cpu.cfs_period_us").write_text("100000\n")
    (box.parent / "cpu.cfs_quota_us").write_text("-1\n")
    (box.parent / "cpu.cfs_period_us").write_text("100000\n")
    assert 4.0 == cores.cgroup_quota(tmp_path / "cgroup", tmp_path / "fs")


def test_no_quota(tmp_path: Path) -> None:
    """No control groups, or none with a quota: no limit."""
    assert math.inf == cores.cgroup_quota(tmp_path / "missing", tmp_path)
    (tmp_path / "cgroup").write_text("0::/\n")
    assert math.inf == cores.cgroup_quota(tmp_path / "cgroup", tmp_path)


@pytest.mark.parametrize(("quota", "usable"), [(math.inf, 8), (2.5, 3), (0.2, 1), (64.0, 8)])
def test_usable_cores(monkeypatch: pytest.MonkeyPatch, quota: float, usable: int) -> None:
    """The affinity, or the quota rounded up where that is less; never none."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "cgroup_quota", lambda *_: quota)
    assert usable == cores.usable_cores()
