"""The check of other tools' tars: what readers lose is a fault, and every dialect that they read is none."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from parallel_sharder import Options, convert
from tests import made
from tests.foreign import PICTURE, check, faults, of_shard, remarks, samples, tar_of

SOUND = tar_of(samples("a", "b"))


def _end_of_members(data: bytes) -> int:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        last = archive.getmembers()[-1]
        return last.offset_data + last.size + -last.size % 512


MEMBERS_END = _end_of_members(SOUND)


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_dialects_are_no_faults(tmp_path: Path, tar_format: int) -> None:
    """What Python's tarfile writes is sound in each format, long names and fractions of seconds too."""
    members = [*samples("a"), *samples("x" * 90 + "/" + "b" * 90), *samples("d.1/c")]
    verdict = of_shard(tmp_path, tar_of(members, tar_format, mtime=int(time.time())))
    assert ("", 3, 0) == (faults(verdict), verdict.samples, verdict.exit_code)
    wanted = {
        tarfile.USTAR_FORMAT: "names that are divided between two fields",
        tarfile.GNU_FORMAT: "long names in headers of GNU tar",
        tarfile.PAX_FORMAT: "PAX headers",
    }
    assert wanted[tar_format] in remarks(verdict) or tar_format == tarfile.PAX_FORMAT


def test_webdatasets_writer(tmp_path: Path) -> None:
    """Shards of webdataset's ShardWriter are sound, and their PAX headers are remarked once a shard."""
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(str(tmp_path / "x-%06d.tar"), maxcount=2, verbose=0) as sink:
        for number in range(5):
            sink.write({"__key__": f"s{number}", "jpg": PICTURE, "cls": number, "json": {"a": 1}})
    verdict = check(tmp_path)
    assert ("", 5, 3) == (faults(verdict), verdict.samples, verdict.shards)
    assert 3 == sum("PAX headers" in each.detail for each in verdict.remarks)


@pytest.mark.parametrize("program", [["tar"], ["bsdtar"], ["tar", "--format=v7"], ["tar", "--format=posix"]])
def test_tar_programs(tmp_path: Path, program: list[str]) -> None:
    """Folders that GNU tar or bsdtar packs are sound: names that begin with ./, entries for folders, full records."""
    if shutil.which(program[0]) is None:
        pytest.skip(f"there is no {program[0]} here")
    (tmp_path / "in" / "n.1").mkdir(parents=True)
    for name, content in samples("a", "n.1/b"):
        (tmp_path / "in" / name).write_bytes(content)
    subprocess.run([*program, "-cf", str(tmp_path / "x-0.tar"), "-C", str(tmp_path / "in"), "."], check=True)
    verdict = check(tmp_path)
    assert ("", 2, 0) == (faults(verdict), verdict.samples, verdict.exit_code)
    assert "2: entries for folders" in remarks(verdict)
    assert program == ["bsdtar"] or "zeros that fill up the last record of the tar" in remarks(verdict)


@pytest.mark.parametrize("suffix", ["tar", "tgz", "tar.gz", "tar.zst"])
def test_ours_without_manifest(tmp_path: Path, suffix: str) -> None:
    """What this tool writes is sound without its manifest too, and only its compression is remarked."""
    made.classic_train(tmp_path / "raw", images=8, annotated=4)
    convert(Options(root=tmp_path / "raw", dest=str(tmp_path / f"out/x-%04d.{suffix}"), shards=2, workers=0))
    (tmp_path / "new").mkdir()
    for path in (tmp_path / "out").glob("x-*"):
        path.rename(tmp_path / "new" / path.name)
    verdict = check(tmp_path / "new")
    assert ("", 8, 0) == (faults(verdict), verdict.samples, verdict.exit_code)
    details = {each.detail for each in verdict.remarks if not each.detail.startswith("samples whose fields")}
    assert details == (
        set() if suffix == "tar" else {f"the ending .{suffix}, which wids, DALI and energon cannot read"}
    )


def test_several_zstd_frames(tmp_path: Path) -> None:
    """All readers read them, and frames without content, as pzstd writes them; so they are no fault."""
    pack = zstandard.ZstdCompressor().compress
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    verdict = of_shard(tmp_path, skipped + pack(SOUND[:1000]) + skipped + pack(SOUND[1000:]), "x-0.tar.zst")
    assert ("", 2) == (faults(verdict), verdict.samples)
    verdict = of_shard(tmp_path, pack(SOUND) + b"junk", "x-0.tar.zst")
    assert "cannot be read on: the file has more bytes after a zstd frame" in faults(verdict)


def _with_link(kind: bytes) -> bytes:
    header = tarfile.TarInfo("l.jpg")
    header.type, header.linkname = kind, "a.jpg"
    return SOUND[:MEMBERS_END] + header.tobuf() + bytes(1024)


def _flipped(offset: int) -> bytes:
    return SOUND[:offset] + bytes([SOUND[offset] ^ 1]) + SOUND[offset + 1 :]


