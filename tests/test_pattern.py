"""Patterns: what `--dest` may be, and every name that follows from it."""

from __future__ import annotations

import re
import shlex

import braceexpand
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.pattern import ShardPattern, is_pattern

pytestmark = pytest.mark.usefixtures("typed")


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
    assert (first, compression, manifest) == (pattern.path(0), pattern.compression, pattern.files.manifest)


@pytest.mark.parametrize(
    ("dest", "message"),
    [
        ("x.tar", r"no place for the shard number; write x-%06d.tar"),
        ("x-%d.tar", "exactly one shard number"),
        ("x-%6d.tar", "exactly one shard number"),
        ("%06d/x.tar", "exactly one shard number, in the file's name"),
        ("%06d/x-%06d.tar", "exactly one shard number, in the file's name"),
        ("x.tar.bz2", "no place for the shard number; write x-%06d.tar"),
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


@pytest.mark.parametrize(
    ("dest", "suggestion"),
    [
        ("foo-{000000..000010}.tar", "foo-%06d.tar"),
        ("foo-{0..147}.tgz", "foo-%03d.tgz"),
        ("x-%d.tar", "x-%06d.tar"),
        ("x-%06i.tar.gz", "x-%06d.tar.gz"),
        ("x-%8d.tar", "x-%08d.tar"),
        ("x-%(n)05d.tar", "x-%05d.tar"),
        ("x-{:06d}.tar", "x-%06d.tar"),
        ("x-{i:05}.tar", "x-%05d.tar"),
        ("x-{}.tar.zst", "x-%06d.tar.zst"),
        ("x-*.tar", "x-%06d.tar"),
        ("x-####.tar", "x-%04d.tar"),
        ("x-$i.tar", "x-%06d.tar"),
        ("x-000000.tar", "x-%06d.tar"),
        ("imagenet-1000.tar", "imagenet-1000-%06d.tar"),
        ("x-%06d-%06d.tar", "x-%06d.tar"),
        ("x-%06d-of-100.tar", "x-of-100-%06d.tar"),
        ("x-%06d", "x-%06d.tar"),
        ("x-%06d.zip", "x-%06d.tar"),
        ("x-%06d.TAR", "x-%06d.tar"),
        ("a folder/my  x.tar", "a folder/my-x-%06d.tar"),
        ("my x,y-%06d.tar", "my-x-y-%06d.tar"),
        (".x-%06d.tar", "x-%06d.tar"),
        ("/a/%06d/x.tar", "/a/x-%06d.tar"),
        ("/%06d/x.tar", "/x-%06d.tar"),
        ("x\udcff-%06d.tar", "x-%06d.tar"),
        (".tar", "%06d.tar"),
        ("%", "%06d.tar"),
    ],
)
def test_suggestions(dest: str, suggestion: str) -> None:
    """For what is no pattern, one that is meant by it, with the folder, the number of digits and the compression."""
    assert suggestion == suggested(dest)
    assert suggested(suggestion) is None


def suggested(dest: str) -> str | None:
    """What parse suggests, as a shell would hand it over; None if it takes `dest` itself."""
    try:
        ShardPattern.parse(dest)
    except ValueError as error:
        [word] = shlex.split(re.sub(r"(?s)^.*; write (.*?)(, or name a folder)?$", r"\1", str(error)))
        return word
    return None


@given(st.lists(st.sampled_from([*"ax0/%{}.,: #*$'-_~", "%06d", "%d", "{0..9}", ".tar", ".tgz"])).map("".join))
def test_every_suggestion_is_taken(dest: str) -> None:
    """Whatever is refused, but an address, is refused with a suggestion that is not."""
    if "://" not in dest and (suggestion := suggested(dest)) is not None:
        assert suggested(suggestion) is None


def test_percent_in_a_folder() -> None:
    """It is no number, as long as that is in the file's name; a folder alone is one by the slash behind it."""
    assert "/50%/x-000000.tar" == ShardPattern.parse("/50%/x-%06d.tar").path(0)
    assert "/50%/imagenet_train-000000.tar" == ShardPattern.parse("/50%/").path(0)
    assert not is_pattern("/50%/imagenet_train.json")


@given(st.integers(1, 9), st.integers(1, 2000))
def test_brace_pattern_expands_to_the_names(digits: int, count: int) -> None:
    """The brace pattern, expanded as webdataset does, gives each shard's name once, in order."""
    pattern = ShardPattern.parse(f"/s/x-%0{digits}d.tar")
    if count <= 10**digits:
        assert [pattern.path(n) for n in range(count)] == list(braceexpand.braceexpand(pattern.braces(count)))
