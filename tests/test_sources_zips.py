"""Kaggle's zip is read in place, as it is downloaded or packed again, and each damage is named."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from pathlib import Path

import pytest

from parallel_sharder import Options, convert, preview
from parallel_sharder.sources.zips import zip_members
from tests import made
from tests.test_sources_tar_contents import WNID, refusal, shards_of


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    made.kaggle(tmp_path / "raw")
    return made.kaggle_zip(tmp_path / "zip", tmp_path / "raw")


def test_zip_cut_short(zipped: Path) -> None:
    """A zip that is cut short has no directory, and is refused."""
    os.truncate(zipped, zipped.stat().st_size // 2)
    assert f"{zipped} is no zip, or is cut short" in refusal(zipped.parent)


def test_zip_with_other_methods(zipped: Path, tmp_path: Path) -> None:
    """Another compression than deflate is named with its entry."""
    with zipfile.ZipFile(zipped, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(f"ILSVRC/Data/CLS-LOC/train/{WNID}/{WNID}_99.JPEG", b"?")
    assert f"{WNID}_99.JPEG is compressed by method 12" in refusal(zipped.parent)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"ILSVRC/Data/CLS-LOC/train/{WNID}/../{WNID}_99.JPEG", "would lie outside"),
        (f"ILSVRC/Data/CLS-LOC/train/{WNID}/{made.WNIDS[1]}_99.JPEG", "does not belong in its folder"),
        (f"ILSVRC/Data/CLS-LOC/train/x/{WNID}_99.JPEG", "train/x is no class's folder"),
    ],
)
def test_zip_with_strange_names(zipped: Path, name: str, message: str) -> None:
    """Images outside of their class stop the run before anything is written."""
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr(name, b"?")
    assert message in refusal(zipped.parent)


def test_zip_with_a_link(zipped: Path) -> None:
    """A link in the zip is refused."""
    link = zipfile.ZipInfo(f"ILSVRC/Data/CLS-LOC/train/{WNID}/{WNID}_99.JPEG")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert f"{WNID}_99.JPEG is no plain file, but a link or a device" in refusal(zipped.parent)


def test_zip_with_a_short_directory(zipped: Path) -> None:
    """A directory that ends too early, at an entry's boundary, would lose images in silence."""
    data = bytearray(zipped.read_bytes())
    end = data.rindex(b"PK\5\6")
    length = int.from_bytes(data[end + 12 : end + 16], "little")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    last = data.rindex(b"PK\1\2", start, start + length)
    data[end + 12 : end + 16] = (last - start).to_bytes(4, "little")
    zipped.write_bytes(data)
    assert re.search(r"its directory has \d+ entries, and should have \d+", refusal(zipped.parent))


def test_zip_with_a_comment(zipped: Path, tmp_path: Path) -> None:
    """A comment that looks like the directory's end is not taken for it."""
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.comment = b"PK\5\6" + bytes(30)
    assert 40 == preview(Options(root=zipped.parent, workers=0)).samples


def test_zip_with_a_name_twice(zipped: Path) -> None:
    """A zip with the same image twice is refused, where unzip would keep one of the two."""
    with zipfile.ZipFile(zipped) as archive:
        name = next(each for each in archive.namelist() if "/train/" in each and each.endswith(".JPEG"))
    with warnings.catch_warnings(), zipfile.ZipFile(zipped, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(name, b"?")
    assert "its key occurs twice" in refusal(zipped.parent)


def test_damaged_zip_entry(zipped: Path, tmp_path: Path) -> None:
    """An entry that differs from the directory's CRC-32 is a problem of its sample."""
    with zipfile.ZipFile(zipped) as archive:
        infos = [each for each in archive.infolist() if "/train/" in each.filename and each.filename.endswith(".JPEG")]
    data = bytearray(zipped.read_bytes())
    for info in infos[:3]:
        data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0x10
    zipped.write_bytes(data)
    report = convert(Options(root=zipped.parent, dest=str(tmp_path / "out"), workers=0))
    assert (37, 3) == (report.samples, report.left_out)
    assert {"unreadable"} == {each.kind for each in report.problems}
    assert {f"{zipped}:{os.path.basename(info.filename)}" for info in infos[:3]} == {
        each.path for each in report.problems
    }


def test_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes, offsets and counts in zip64 fields are read to the same members."""
    made.kaggle(tmp_path / "raw", images=10)
    plain = made.kaggle_zip(tmp_path / "plain", tmp_path / "raw")
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    wide = made.kaggle_zip(tmp_path / "wide", tmp_path / "raw")
    assert b"PK\x06\x06" in wide.read_bytes()
    named = {member.name: (member.size, member.extent[2]) for member in zip_members(str(plain))}
    assert named == {member.name: (member.size, member.extent[2]) for member in zip_members(str(wide))}
    assert shards_of(plain.parent, tmp_path / "a") == shards_of(wide.parent, tmp_path / "b")


def test_zip_with_a_broken_zip64_field(zipped: Path) -> None:
    """An extra field that is shorter than its length says is refused (found by fuzzing)."""
    data = bytearray(zipped.read_bytes())
    entry = data.index(b"PK\1\2")
    data[entry + 20 : entry + 28] = b"\xff" * 8  # both sizes are said to be in the extra field
    data[entry + 30 : entry + 32] = b"\4\0"
    name_bytes = int.from_bytes(data[entry + 28 : entry + 30], "little")
    data[entry + 46 + name_bytes : entry + 50 + name_bytes] = b"\1\0\x10\0"
    zipped.write_bytes(data)
    assert "at offset" in refusal(zipped.parent)
