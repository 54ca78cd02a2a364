"""What this process may use of the machine it runs on.

`os.cpu_count()` is the wrong answer in a container, under a batch system, and under `taskset`: more workers than
cores to run them on only take turns.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_MEMBERSHIP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """The cores this process may use: its affinity, or the cgroup's CPU quota where that is smaller; at least 1."""
    # psutil knows the affinity too, but not where /proc is hidden.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count()
    quota = cgroup_quota(_MEMBERSHIP, _CGROUPS)
    return max(1, min(cores or 1, math.ceil(quota) if math.isfinite(quota) else cores or 1))


def cgroup_quota(membership: Path = _MEMBERSHIP, cgroups: Path = _CGROUPS) -> float:
    """The CPU time a second that the control groups leave this process, in cores; infinity where none is set.

    `membership` is /proc/<pid>/cgroup, `cgroups` the mounted hierarchy; both versions are read. The quota of every
    ancestor counts. (Formats: Linux, Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.)
    """
    return min(map(_quota, _groups("cpu", membership, cgroups)), default=math.inf)


def cgroup_processes(membership: Path = _MEMBERSHIP, cgroups: Path = _CGROUPS) -> float:
    """The processes and threads that the control groups allow, the smallest limit; infinity where there is none."""
    return min(map(_processes, _groups("pids", membership, cgroups)), default=math.inf)


def _groups(controller: str, membership: Path, cgroups: Path) -> Iterator[Path]:
    """The folders of the control groups that this controller has this process in, with their ancestors."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = cgroups / controller if controllers else cgroups
        here = top / path.lstrip("/")
        for group in (here, *here.parents):
            yield group
            if group == top:
                break


def _quota(group: Path) -> float:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
    except OSError:
        return math.inf
    return math.inf if quota.strip() in ("max", "-1") else int(quota) / int(period)


def _processes(group: Path) -> float:
    try:
        limit = (group / "pids.max").read_text().strip()
    except OSError:
        return math.inf
    return math.inf if limit == "max" else int(limit)
