"""Shards as a source: each difference of a sample's members from what is stored is found."""

from __future__ import annotations

from pathlib import Path

import pytest
import xxhash

from parallel_sharder.stores.blob import Stretch
from parallel_sharder.verify.source_sample import Stored
from parallel_sharder.verify.source_stretch import StretchSource
from tests.shard_files import FORMATS, tar_bytes

MEMBERS = [("a.cls", b"1"), ("a.left.png", b"x" * 600), ("a.json", b"{}")]


def source(folder: Path, members: list[tuple[str, bytes]] = MEMBERS, dialect: str = "ustar") -> StretchSource:
    """The sample of a shard that begins with 10,240 bytes of another one."""
    data = tar_bytes(members, dialect, mtime=0.5 if dialect == "pax" else 0)
    (folder / "x.tar").write_bytes(bytes(10_240) + data)
    length = len(data.rstrip(b"\0")) // 512 * 512 + 512  # without the end blocks
    return StretchSource("a", (Stretch(str(folder / "x.tar"), 10_240, length, "x:a"),))


def stored(members: list[tuple[str, bytes]] = MEMBERS) -> Stored:
    """What the check of a shard knows of a sample."""
    entries = (name.partition(".")[2].encode() + b"\0" + xxhash.xxh3_128_digest(data) for name, data in members)
    parts = map(xxhash.xxh3_128_digest, entries)
    return Stored(b"", b"", xxhash.xxh3_128_digest(b"".join(parts)))


@pytest.mark.parametrize("dialect", FORMATS)
def test_nothing_differs(tmp_path: Path, dialect: str) -> None:
    """In whatever dialect the source has its headers."""
    sample = source(tmp_path, dialect=dialect)
    assert ([], "", "x:a") == ([*sample.differences(stored(), False)], sample.fault(), sample.path)


@pytest.mark.parametrize(
    "members",
    [
        [("a.cls", b"2"), *MEMBERS[1:]],
        [("a.cls", b"1"), ("a.right.png", b"x" * 600), MEMBERS[2]],
        [MEMBERS[1], MEMBERS[0], MEMBERS[2]],
        MEMBERS[:2],
        [*MEMBERS, ("a.txt", b"")],
    ],
)
def test_each_difference_is_found(tmp_path: Path, members: list[tuple[str, bytes]]) -> None:
    """Another content, name or order, a member less and one more."""
    found = [*source(tmp_path).differences(stored(members), False)]
    assert ["its members are not those of the source, x:a"] == found


def test_members_that_lie_apart(tmp_path: Path) -> None:
    """Several stretches of one sample are its members in order."""
    first, second = source(tmp_path, MEMBERS[:2]), Path(tmp_path, "other")
    second.mkdir()
    sample = StretchSource("a", (*first.stretches, *source(second, MEMBERS[2:]).stretches))
    assert [] == [*sample.differences(stored(), False)]


def test_what_belongs_to_no_sample(tmp_path: Path) -> None:
    """Folders, links, hidden files and what readers have for themselves are not stored, and do not count."""
    more = [("d/", b""), ("a.link", b"->a.cls"), (".hidden", b"x"), ("__meta__/a.txt", b"x"), ("README", b"x")]
    sample = source(tmp_path, [*more, *MEMBERS])
    assert [] == [*sample.differences(stored(), False)]


def test_sources_that_are_no_tar_any_more(tmp_path: Path) -> None:
    """What cannot be compared is said, and is a reason to leave a sample out."""
    sample = source(tmp_path)
    (tmp_path / "x.tar").write_bytes(b"x" * 20_480)
    [found] = sample.differences(stored(), False)
    assert found.startswith("its source x:a cannot be compared: ")
    assert sample.fault()
    (tmp_path / "x.tar").unlink()
    assert sample.fault()
