"""The cores that this process may use, and the limits that control groups set for it.

`os.cpu_count()` returns too many in a container, under a batch system, and under `taskset`, and more workers than
usable cores only take turns. This module reads /proc and /sys/fs/cgroup, and where they are missing there is no limit.
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
    """Return the number of cores that this process may use, by its affinity and by its CPU quota; at least 1."""
    # psutil knows the affinity too, but not where /proc is hidden.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count()
    quota = cgroup_quota(_MEMBERSHIP, _CGROUPS)
    return max(1, min(cores or 1, math.ceil(quota) if math.isfinite(quota) else cores or 1))


def cgroup_quota(membership: Path = _MEMBERSHIP, cgroups: Path = _CGROUPS) -> float:
    """Return the CPU quota of this process in cores, the smallest of its control groups; infinity if none is set.

    `membership` is /proc/<pid>/cgroup, and `cgroups` is the mounted hierarchy; versions 1 and 2 are read. The quota of
    each ancestor counts. (Formats: Linux, Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.)
    """
    return min(map(_quota, _groups("cpu", membership, cgroups)), default=math.inf)


def cgroup_processes(membership: Path = _MEMBERSHIP, cgroups: Path = _CGROUPS) -> float:
    """Return the smallest limit of the control groups on processes and threads; infinity if none is set."""
    return min(map(_processes, _groups("pids", membership, cgroups)), default=math.inf)


def _groups(controller: str, membership: Path, cgroups: Path) -> Iterator[Path]:
    """Yield the folders of the control groups to which this process belongs for a controller, with their ancestors."""
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
