"""What reads a shard's file: one member or one frame, from the first byte to the last, in bounded memory."""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from parallel_sharder import Options, convert
from tests.sealed import make, manifest_of, manifest_path, packed, said, seal, sign, total, verify

SKIPPABLE = struct.pack("<II", 0x184D2A50, 4) + b"note"
EMPTY = {"tgz": zlib.compressobj(wbits=31).flush(), "tar.zst": zstandard.ZstdCompressor().compress(b"")}
BEHIND = "has more bytes after its (gzip member|zstd frame)"
WITHIN = "ends within its (gzip member|zstd frame)"
NO_BEGINNING = "incorrect header|does not begin with a zstd frame"
STREAMS: dict[str, tuple[Callable[[bytes, str], bytes], str]] = {
    "twice": (lambda data, _: data + data, BEHIND),
    "an empty one behind": (lambda data, suffix: data + EMPTY[suffix], BEHIND),
    "an empty one before": (lambda data, suffix: EMPTY[suffix] + data, BEHIND),
    "a skippable frame behind": (lambda data, _: data + SKIPPABLE, BEHIND),
    "a skippable frame before": (lambda data, _: SKIPPABLE + data, NO_BEGINNING),
    "a zero behind": (lambda data, _: data + b"\0", BEHIND),
    "cut by 1": (lambda data, _: data[:-1], WITHIN),
    "cut by 3": (lambda data, _: data[:-3], WITHIN),
    "cut by 4": (lambda data, _: data[:-4], WITHIN),
    "cut by 9": (lambda data, _: data[:-9], WITHIN),
    "a wrong checksum": (lambda data, _: data[:-5] + bytes(each ^ 1 for each in data[-5:]), "cannot be read on"),
    "not compressed": (lambda data, _: packed([]), NO_BEGINNING),
    "nothing": (lambda data, _: b"", WITHIN),
}


@pytest.mark.parametrize("suffix", ["tgz", "tar.zst"])
@pytest.mark.parametrize("damage", STREAMS)
def test_one_member_and_one_frame(tmp_path: Path, suffix: str, damage: str) -> None:
    """Whatever is before, behind, or missing, is found, even where size and digest are those of the manifest."""
    shard = make(tmp_path, suffix)
    assert "" == said(verify(tmp_path))
    spoil, finding = STREAMS[damage]
    shard.write_bytes(spoil(shard.read_bytes(), suffix))
    seal(tmp_path / "out")
    verdict = verify(tmp_path)
    assert 1 == verdict.exit_code
    assert [str(shard)] == sorted({each.path for each in verdict.deviations})
    assert re.search(finding, said(verdict)), said(verdict)


