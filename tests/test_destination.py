"""Patterns: what `--dest` may be, and every name that follows from it."""

from __future__ import annotations

from pathlib import Path

import braceexpand
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.destination import ShardPattern, make_folder, refuse_full, refuse_taken, refuse_unfit
from parallel_sharder.errors import DestinationError


@pytest.mark.parametrize(
    ("dest", "first", "compression", "manifest"),
    [
        ("imagenet_{split}-%06d.tar", "imagenet_val-000000.tar", "none", "imagenet_val.json"),
        ("/a/b/x_%04d.tgz", "/a/b/x_0000.tgz", "gzip", "/a/b/x.json"),
        ("x%02d.tar.gz", "x00.tar.gz", "gzip", "x.json"),
        ("%06d.tar.zst", "000000.tar.zst", "zstd", "shards.json"),
        ("/shards", "/shards/imagenet_val-000000.tar", "none", "/shards/imagenet_val.json"),
        (".", "./imagenet_val-000000.tar", "none", "./imagenet_val.json"),
    ],
)
def test_names(dest: str, first: str, compression: str, manifest: str) -> None:
    """A pattern or a folder gives shard names, compression and manifest name."""
    pattern = ShardPattern.parse(dest, "val")
    assert (first, compression, manifest) == (pattern.path(0), pattern.compression, pattern.manifest_path)


@pytest.mark.parametrize(
    ("dest", "message"),
    [
        ("x.tar", r"no place for the shard number; write x-%06d.tar"),
        ("x-%d.tar", "exactly one shard number"),
        ("x-%6d.tar", "exactly one shard number"),
        ("%06d/x.tar", "exactly one shard number, in the file's name"),
        ("x-%06d-%06d.tar", "exactly one shard number"),
        ("x-%06d.zip", r"ends in '.zip' after the number; shards end in .tar.gz, .tgz, .tar.zst, .tar"),
        ("x-%06d", "ends in ''"),
        ("my x-%06d.tar", "spaces"),
        ("x{1,2}-%06d.tar", "braces"),
        (".x-%06d.tar", "dot"),
        ("x\udcff-%06d.tar", "printable text in UTF-8"),
        ("s3://bucket/x-%06d.tar", "is an address, not a path"),
    ],
)
def test_refused_patterns(dest: str, message: str) -> None:
    """Whatever readers could not address is refused, with the remedy."""
    with pytest.raises(ValueError, match=message):
        ShardPattern.parse(dest)


@given(st.integers(1, 9), st.integers(1, 2000))
def test_brace_pattern_expands_to_the_names(digits: int, count: int) -> None:
    """The brace pattern, expanded as webdataset does, gives each shard's name once, in order."""
    pattern = ShardPattern.parse(f"/s/x-%0{digits}d.tar")
    if count <= 10**digits:
        assert [pattern.path(n) for n in range(count)] == list(braceexpand.braceexpand(pattern.braces(count)))


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """Shards of the pattern, of any number, and its manifest are in the way; other files are not."""
    pattern = ShardPattern.parse(str(tmp_path / "x-%06d.tar"))
    refuse_taken(pattern)
    for other in ("y-000000.tar", "x-000000.tgz", "x-00000a.tar", ".x-000000.tar.1234.partial", "x-000000.tar.idx"):
        (tmp_path / other).touch()
    refuse_taken(pattern)
    (tmp_path / "x-000123.tar").touch()
    with pytest.raises(DestinationError, match=r"x-000123.tar is already there.*choose another --dest"):
        refuse_taken(pattern)
    (tmp_path / "x.json").touch()
    with pytest.raises(DestinationError, match=r"x-000123.tar and 1 more, up to .*x.json, are already there"):
        refuse_taken(pattern)


def test_room_and_digits() -> None:
    """Too few digits would spoil the order of names, too little room the end of the run: both are said before."""
    pattern = ShardPattern.parse("x-%02d.tar")
    refuse_unfit(pattern, 100)
    with pytest.raises(DestinationError, match=r"101 shards need numbers of 3 digits, and x-00.tar has 2. Write %03d"):
        refuse_unfit(pattern, 101)
    refuse_full(pattern, 10, 10)
    with pytest.raises(DestinationError, match=r"has 1,000 bytes free.*need up to 1,500. Make 500 bytes of room"):
        refuse_full(pattern, 1500, 1000)


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    """A destination inside a file is refused, by name and with the remedy."""
    (tmp_path / "file").touch()
    pattern = ShardPattern.parse(str(tmp_path / "file" / "x-%06d.tar"))
    for refused in (refuse_taken, make_folder):
        with pytest.raises(
            DestinationError, match=r"file cannot hold the shards: (Not a directory|File exists).*choose another"
        ):
            refused(pattern)
