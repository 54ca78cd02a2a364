"""Disks: what a path lies on, if reads of it wait long for each other place: a rotational disk, or a network's server.

`slow_place` asks Linux, which says of each block device whether it rotates, and of each mount its type. A virtual
disk says that it rotates whatever it lies on, so its word does not count: `waits.Waits` shows what its reads wait. An
array or a cache counts as rotational if one of its disks is. Where the system does not say (macOS, containers without
/sys), nothing is known, and nothing is claimed. Files are only looked at, and no error is raised.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

NETWORK_TYPES = frozenset(
    (
        "9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "ncpfs", "nfs",
        "nfs4", "orangefs", "pvfs2", "smb3", "smbfs", "wekafs",
        "fuse.blobfuse2", "fuse.ceph", "fuse.ceph-fuse", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys",
        "fuse.juicefs", "fuse.mfs", "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs", "fuse.sshfs",
    )
)  # fmt: skip
"""Types of file systems whose bytes come from a server, as mountinfo names them."""

_PHYSICAL = re.compile(r"[sh]d[a-z]+")
"""Names of disks that a real controller presents (SATA, SAS, USB); those of virtio are vda, of Xen xvda."""


class Mount(NamedTuple):
    """A line of mountinfo: the device as "major:minor", the mount point, the type, and what is mounted."""

    device: str
    point: str
    type: str
    source: str


class SlowPlace(NamedTuple):
    """Where reads wait: `kind`, "a rotational disk" or "a network file system", and `name`, which one it is."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Return both, to follow "PATH lies on"."""
        return f"{self.kind} ({self.name})"


def slow_place(path: str, *, sys: str = "/sys", proc: str = "/proc") -> SlowPlace | None:
    """Return the rotational disk or network file system that `path` lies on; None if the system knows of neither.

    `sys` and `proc` are where sysfs and procfs are mounted.
    """
    mount, place = _device_of(path, sys, proc)
    if mount is not None and mount.type in NETWORK_TYPES:
        return SlowPlace("a network file system", f"{mount.type} from {mount.source}")
    if not place or _is_virtual_machine(proc):
        return None
    name = next(filter(_PHYSICAL.fullmatch, _rotational_disks(place)), None)
    return None if name is None else SlowPlace("a rotational disk", name)


def disk_of(path: str, *, sys: str = "/sys", proc: str = "/proc") -> str:
    """Return the name of the block device that `path` lies on, such as sda1 or md0; "" if the system knows of none."""
    _, place = _device_of(path, sys, proc)
    return os.path.basename(os.path.realpath(place)) if place and os.path.exists(place) else ""


def _device_of(path: str, sys: str, proc: str) -> tuple[Mount | None, str]:
    """Return the mount that `path` lies in, and the folder of its block device in sysfs; None and "" if not known."""
    try:
        number = os.stat(path).st_dev
    except OSError:
        return None, ""
    device = f"{os.major(number)}:{os.minor(number)}"
    mount = mount_of(os.path.realpath(path), device, mounts(proc))
    place = f"{sys}/dev/block/{device}"
    if not os.path.exists(place):  # btrfs and others have device numbers of their own, and name a device as the source
        if mount is None or not mount.source.startswith("/"):
            return mount, ""
        place = f"{sys}/class/block/{os.path.basename(os.path.realpath(mount.source))}"
    return mount, place


def mounts(proc: str = "/proc") -> list[Mount]:
    """Return what is mounted, in the order of mounting; [] where there is no mountinfo.

    Its format is that of proc_pid_mountinfo(5).
    """
    try:
        with open(f"{proc}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields, others = before.split(" "), after.split(" ")
        if separator and len(fields) >= 5 and len(others) >= 2:
            found.append(Mount(fields[2], _unescaped(fields[4]), others[0], _unescaped(others[1])))
    return found


def mount_of(path: str, device: str, among: list[Mount]) -> Mount | None:
    """Return the mount that the absolute `path`, whose device is "major:minor", lies in; None if none holds it.

    It is the innermost mount of that device. Only if there is none of that device, as with btrfs, it is the innermost
    of all; of several at one point, the last one covers the others.
    """
    holding = [mount for mount in among if _holds(mount.point, path)]
    nearest = [mount for mount in holding if mount.device == device] or holding
    return max(enumerate(nearest), key=lambda pair: (len(pair[1].point), pair[0]))[1] if nearest else None


def _holds(point: str, path: str) -> bool:
    return path == point or path.startswith(f"{point.rstrip('/')}/")


def _unescaped(field: str) -> str:
    r"""Return the field with blanks, tabs, newlines and backslashes in place of their octal escapes, such as \040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _rotational_disks(place: str) -> Iterator[str]:
    """Yield the names of the rotational disks under the block device with this folder in sysfs."""
    folder = os.path.realpath(place)
    if os.path.exists(f"{folder}/partition"):
        folder = os.path.dirname(folder)
    try:
        below = sorted(os.listdir(f"{folder}/slaves"))
    except OSError:
        below = []
    for name in below:
        yield from _rotational_disks(f"{folder}/slaves/{name}")
    if not below and _read(f"{folder}/queue/rotational").strip() == "1":
        yield os.path.basename(folder)


def _is_virtual_machine(proc: str) -> bool:
    """Return whether the processor says that a hypervisor is under it; that of ARM does not."""
    return re.search(r"^flags\s*:.*\bhypervisor\b", _read(f"{proc}/cpuinfo"), re.MULTILINE) is not None


def _read(path: str) -> str:
    """Return the text of a small file of the system; "" if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
