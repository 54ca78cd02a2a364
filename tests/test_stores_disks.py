"""Disks: which paths are said to lie on a rotational disk or a network file system, in made-up trees of the system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parallel_sharder.stores.disks import Mount, SlowPlace, disk_of, mount_of, mounts, slow_place


class System:
    """A made-up /sys and /proc, in which `path` has the device number that it really has."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "data set"
        self.path.mkdir()
        self.sys, self.proc, self.dev = folder / "sys", folder / "proc", folder / "dev"
        for made in (self.sys / "dev/block", self.sys / "class/block", self.proc / "self", self.dev):
            made.mkdir(parents=True)
        number = os.stat(self.path).st_dev
        self.number = f"{os.major(number)}:{os.minor(number)}"
        self.cpu("fpu sse2")

    def disk(self, name: str, *, rotational: bool, below: tuple[Path, ...] = ()) -> Path:
        """Make a disk, and return its folder."""
        folder = self.sys / "devices" / name
        (folder / "queue").mkdir(parents=True)
        (folder / "queue/rotational").write_text(f"{rotational:d}\n")
        (folder / "slaves").mkdir()
        for other in below:
            (folder / "slaves" / other.name).symlink_to(other)
        (self.sys / "class/block" / name).symlink_to(folder)
        return folder

    def partition(self, disk: Path, name: str) -> Path:
        """Make a partition of the disk, and return its folder."""
        folder = disk / name
        folder.mkdir()
        (folder / "partition").write_text("2\n")
        (self.sys / "class/block" / name).symlink_to(folder)
        return folder

    def lies_on(self, device: Path) -> None:
        """Let the path's device number be that of `device`."""
        (self.sys / "dev/block" / self.number).symlink_to(device)

    def mounted(self, kind: str, source: object, *, device: str = "", point: str = "/") -> None:
        """Add a mount; by default it has the path's device number."""
        fields = [str(text).replace("\\", r"\134").replace(" ", r"\040") for text in (point, source)]
        with (self.proc / "self/mountinfo").open("a") as file:
            file.write(f"36 27 {device or self.number} / {fields[0]} rw shared:1 - {kind} {fields[1]} rw\n")

    def cpu(self, flags: str) -> None:
        """Let the processor have these flags."""
        (self.proc / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t:\n")

    def slow_place(self) -> SlowPlace | None:
        """Return what is said of the path."""
        return slow_place(str(self.path), sys=str(self.sys), proc=str(self.proc))


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A system without disks and mounts."""
    return System(tmp_path)


@pytest.mark.parametrize("rotational", [True, False])
def test_a_disk(system: System, rotational: bool) -> None:
    """It is named if it rotates, as it would stand in a message."""
    system.lies_on(system.disk("sda", rotational=rotational))
    system.mounted("ext4", "/dev/sda")
    found = system.slow_place()
    assert (SlowPlace("a rotational disk", "sda") if rotational else None) == found
    assert not rotational or str(found) == "a rotational disk (sda)"


def test_a_partition_has_its_disk_asked(system: System) -> None:
    """A partition has no queue of its own."""
    system.lies_on(system.partition(system.disk("sdb", rotational=True), "sdb2"))
    assert SlowPlace("a rotational disk", "sdb") == system.slow_place()


@pytest.mark.parametrize("rotational", [True, False])
def test_one_rotational_disk_of_many_counts(system: System, rotational: bool) -> None:
    """LVM on an array of partitions: what the disks at the bottom say counts, and not what is between says."""
    disks = [system.disk(name, rotational=name == "sdd" and rotational) for name in ("nvme0n1", "sdc", "sdd")]
    parts = [system.partition(disk, f"{disk.name}1") for disk in disks]
    array = system.disk("md0", rotational=True, below=tuple(parts))
    system.lies_on(system.disk("dm-3", rotational=True, below=(array,)))
    assert (SlowPlace("a rotational disk", "sdd") if rotational else None) == system.slow_place()


@pytest.mark.parametrize("name", ["vda", "xvda", "nbd0", "loop0", "rbd0", "zram0", "sr0", "md0"])
def test_virtual_disks_are_not_believed(system: System, name: str) -> None:
    """They say that they rotate, whatever they lie on."""
    system.lies_on(system.disk(name, rotational=True))
    assert system.slow_place() is None


def test_no_disk_of_a_virtual_machine_is_believed(system: System) -> None:
    """VMware, Hyper-V and others present their disks as SCSI disks."""
    system.lies_on(system.disk("sda", rotational=True))
    system.cpu("fpu hypervisor sse2")
    assert system.slow_place() is None


def test_devices_of_file_systems_that_have_their_own_numbers(system: System) -> None:
    """The device of btrfs is the source of its mount: a partition, or a link to a volume of LVM."""
    system.partition(system.disk("sda", rotational=True), "sda2")
    system.mounted("btrfs", "/dev/sda2", device="0:999")
    assert SlowPlace("a rotational disk", "sda") == system.slow_place()
    (system.dev / "mapper").mkdir()
    (system.dev / "mapper/pool-data").symlink_to("../dm-0")
    system.disk("dm-0", rotational=False, below=(system.disk("nvme0n1", rotational=False),))
    system.mounted("btrfs", system.dev / "mapper/pool-data", device="0:999")
    assert system.slow_place() is None


@pytest.mark.parametrize(("kind", "source"), [("overlay", "overlay"), ("zfs", "tank/sda"), ("tmpfs", "/dev/absent")])
def test_sources_that_are_no_devices(system: System, kind: str, source: str) -> None:
    """Nothing is known of what they lie on."""
    system.disk("sda", rotational=True)
    system.mounted(kind, source, device="0:999")
    assert system.slow_place() is None


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("nfs4", "server:/export"),
        ("cifs", "//server/a share"),
        ("fuse.sshfs", "me@host:/data"),
        ("lustre", "10.0.0.1@tcp:/scratch"),
        ("9p", "host"),
    ],
)
def test_network_file_systems(system: System, kind: str, source: str) -> None:
    """They are named with their type and their source, in virtual machines too."""
    system.cpu("hypervisor")
    system.mounted(kind, source, point=str(system.path))
    expected = SlowPlace("a network file system", f"{kind} from {source}")
    assert expected == system.slow_place()
    assert f"a network file system ({kind} from {source})" == str(expected)


def test_the_mount_is_that_of_the_device(system: System) -> None:
    """Another mount at the same folder or further in is covered by it, or covers nothing of the path."""
    local, remote = "8:1", "0:50"
    among = [
        Mount(local, "/", "ext4", "/dev/sda1"),
        Mount(remote, "/data", "nfs4", "server:/a"),
        Mount(remote, "/data/sets", "nfs4", "server:/b"),
        Mount(local, "/data", "ext4", "/dev/sda1"),
        Mount("0:60", "/database", "cifs", "//server/c"),
    ]
    assert among[2] == mount_of("/data/sets/train", remote, among)
    assert among[1] == mount_of("/data/settings", remote, among)
    assert among[3] == mount_of("/data/sets", local, among)
    assert among[3] == mount_of("/data/other", "0:70", among)
    assert among[0] == mount_of("/", local, among)
    assert among[4] == mount_of("/database", "0:60", among)
    assert mount_of("/database", local, []) is None


def test_lines_of_mountinfo(system: System) -> None:
    """Any number of optional fields, blanks in names, and lines that are none."""
    (system.proc / "self/mountinfo").write_text(
        "36 35 98:0 /mnt1 /a\\040b\\134c rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
        "23 27 0:22 / /sys rw - sysfs sysfs rw\n"
        "nonsense\n"
    )
    expected = [Mount("98:0", "/a b\\c", "ext3", "/dev/root"), Mount("0:22", "/sys", "sysfs", "sysfs")]
    assert expected == mounts(str(system.proc))


def test_where_nothing_is_known(system: System, tmp_path: Path) -> None:
    """Without /sys and /proc, and for a path that does not exist, nothing is claimed."""
    assert slow_place(str(tmp_path), sys=f"{tmp_path}/none", proc=f"{tmp_path}/none") is None
    assert slow_place(f"{tmp_path}/absent", sys=str(system.sys), proc=str(system.proc)) is None
    system.mounted("ext4", "/dev/sda1")
    assert system.slow_place() is None


def test_this_system_can_be_asked(tmp_path: Path) -> None:
    """Whatever it says."""
    assert isinstance(slow_place(str(tmp_path)), SlowPlace | None)


def test_disk_of_a_path(tmp_path: Path) -> None:
    """It is the block device of the path's own file system, by the name that counters of disks have."""
    device = os.stat(tmp_path).st_dev
    place = tmp_path / "sys" / "dev" / "block" / f"{os.major(device)}:{os.minor(device)}"
    place.mkdir(parents=True)
    assert place.name == disk_of(str(tmp_path), sys=str(tmp_path / "sys"))
    assert "" == disk_of(str(tmp_path / "absent"))
    assert "" == disk_of(str(tmp_path), sys=str(tmp_path / "none"), proc=str(tmp_path / "none"))