def test_compressed_streams_that_break_off(finished: Path, tmp_path: Path) -> None:
    """Cut, flipped or followed by junk: a compressed shard's damage is found as well."""
    for suffix in ("tgz", "tar.zst"):
        out = tmp_path / suffix / "out"
        convert(Options(root=finished / "raw", dest=str(out / f"imagenet_train-%06d.{suffix}"), shards=3, workers=0))
        shard = out / f"imagenet_train-000000.{suffix}"
        data = shard.read_bytes()
        for damaged in (data[:-9], data[: len(data) // 2], data[:1000] + b"x" + data[1001:], data + b"junk", b""):
            shard.write_bytes(damaged)
            assert str(shard) in {each.path for each in verify(tmp_path / suffix).deviations}
        shard.write_bytes(gzip.compress(b"another stream"))
        assert str(shard) in {each.path for each in verify(tmp_path / suffix).deviations}


# Memory: what headers promise is not believed.

MEMORY_LIMIT_BYTES = 300 << 20
KEY = "n01440764_1"
LARGE = 1 << 29
UNREADABLE = "cannot be read on|is not a regular file"
ROOM = "by its header, but the tar has only"


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.mode, member.uname, member.gname = size, kind, 0o444, "bigdata", "bigdata"
    return member.tobuf(tarfile.GNU_FORMAT if size >= 1 << 33 else tarfile.USTAR_FORMAT)


def frame(start: bytes, zeros: int, window: int = 0x38) -> bytes:
    """A zstd frame of `start` and so many zeros, four bytes for 128 KB of them; `window` is its window descriptor."""
    blocks = [struct.pack("<I", len(start) << 3)[:3] + start]
    blocks += [struct.pack("<I", 1 << 1 | (1 << 17) << 3)[:3] + b"\0"] * (zeros >> 17)
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + b"".join(blocks) + b"\1\0\0"


def member(start: bytes, zeros: int) -> bytes:
    """The beginning of a gzip member of `start` and so many zeros."""
    stream = zlib.compressobj(wbits=31)
    first = stream.compress(start) + stream.flush(zlib.Z_FULL_FLUSH)
    piece = stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)
    return first + piece * (zeros >> 20)


BOMBS: dict[str, tuple[str, Callable[[], bytes], int, str]] = {
    "a large member": ("tar.zst", lambda: frame(header(f"{KEY}.jpg", LARGE), LARGE), 40_000, ROOM),
    "the manifest agrees": ("tar.zst", lambda: frame(header(f"{KEY}.jpg", LARGE), LARGE), LARGE + 1536, "ends with"),
    "a large cls": (
        "tar.zst",
        lambda: frame(header(f"{KEY}.cls", LARGE), LARGE),
        LARGE + 1536,
        "has the members cls; expected",
    ),
    "a large json": (
        "tar.zst",
        lambda: frame(header(f"{KEY}.json", LARGE), LARGE),
        LARGE + 1536,
        "largest JSON has",
    ),
    "zeros": ("tar.zst", lambda: frame(b"", LARGE), 40_000, "has more before compression than the 40,000 bytes"),
    "all zeros": ("tar.zst", lambda: frame(b"", LARGE), LARGE, f"ends with {LARGE:,} bytes of zeros"),
    "a window": ("tar.zst", lambda: frame(b"", LARGE, window=0xA8), LARGE, "cannot be read on: .*too much memory"),
    "PAX": ("tar.zst", lambda: frame(header("pax", LARGE, tarfile.XHDTYPE), LARGE), LARGE + 1536, UNREADABLE),
    "a long name": (
        "tar.zst",
        lambda: frame(header("long", LARGE, tarfile.GNUTYPE_LONGNAME), LARGE),
        LARGE,
        UNREADABLE,
    ),
    "a sparse file": ("tar.zst", lambda: frame(header("s", LARGE, tarfile.GNUTYPE_SPARSE), LARGE), LARGE, UNREADABLE),
    "base 256": ("tar.zst", lambda: frame(header(f"{KEY}.jpg", 1 << 60), LARGE), LARGE, ROOM),
    "gzip": ("tgz", lambda: member(header(f"{KEY}.jpg", LARGE), LARGE), 40_000, ROOM),
    "gzip's zeros": ("tgz", lambda: member(b"", LARGE), 40_000, "has more before compression than the 40,000 bytes"),
    "gzip, the manifest agrees": ("tgz", lambda: member(header(f"{KEY}.jpg", LARGE), LARGE), LARGE + 512, WITHIN),
    "headers": (
        "tar.zst",
        lambda: zstandard.ZstdCompressor().compress(header(f"{KEY}.txt", 0).replace(b"444", b"445") * 400_000),
        400_000 * 512,
        "cannot be read on|neither a whole header",
    ),
    "deviations": (
        "tar.zst",
        lambda: zstandard.ZstdCompressor().compress((header(f"{KEY}.txt", 0) + header("n01440764_2.x", 0)) * 200_000),
        400_000 * 512,
        "has more than 1,000 deviations, and was read no further",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_is_bounded(tmp_path: Path, bomb: str) -> None:
    """Some KB that unpack to half a GB are told from a shard in bounded memory, whatever the manifest says."""
    suffix, data, tar_bytes, finding = BOMBS[bomb]
    make(tmp_path, suffix).write_bytes(data())
    seal(tmp_path / "out", tar_bytes=tar_bytes)
    assert_bounded(tmp_path, finding)


def test_holes_are_no_memory(tmp_path: Path) -> None:
    """A shard that is not compressed can be a hole of any size."""
    shard = make(tmp_path)
    shard.write_bytes(header(f"{KEY}.jpg", LARGE))
    os.truncate(shard, LARGE + 1536)
    manifest = manifest_of(tmp_path)
    manifest["shardlist"][0] |= {"filesize": LARGE + 1536, "tar_bytes": LARGE + 1536}
    total(manifest)
    sign(manifest_path(tmp_path), manifest)
    assert_bounded(tmp_path, "has the members jpg; expected were cls, jpg, json")


def assert_bounded(folder: Path, finding: str) -> None:
    """That a process which verifies the set finds that, and has taken little memory."""
    script = (
        "import re, sys\n"
        "from parallel_sharder import VerifyOptions, verify_shards\n"
        "verdict = verify_shards(VerifyOptions(dest=sys.argv[1], workers=0))\n"
        "print(re.search('VmHWM:(.*)kB', open('/proc/self/status').read())[1], verdict.exit_code)\n"  # of this alone
        "print(verdict.text())\n"
    )
    words = [sys.executable, "-c", script, str(folder / "out")]
    output = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout
    first, rest = output.split("\n", 1)
    kilobytes, status = map(int, first.split())
    assert re.search(finding, rest), rest
    assert 1 == status
    assert kilobytes * 1024 < MEMORY_LIMIT_BYTES
