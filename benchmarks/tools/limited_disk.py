"""A disk with limits: a loop device on a file, whose reads a control group limits in number and in bytes a second.

What reads it is a command that runs in the control group; whoever makes the files there is not limited. The group
counts requests as the file system hands them over, before the system joins those that are side by side. So this is a
disk that takes as long for a request beside the last one as for any other, if both have the same bytes: a network
volume does just that, and a hard disk is kinder to neighbours. It needs root, loop devices, and control groups, of
version 1 (blkio) or 2 (io); `missing` says what is not there. All of it is removed when the block ends, also by an
error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("losetup", "mkfs.ext4", "mount", "umount")

CAP_SYS_ADMIN = 21
"""The number of the right to mount: capabilities(7). Root in a container may lack it."""

SECTOR_BYTES = 512
"""The unit of a device's statistics, whatever its blocks are: Documentation/block/stat.rst of Linux."""


class Limits(NamedTuple):
    """What the disk allows in a second."""

    reads: int
    read_bytes: int


class Usage(NamedTuple):
    """What a command took: wall time, and the requests that reached the disk, with their bytes."""

    seconds: float
    reads: int
    read_bytes: int


def missing() -> str:
    """Return what keeps a limited disk from being made here, in a sentence; "" if nothing is known to do that."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} cannot be found: install util-linux and e2fsprogs."
    with open("/proc/self/status") as status:
        powers = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    if not powers >> CAP_SYS_ADMIN & 1:
        return "Only root can make and mount a disk, with the right to mount (CAP_SYS_ADMIN)."
    try:
        os.close(os.open("/dev/loop-control", os.O_RDWR))
    except OSError as error:
        return f"There are no loop devices: /dev/loop-control: {error.strerror}."
    if _groups_folder() is None:
        return "No control group limits reads here: neither blkio (version 1) nor io (version 2) is mounted."
    return ""


class LimitedDisk:
    """A mounted file system on a limited device; `path` is its folder, and `group` that of its control group.

    It can be written to until the first `run`, which mounts it for reading only: so no access times are written.
    """

    def __init__(self, path: Path, device: str, group: Path) -> None:
        self.path = path
        self._device = device
        self.group = group

    def run(self, command: Sequence[str]) -> Usage:
        """Run the command in the control group with nothing of the disk in memory, its folders and inodes included.

        Raises SystemExit, with what it printed, if it fails.
        """
        subprocess.run(["umount", self.path], check=True)
        subprocess.run(["mount", "-o", "ro", self._device, self.path], check=True)
        entering = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', f"{self.group}/cgroup.procs"]
        before, start = self._counters(), time.monotonic()
        done = subprocess.run(
            [*entering, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        seconds, after = time.monotonic() - start, self._counters()
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}")
        return Usage(seconds, after[0] - before[0], (after[1] - before[1]) * SECTOR_BYTES)

    def _counters(self) -> tuple[int, int]:
        """Return the requests, and the sectors, that were read so far."""
        numbers = Path(f"/sys/class/block/{os.path.basename(self._device)}/stat").read_text().split()
        return int(numbers[0]), int(numbers[2])


@contextlib.contextmanager
def limited_disk(folder: Path, size_bytes: int, limits: Limits) -> Iterator[LimitedDisk]:
    """Yield an empty disk whose file lies in `folder`; `missing` has been asked before."""
    with contextlib.ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        image, path = made / "disk.img", made / "disk"
        path.mkdir()
        with image.open("wb") as file:
            file.truncate(-(-size_bytes // 2**20) * 2**20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        found = subprocess.run(["losetup", "--find", "--show", image], check=True, stdout=subprocess.PIPE, text=True)
        device = found.stdout.strip()
        stack.callback(subprocess.run, ["losetup", "--detach", device], check=True)
        subprocess.run(["mount", device, path], check=True)
        stack.callback(_unmount, path)
        yield LimitedDisk(path, device, stack.enter_context(_limiting_group(device, limits)))


def _unmount(path: Path) -> None:
    if os.path.ismount(path):  # which it is not between the two steps of a run
        subprocess.run(["umount", path], check=True)


@contextlib.contextmanager
def _limiting_group(device: str, limits: Limits) -> Iterator[Path]:
    """Yield the folder of a control group that limits the reads of what runs in it; kill what is left at the end."""
    parent = _groups_folder()
    assert parent is not None
    number = Path(f"/sys/class/block/{os.path.basename(device)}/dev").read_text().strip()
    control = parent / "cgroup.subtree_control"
    enabled = not control.exists() or "io" in control.read_text().split()
    with contextlib.ExitStack() as stack:
        if not enabled:
            control.write_text("+io")
            stack.callback(control.write_text, "-io")
        group = Path(tempfile.mkdtemp(prefix="seeking-disk-", dir=parent))
        stack.callback(_remove_group, group)
        if control.exists():
            (group / "io.max").write_text(f"{number} riops={limits.reads} rbps={limits.read_bytes}")
        else:
            (group / "blkio.throttle.read_iops_device").write_text(f"{number} {limits.reads}")
            (group / "blkio.throttle.read_bps_device").write_text(f"{number} {limits.read_bytes}")
        yield group


def _remove_group(group: Path) -> None:
    """Kill what runs in the group, which is what an interrupted command has left, and remove it."""
    for _ in range(100):
        running = (group / "cgroup.procs").read_text().split()
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        if not running:
            with contextlib.suppress(OSError):  # of a process that has just ended
                group.rmdir()
                return
        time.sleep(0.1)
    group.rmdir()


def _groups_folder() -> Path | None:
    """Return the root of the control groups that can limit the reads of a device; None if there is none."""
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, point, kind, options, *_ = line.split(" ")
            folder = Path(point)
            if kind == "cgroup" and "blkio" in options.split(","):
                if (folder / "blkio.throttle.read_iops_device").exists():
                    return folder
            elif kind == "cgroup2" and "io" in (folder / "cgroup.controllers").read_text().split():
                return folder
    return None