@pytest.mark.parametrize(
    ("data", "offset", "finding"),
    [
        (b"", 0, "is empty"),
        (b"<html>404</html>", 0, "ends with 16 bytes that are no header"),
        (b"<html>" * 200, 0, "has neither a whole header here nor the archive's end (invalid header)"),
        (_flipped(1024), 1024, "has neither a whole header here nor the archive's end (bad checksum)"),
        (SOUND[:MEMBERS_END], MEMBERS_END, "ends with 0 bytes of zeros; a tar ends with 1,024"),
        (SOUND[: MEMBERS_END + 512], MEMBERS_END, "ends with 512 bytes of zeros; a tar ends with 1,024"),
        (SOUND[:1024], 1024, "ends with 0 bytes of zeros"),
        (SOUND[:1600], 1600, "ends within a.jpg: it has 64 of"),
        (SOUND[:1300], 1024, "ends with 276 bytes that are no header"),
        (SOUND + SOUND, MEMBERS_END, f"has behind its end, at offset {len(SOUND):,}, a second archive"),
        (SOUND + b"junk", MEMBERS_END, f"has behind its end, at offset {len(SOUND):,}, bytes that belong to no"),
        (SOUND + bytes(2 << 20), MEMBERS_END, "ends with 2,105,344 bytes of zeros, as an unfinished download does"),
        (_with_link(tarfile.SYMTYPE), MEMBERS_END, "l.jpg is a link to a.jpg, and readers pass over it"),
        (_with_link(tarfile.LNKTYPE), MEMBERS_END, "l.jpg is a link to a.jpg, and readers pass over it"),
        (_with_link(tarfile.FIFOTYPE), MEMBERS_END, "l.jpg is a device or a pipe"),
        (_with_link(b"V"), MEMBERS_END, "l.jpg is of the type b'V'"),
        (_with_link(tarfile.GNUTYPE_SPARSE), MEMBERS_END, "l.jpg is a sparse file"),
        (gzip.compress(SOUND), 0, "is compressed by gzip, which its name does not say"),
    ],
)
def test_faults_of_tars(tmp_path: Path, data: bytes, offset: int, finding: str) -> None:
    """Each is named with its shard and offset, and ends with status 1."""
    verdict = of_shard(tmp_path, data)
    assert f"x-000.tar  {offset}: {finding}" in faults(verdict).replace("x-000.tar None", "x-000.tar")
    assert (1, 1) == (verdict.exit_code, len(verdict.deviations))


def _several(data: bytes) -> bytes:
    return gzip.compress(data[:3000]) + gzip.compress(data[3000:])


@pytest.mark.parametrize(
    ("pack", "finding"),
    [
        (_several, "cannot be read on: the file has more bytes after its gzip member"),
        (lambda data: gzip.compress(data)[:-12], "cannot be read on: the file ends within its gzip member"),
        (lambda data: gzip.compress(data[:MEMBERS_END]), "ends with 0 bytes of zeros"),
        (lambda data: data, "cannot be read on: Error -3 while decompressing data: incorrect header check"),
    ],
)
def test_faults_of_compressed_tars(tmp_path: Path, pack: Callable[[bytes], bytes], finding: str) -> None:
    """A cut, a further gzip member and a wrong ending are found; offsets are those before compression."""
    verdict = of_shard(tmp_path, pack(SOUND), "x-000.tgz")
    assert finding in faults(verdict)
    assert 1 == verdict.exit_code


def test_every_cut_is_found(tmp_path: Path) -> None:
    """A shard that lacks its end is never sound, wherever it was cut, and the check returns."""
    for end in [*range(0, MEMBERS_END + 1024, 512), *range(1, MEMBERS_END, 1777)]:
        assert 1 == of_shard(tmp_path, SOUND[:end]).exit_code, end


@pytest.mark.parametrize(
    ("fields", "remark"),
    [
        ({"mode": 0o600}, "6: modes by which not everybody may read the files"),
        ({"uname": "alice"}, "6: names of owners or groups"),
        ({"type": tarfile.CONTTYPE}, "6: regular files of another type than 0"),
    ],
)
def test_remarks_on_headers(tmp_path: Path, fields: dict[str, Any], remark: str) -> None:
    """They are counted once for each kind and shard, and are no faults."""
    verdict = of_shard(tmp_path, tar_of(samples("a", "b"), **fields))
    assert remark in remarks(verdict)
    assert ("", 0) == (faults(verdict), verdict.exit_code)


def test_damaged_extended_headers(tmp_path: Path) -> None:
    """One that is too long, cut off, senseless, or without a member behind it is a fault."""
    header = tarfile.TarInfo("p")
    header.type = tarfile.XHDTYPE
    for size, content, finding in (
        (5 << 30, b"", "has an extended header of 5,368,709,120 bytes"),
        (1000, b"", "ends within an extended header"),
        (11, b"11 a=bcdef\n" + bytes(501), "has an extended header, and no member behind it"),
        (22, b"22 GNU.sparse.major=1\n" + bytes(490) + SOUND, "has a sparse file"),
    ):
        header.size = size
        data = header.tobuf(tarfile.GNU_FORMAT) + content + (bytes(1024) if content else b"")
        assert finding in faults(of_shard(tmp_path, data)), finding
