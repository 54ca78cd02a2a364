"""Compressed shards: the same bytes for any number of threads, read by the standard tools."""

from __future__ import annotations

import gzip
import os
import subprocess
import zlib
from pathlib import Path

import pytest
import xxhash
import zstandard

from parallel_sharder import ShardWriter
from parallel_sharder.tar.writer import Member
from tests.conftest import needs
from tests.reference import members_of
from tests.test_tar_writer import SUFFIXES, sample, shard_file


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_bytes_do_not_depend_on_threads(tmp_path: Path, compression: str) -> None:
    """Any number of threads gives the same single member or frame, whose content is the plain tar."""
    contents = [os.urandom(400_000), bytes(3_000_000), b"abc" * 500_000, *[os.urandom(900) for _ in range(2000)]]
    outputs = []
    for threads in (0, 1, 2, 5):
        path = tmp_path / f"x{threads}"
        kind = "none" if threads == 0 else compression
        with shard_file(str(path), compression=kind, compression_threads=threads) as shard:
            for number, content in enumerate(contents):
                shard.write([Member(f"{number}.bin", content)])
            record = shard.finish()
        outputs.append(path.read_bytes())
        assert (len(outputs[0]), len(outputs[-1])) == (record.tar_bytes, record.file_bytes)
        assert xxhash.xxh3_128_hexdigest(outputs[-1]) == record.xxh3_128
    plain, one, two, five = outputs
    assert one == two == five
    if compression == "gzip":
        decompressor = zlib.decompressobj(wbits=31)
        assert plain == decompressor.decompress(one)
        assert decompressor.eof
        assert b"" == decompressor.unused_data
        assert bytes.fromhex("1f8b0800000000") == one[:7]  # no name, no time
    else:
        assert plain == zstandard.ZstdDecompressor().decompressobj().decompress(one)
        assert 0x04 == one[4] & 0x04  # the frame carries a checksum (RFC 8878, frame header descriptor)


def shards_of_each_kind(tmp_path: Path, suffix: str) -> list[Path]:
    with ShardWriter(str(tmp_path / f"x-%06d{suffix}"), maxcount=7) as shards:
        for number in range(20):
            shards.write(sample(number, 100 * number))
    return [tmp_path / f"x-{number:06}{suffix}" for number in range(3)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_foreign_tars(tmp_path: Path, program: str, suffix: str) -> None:
    """GNU tar and bsdtar list and read each sample of each kind of shard."""
    if suffix == ".tar.zst":
        needs("zstd")  # GNU tar calls it
    paths = shards_of_each_kind(tmp_path, suffix)
    listed = [
        name
        for path in paths
        for name in subprocess.run(
            [needs(program), "-tf", path], check=True, capture_output=True, text=True
        ).stdout.splitlines()
    ]
    assert [f"s{number:04}.{field}" for number in range(20) for field in ("cls", "jpg", "json")] == listed
    last = subprocess.run([needs(program), "-xOf", paths[2], "s0019.jpg"], check=True, capture_output=True).stdout
    assert bytes([19]) * 1900 == last


def test_gzip_is_read_by_the_standard_tools(tmp_path: Path) -> None:
    """Gzip -t and Python's gzip accept the single member."""
    with ShardWriter(str(tmp_path / "x-%06d.tgz"), compression_threads=3) as shards:
        for number in range(50):
            shards.write({"__key__": f"{number}", "bin": os.urandom(100_000)})
    path = tmp_path / "x-000000.tgz"
    subprocess.run([needs("gzip"), "-t", path], check=True)
    assert 150 > len(members_of([path])) == 50
    assert gzip.decompress(path.read_bytes()).endswith(bytes(1024))
