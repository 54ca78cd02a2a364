"""Faults x moments x what is done next: whatever strikes whenever, in the end the bytes are the undisturbed run's.

And real ones: a file system that is full, a worker that runs out of memory, a destination that goes away.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from parallel_sharder import Options, VerifyOptions, convert, verify_shards
from parallel_sharder.errors import DestinationError
from parallel_sharder.model import Plan, ShardRecord
from parallel_sharder.monitor.recording import Recording
from tests import made
from tests.conftest import needs
from tests.faults import FAULTS, MOMENTS, changed_image
from tests.test_convert import digests

NEXT = {"resume": "--workers 2", "resume with other workers": "--workers 0", "overwrite": "--workers 1 --overwrite"}
STATUS = {
    "kill coordinator": {-9}, "torn journal": {-9}, "lost shard": {-9}, "cut shard": {-9}, "SIGINT": {130},
    "SIGTERM": {143}, "kill worker": {0, 1}, "disk full": {0, 1}, "read error": {0, 1, 3}, "changed source": {0, 3},
}  # fmt: skip


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Kaggle-like class list instead of a devkit saves each of the many runs the import of scipy."""
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, classes=6, images=60)
    (root / "classes.txt").write_text("".join(f"{wnid} {made.NAMES[wnid]}\n" for wnid in made.WNIDS))
    return root


@pytest.fixture(scope="module")
def undisturbed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed")
    convert(Options(root=raw, dest=str(out), meta=raw / "classes.txt", shards=10, workers=0))
    return digests(out)


STRUCK = "--workers 2 --start-method fork"
"""How the run is run that the fault strikes."""


def command(root: Path, out: Path, more: str = STRUCK) -> list[str]:
    return f"--root {root} --dest {out} --meta {root}/classes.txt --shards 10 --quiet {more}".split()


def run(*words: str, faulty: bool = False) -> subprocess.CompletedProcess[str]:
    module = "tests.faults" if faulty else "parallel_sharder"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *words], capture_output=True, text=True, timeout=60, check=False
    )


def _damage(fault: str, out: Path) -> None:
    """What is done to the destination after the coordinator was killed."""
    shards = sorted(out.glob("*.tar"))
    match fault:
        case "torn journal":
            for path in out.glob(".*.journal"):
                os.truncate(path, max(0, path.stat().st_size - 3))
        case "lost shard" if shards:
            shards[0].unlink()
        case "cut shard" if shards:
            os.truncate(shards[0], shards[0].stat().st_size - 512)


