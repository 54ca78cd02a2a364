"""What this process may use of the machine it runs on.

`os.cpu_count()` is the wrong answer in a container, under a batch system, and under `taskset`: more workers than
cores to run them on only take turns.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """The cores this process may use: its affinity, or the cgroup's CPU quota where that is smaller; at least 1."""
    process = psutil.Process()
    cores = len(process.cpu_affinity() or ()) if hasattr(process, "cpu_affinity") else psutil.cpu_count()
    quota = cgroup_quota(Path("/proc/self/cgroup"), _CGROUPS)
    return max(1, min(cores or 1, math.ceil(quota) if math.isfinite(quota) else cores or 1))


def free_bytes(folder: str) -> int:
    """The bytes this user may still write in `folder`, or where it will be made."""
    return int(psutil.disk_usage(nearest_folder(folder)).free)


def nearest_folder(folder: str) -> str:
    """`folder`, or the nearest above it that there is."""
    folder = os.path.abspath(folder)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return folder


def cgroup_quota(membership: Path, cgroups: Path) -> float:
    """The CPU time a second that the control groups leave this process, in cores; infinity where none is set.

    `membership` is /proc/<pid>/cgroup, `cgroups` the mounted hierarchy; both versions are read. The quota of every
    ancestor counts. (Formats: Linux, Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.)
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroups / "cpu" if controllers else cgroups
        here = top / path.lstrip("/")
        for group in (here, *here.parents):
            quotas.append(_quota(group))
            if group == top:
                break
    return min(quotas)


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
