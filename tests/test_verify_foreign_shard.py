"""The check of one shard of another tool: its samples, and the memory that it takes."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from parallel_sharder.verify.foreign_shard import check_foreign_shard
from tests.foreign import PICTURE, Members, faults, of_shard, remarks, samples, tar_of

A, B = samples("a"), samples("b")


@pytest.mark.parametrize(
    ("members", "key", "at", "fault"),
    [
        ([*A[:2], *B, A[2]], "a", 5, "has members that lie apart, the others at offset 0"),
        ([*A, *B, *A], "a", 6, "is stored twice, also at offset 0"),
        ([*A, A[0]], "a", 0, "has the field cls twice"),
        ([*A, ("a.JPG", PICTURE)], "a", 0, "has the field jpg twice"),
        ([*A, ("README", b"")], "", 3, "README has no dot in its name"),
        ([*A, (".b.jpg", PICTURE)], "", 3, ".b.jpg has a name that begins with ."),
        ([*A, ("b.cls", b"cat")], "b", 3, "its cls is no whole number (b'cat')"),
        ([*A, ("b.json", b"{")], "b", 3, "its json is no JSON"),
        ([*A, ("b.jpg", PICTURE[:-9])], "b", 3, "its jpg is a JPEG that is cut off"),
        ([*A, *B, ("c.v2.jpg", PICTURE)], "c", 6, "has the field v2.jpg, because readers end a key at its first dot"),
    ],
)
def test_faults_of_samples(tmp_path: Path, members: Members, key: str, at: int, fault: str) -> None:
    """Each is named with its key and the offset of the sample or of the member with the number `at`."""
    data = tar_of(members)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        offset = archive.getmembers()[at].offset
    verdict = of_shard(tmp_path, data)
    assert f"x-000.tar {key} {offset}: {fault}" in faults(verdict)
    assert (1, 1) == (verdict.exit_code, len(verdict.deviations))


def test_lost_members_part_no_sample(tmp_path: Path) -> None:
    """A member that readers pass over between those of one sample does not make two samples of it."""
    verdict = of_shard(tmp_path, tar_of([A[0], ("README", b""), *A[1:]]))
    assert (1, 1) == (verdict.samples, len(verdict.deviations))


def test_remarks_are_counted(tmp_path: Path) -> None:
    """A thousand equal remarks are one, with the first member's place."""
    names = [f"{number} .jpg" for number in range(1000)]
    verdict = of_shard(tmp_path, tar_of((name, PICTURE) for name in names))
    [remark] = [each for each in verdict.remarks if "white space" in each.detail]
    assert (1000, "0 ", 0) == (remark.count, remark.key, remark.offset)
    assert "white space or other characters than ASCII, which an index for DALI cannot hold (1,000: " in verdict.text()


def test_faults_have_a_limit(tmp_path: Path) -> None:
    """Of a shard in which nothing is right the first thousand faults are named, and that there are more."""
    verdict = of_shard(tmp_path, tar_of((f"{number}", b"") for number in range(1200)))
    assert 1001 == len(verdict.deviations)
    assert verdict.deviations[0].detail == "has more than 1,000 deviations, and was read no further"


def test_shard_without_samples(tmp_path: Path) -> None:
    """It is remarked where others have some; a set without any is a fault."""
    (tmp_path / "x-001.tar").write_bytes(tar_of(samples("a")))
    verdict = of_shard(tmp_path, tar_of([]))
    assert "x-000.tar 1: no sample" in remarks(verdict)
    assert 0 == verdict.exit_code
    (tmp_path / "x-001.tar").unlink()
    assert "x-%03d.tar  None: holds no sample" == faults(of_shard(tmp_path, tar_of([])))


def test_memory_is_that_of_a_member(tmp_path: Path) -> None:
    """A member of 200 MB is read in pieces, and of one that has an image's name 32 MB are kept."""
    for name, limit in (("a.bin", 8 << 20), ("a.png", 80 << 20)):
        header = tarfile.TarInfo(name)
        header.size = 200 << 20
        with (tmp_path / "x.tar").open("wb") as file:
            file.write(header.tobuf())
            file.truncate(512 + header.size + 1024)
        tracemalloc.start()
        findings = check_foreign_shard(str(tmp_path / "x.tar"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert ((), 1) == (findings.faults, findings.samples)
        assert peak < limit


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_files_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    """They are faults of the shard, and end no run."""
    if kind == "folder":
        (tmp_path / "x.tar").mkdir()
    [fault] = check_foreign_shard(str(tmp_path / "x.tar")).faults
    assert fault.detail in ("is missing", "cannot be read: it is a folder, and no regular file")