@pytest.fixture(scope="module")
def archives(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same set as official archives."""
    root = made.official_archives(tmp_path_factory.mktemp("archives") / "root", raw)
    shutil.copy(raw / "classes.txt", root)
    return root


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults(raw: Path, undisturbed: dict[str, str], tmp_path: Path, fault: str, moment: str, then: str) -> None:
    """Struck by the fault at the moment, and then run again, the set is byte for byte that of an undisturbed run.

    Meanwhile every file under a final name is whole. A source that has changed is refused until it is as it was.
    """
    check_fault(raw, undisturbed, tmp_path, fault, moment, then)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_with_archives(
    archives: Path, undisturbed: dict[str, str], tmp_path: Path, fault: str, moment: str
) -> None:
    """The same where images and annotations are read from the official archives, and nothing is left of the spool."""
    check_fault(archives, undisturbed, tmp_path, fault, moment, "resume")


def check_fault(
    source: Path,
    undisturbed: dict[str, str],
    tmp_path: Path,
    fault: str,
    moment: str,
    then: str,
    command: Callable[[Path, Path, str], list[str]] = command,
) -> None:
    """Have the fault strike a conversion of `source`; `command` has the words of the conversion of a copy of it."""
    root, out, marker = source, tmp_path / "out", tmp_path / "struck"
    if fault == "changed source":
        root = tmp_path / "raw"
        shutil.copytree(source, root)
    struck = run(fault, moment, str(marker), *command(root, out, STRUCK), faulty=True)
    assert marker.exists(), struck.stderr
    in_archives = changed_image(root).suffix == ".tar"
    assert struck.returncode in STATUS[fault] | ({1} if in_archives and fault == "changed source" else set())
    assert "Traceback" not in struck.stderr
    finals = {name: digest for name, digest in (digests(out) if out.exists() else {}).items() if name.endswith(".tar")}
    if fault not in ("read error", "changed source"):  # those leave a sample out
        assert undisturbed.items() >= finals.items()
    _damage(fault, out)

    after = run(*command(root, out, NEXT[then]))
    stays = {"torn journal": "no journal says that this tool made it", "cut shard": "something else has that name"}
    while fault in stays and stays[fault] in after.stderr:
        # The record that is torn was synced before its shard was begun, and what was cut had no record yet: no crash
        # does that, and nothing tells such a shard from somebody else's file. It stays, named.
        Path(after.stderr.split()[1]).unlink()
        after = run(*command(root, out, NEXT[then]))
    if fault == "changed source" and in_archives:
        assert moment == "manifest" or "has changed while it was read" in struck.stderr
        assert f"time of {changed_image(root).name}: 20" in after.stderr
        shutil.copy2(changed_image(source), changed_image(root))
        after = run(*command(root, out, STRUCK))
    elif fault == "changed source":
        image = changed_image(root)
        if then != "overwrite":
            assert 1 == after.returncode or moment == "scan"
        image.write_bytes(changed_image(source).read_bytes())
        after = run(*command(root, out, "--workers 0" + " --overwrite" * (then == "overwrite" or moment == "scan")))
    assert 0 == after.returncode, after.stderr
    assert undisturbed == digests(out)
    assert [".journal"] == [path.suffix for path in out.glob(".*") if path.suffix not in (".index", ".jsonl")]


# Real ones.


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of few megabytes, in memory or of a block device, which is written past the page cache.

    Where the machine does not allow that, there are the limits of a process.
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if request.param == "ext4":
        image = tmp_path / "ext4"
        image.touch()
        os.truncate(image, 4_000_000)
        subprocess.run([needs("mkfs.ext4"), "-q", "-O", "^has_journal", "-m", "0", "-N", "64", image], check=True)
        mount = ["mount", "-o", "loop", str(image), str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no mounts here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


class _AfterPlanning(Recording):
    """Calls what it is given when the plan is made and the room for it has been found enough."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        self._then()


def options(raw: Path, out: Path) -> Options:
    return Options(root=raw, dest=str(out), meta=raw / "classes.txt", shards=10, workers=2)


def fill(disk: Path, leave_bytes: int) -> Path:
    """Take all but so much of the room."""
    status = os.statvfs(disk)
    ballast = disk / "ballast"
    with contextlib.suppress(OSError):  # the file system's own notes may take what was to be left
        ballast.write_bytes(bytes(status.f_bavail * status.f_bsize - leave_bytes))
    return ballast


@pytest.mark.parametrize("leave_bytes", [0, 4096, 30_000, 150_000])
def test_full_disk(raw: Path, undisturbed: dict[str, str], small_disk: Path, leave_bytes: int) -> None:
    """A disk that fills up under the run stops it by name, with what is needed; after making room it continues."""
    out = small_disk / "out"
    with pytest.raises(DestinationError) as caught:
        convert(options(raw, out), _AfterPlanning(lambda: fill(small_disk, leave_bytes)))
    message = re.fullmatch(
        r"(.*) cannot be written: No space left on device. (\d+) of 10 shards (?:is|are) done; the others need up to "
        r"[\d,]+ bytes, and [\d,]+ are free. Mend that, and the same command continues; or choose another dest.",
        str(caught.value),
    )
    assert message, caught.value
    assert os.path.dirname(message[1]) == str(out)
    shards = {name: digest for name, digest in digests(out).items() if name.endswith(".tar")}
    assert undisturbed.items() >= shards.items()
    assert int(message[2]) <= len(shards) < 10
    assert not list(out.glob("*.partial")) + list(out.glob(".*.partial"))
    with pytest.raises(DestinationError, match="bytes free, and the shards need up to .* Make .* bytes of room"):
        convert(options(raw, out))
    (small_disk / "ballast").unlink()
    assert int(message[2]) == convert(options(raw, out)).kept_shards
    assert undisturbed == digests(out)


def test_full_disk_before_the_manifest(raw: Path, undisturbed: dict[str, str], small_disk: Path) -> None:
    """No room for the manifest alone: the shards are done, and the next run only writes that."""
    out = small_disk / "out"
    convert(options(raw, out))
    (out / "imagenet_train.json").unlink()
    ballast = fill(small_disk, 0)
    with pytest.raises(
        DestinationError, match=r"imagenet_train.json cannot be written: No space left.*All shards are done. Mend that"
    ):
        convert(options(raw, out))
    ballast.unlink()
    assert 10 == convert(options(raw, out)).kept_shards
    assert undisturbed == digests(out)


def test_read_only_destination(raw: Path, undisturbed: dict[str, str], small_disk: Path) -> None:
    """A file system that only reads is named with its error, at the start and half-way."""
    remount: list[str | Path] = ["mount", "-o", "remount,ro", small_disk]
    subprocess.run(remount, check=True)
    with pytest.raises(DestinationError, match=f"{small_disk}/out cannot hold the shards: Read-only file system"):
        convert(options(raw, small_disk / "out"))
    subprocess.run([*remount[:2], "remount,rw", small_disk], check=True)
    convert(options(raw, small_disk / "out"))
    assert undisturbed == digests(small_disk / "out")


def test_destination_that_vanishes(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """A folder that is removed under the run stops it by name; the same command makes it anew."""
    out = tmp_path / "out"
    with pytest.raises(DestinationError, match=f"{out} is not the folder any more in which this run began"):
        convert(options(raw, out), _AfterPlanning(lambda: shutil.rmtree(out)))
    convert(options(raw, out))
    assert undisturbed == digests(out)


def limited(resource_name: int, limit: int, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that may use so much of a resource, its workers too."""

    def limit_itself() -> None:
        resource.setrlimit(resource_name, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "parallel_sharder", *words],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each thread of numpy's reserves memory
        capture_output=True, text=True, timeout=100, check=False, preexec_fn=limit_itself,
    )  # fmt: skip


def test_limit_on_the_size_of_files(raw: Path, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """Where a process may not write files of a shard's size, the system's error is named; without the limit it goes."""
    out = tmp_path / "out"
    done = limited(resource.RLIMIT_FSIZE, 8192, *command(raw, out, "--workers 2"))
    assert 1 == done.returncode
    assert "imagenet_train-00000" in done.stderr
    told = (
        "cannot be written: File too large. The limit on the size of a file is 8 KB (ulimit -f). Raise it, or use a "
        "smaller --maxsize. {} done. Mend that, and the same command continues; or choose another --dest.\n"
    )
    assert done.stderr.endswith(told.format("0 of 10 shards are"))
    one = command(raw, tmp_path / "one", "--workers 0 --shards 1")
    assert limited(resource.RLIMIT_FSIZE, 8192, *one).stderr.endswith(told.format("The shard is not"))
    assert 0 == run(*command(raw, out)).returncode
    assert undisturbed == digests(out)


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of which one image has 400 MB, of zeros that take no room on the disk."""
    root = tmp_path_factory.mktemp("huge")
    expected = made.classic_train(root, images=30)
    (root / "classes.txt").write_text("".join(f"{wnid} {made.NAMES[wnid]}\n" for wnid in made.WNIDS))
    key = max(expected.wnids)
    with (root / "train" / expected.wnids[key] / f"{key}.JPEG").open("r+b") as file:
        file.truncate(400_000_000)
        file.seek(0, os.SEEK_END)
        file.write(b"\xff\xd9")
    return root


def check_out_of_memory(done: subprocess.CompletedProcess[str], cause: str, root: Path, out: Path) -> None:
    assert 1 == done.returncode, done.stderr
    assert re.search(
        rf"3 workers died writing {out}/imagenet_train-00000\d.tar \(3 samples, n\S+ to n\S+\), the last {cause}. If "
        "memory is short, use fewer --workers", done.stderr
    ), done.stderr  # fmt: skip
    assert not list(out.glob(".*.partial"))
    after = run(*command(root, out, "--workers 1"))
    assert 0 == after.returncode, after.stderr
    assert verify_shards(VerifyOptions(dest=out, source=root, meta=root / "classes.txt", workers=1)).exit_code == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_no_memory_left(huge: Path, tmp_path: Path, workers: int) -> None:
    """A worker that is refused memory is one that dies: its chunk is tried three times, then the run stops by name."""
    out = tmp_path / "out"
    done = limited(resource.RLIMIT_AS, 450_000_000, *command(huge, out, f"--workers {workers}"))
    check_out_of_memory(done, "out of memory", huge, out)


def test_killed_for_memory(huge: Path, tmp_path: Path, memory_group: Path) -> None:
    """A worker that the system kills because its control group has no memory left."""
    out = tmp_path / "out"
    limit = "memory.limit_in_bytes" if (memory_group / "memory.limit_in_bytes").exists() else "memory.max"
    (memory_group / limit).write_text("250000000")
    join = f"echo $$ >{memory_group}/cgroup.procs && exec "
    words = [sys.executable, "-m", "parallel_sharder", *command(huge, out, "--workers 2")]
    done = subprocess.run(
        ["bash", "-c", join + shlex.join(words)], capture_output=True, text=True, timeout=100, check=False
    )
    check_out_of_memory(done, "killed by SIGKILL", huge, out)


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group of memory, of our own; where there can be none, there are the limits of a process."""
    top = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("memory", ""):
            group = (top / "memory" if controllers else top) / path.lstrip("/") / "parallel_sharder_tests"
            try:
                group.mkdir()
            except OSError:
                continue
            if (group / "memory.limit_in_bytes").exists() or (group / "memory.max").exists():
                yield group
                group.rmdir()
                return
            group.rmdir()
    pytest.skip("no control group of memory can be made here")
