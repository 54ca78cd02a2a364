"""The check of a shard's tar: every header, the padding and the end, to the byte."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from parallel_sharder.verify.deviations import Deviations
from parallel_sharder.verify.shard_reader import ShardReader
from parallel_sharder.verify.tar_check import TarCheck
from tests.sealed import FIRST, SECOND, check_damage, members_in, other_headers, packed, said, seal, verify


def _offsets(shard: Path) -> list[int]:
    with tarfile.open(shard) as archive:
        return [member.offset for member in archive]


@pytest.mark.parametrize("sealed", [False, True])
def test_cuts_at_member_boundaries(folder: Path, sealed: bool) -> None:
    """A shard that ends where a member begins is found, even if the manifest were made from it."""
    shard = folder / "out" / FIRST
    data = shard.read_bytes()
    for offset in [*_offsets(shard), len(data) - 1024, len(data) - 512]:
        shard.write_bytes(data[:offset])
        if sealed:
            seal(folder / "out")
        verdict = verify(folder)
        assert f"{FIRST}  {offset if len(data) - 512 != offset else offset - 512}: ends with" in said(verdict), offset


def _two_in_one(out: Path) -> None:
    (out / FIRST).write_bytes((out / FIRST).read_bytes() + (out / SECOND).read_bytes())


def _no_end(out: Path) -> None:
    os.truncate(out / FIRST, (out / FIRST).stat().st_size - 512)


def _long_end(out: Path) -> None:
    os.truncate(out / FIRST, (out / FIRST).stat().st_size + 8192)


def _padding(out: Path) -> None:
    data = bytearray((out / FIRST).read_bytes())
    data[512 + 100] = 1  # behind the first label
    (out / FIRST).write_bytes(data)


def _pax(out: Path) -> None:
    members = members_in(out / FIRST)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 11
    more = header.tobuf(tarfile.USTAR_FORMAT) + b"11 a=bcdef\n" + bytes(501)
    (out / FIRST).write_bytes(packed(members[:3])[:-1024] + more + packed(members[3:]))


def _header_broken(out: Path) -> None:
    data = bytearray((out / FIRST).read_bytes())
    data[_offsets(out / FIRST)[3]] ^= 1
    (out / FIRST).write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (_two_in_one, rf"{FIRST}  \d+: has an archive's end, and more bytes after it"),
        (_no_end, rf"{FIRST}  \d+: ends with 512 bytes of zeros; a tar ends with 1,024"),
        (_long_end, rf"{FIRST}  \d+: ends with 9,216 bytes of zeros"),
        (other_headers(mode=0o644), rf"{FIRST}  0: the header of n.*.cls has mode 0644"),
        (other_headers(mtime=5, uname="me"), r"has mtime 5, uname 'me'"),
        (other_headers(tar_format=tarfile.GNU_FORMAT), "has bytes that are not plain ustar"),
        (other_headers(type=tarfile.DIRTYPE), r"0: 'n.*.cls' is not a regular file of a ustar archive"),
        (_pax, r"\d+: 'pax' is not a regular file of a ustar archive"),
        (_padding, rf"{FIRST}  \d+: has bytes other than zero after n.*.cls"),
        (_header_broken, rf"{FIRST}  \d+: has neither a whole header here nor the archive's end"),
    ],
)
def test_damaged_tars(folder: Path, damage: Callable[[Path], None], finding: str) -> None:
    """What is no tar as the tool writes it is found, though the manifest agrees with it."""
    check_damage(folder, damage, finding)


def test_members_of_a_sound_tar() -> None:
    """Each comes with its name, its header's offset and what it holds; what they mean is of no concern."""
    data, deviations = packed([("x", b"one"), ("a/b", b""), ("x", bytes(513))]), Deviations("x.tar")
    shard = ShardReader(io.BytesIO(data), "x.tar", len(data), with_md5=False)
    members = [*TarCheck(shard, len(data), deviations, with_digests=False).members()]
    assert [("x", 0, b"one"), ("a/b", 1024, b""), ("x", 1536, bytes(513))] == [
        (name, offset, content.data) for name, offset, content in members
    ]
    assert ((), len(data)) == (deviations.found(), shard.position)
