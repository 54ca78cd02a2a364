"""The values of --root become the paths of shards, in an order that users expect, or are refused with what is there."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.shards.expand import expand, is_shard_pattern, names_of


def files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1024))


def expanded(*roots: str) -> list[str]:
    return [*expand(roots).paths]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a-{8..11}", "a-8 a-9 a-10 a-11"),
        ("a-{008..011}", "a-008 a-009 a-010 a-011"),
        ("a-{8..011}", "a-008 a-009 a-010 a-011"),
        ("a-{0..2}", "a-0 a-1 a-2"),
        ("a-{2..0}", "a-2 a-1 a-0"),
        ("{b,a}-{1..2}", "b-1 b-2 a-1 a-2"),
        ("a{,b}", "a ab"),
        ("{a,b{1..2}}", "a b1 a b2"),
        ("plain", "plain"),
    ],
)
def test_braces(pattern: str, expected: str) -> None:
    """Ranges keep their width and direction, and lists their order."""
    assert expected.split() == names_of(pattern)


@pytest.mark.parametrize("pattern", ["a-{x}", "a-{0..}", "a-{}", "a-{0..1000000}"])
def test_braces_refused(pattern: str, typed: None) -> None:
    """Braces that are no range and no list, or stand for too many names, are refused."""
    with pytest.raises(SourceError, match=r"--root a-\{"):
        names_of(pattern)


def test_order(tmp_path: Path) -> None:
    """Numbers are sorted by value, and the values of --root keep their order."""
    files(tmp_path, "x-9.tar", "x-10.tar", "x-2.tar", "a-1.tar", "notes.txt")
    names = [os.path.basename(path) for path in expanded(f"{tmp_path}/x-*.tar", f"{tmp_path}/a-{{1..1}}.tar")]
    assert ["x-2.tar", "x-9.tar", "x-10.tar", "a-1.tar"] == names
    assert ["a-1.tar", "x-2.tar", "x-9.tar", "x-10.tar"] == [*map(os.path.basename, expanded(str(tmp_path)))]
    assert [f"{tmp_path}/x-2.tar"] == expanded(f"{tmp_path}/x-2.tar")


def test_deep_wildcards(tmp_path: Path) -> None:
    """Two stars stand for folders of any depth."""
    files(tmp_path, "a/0.tar", "a/b/1.tar", "2.tar")
    assert ["2.tar", "a/0.tar", "a/b/1.tar"] == [
        os.path.relpath(path, tmp_path) for path in expanded(f"{tmp_path}/**/*.tar")
    ]


def test_exact_name_first(tmp_path: Path) -> None:
    """A file whose name looks like a pattern is meant itself."""
    files(tmp_path, "a[1].tar", "a1.tar")
    assert [f"{tmp_path}/a[1].tar"] == expanded(f"{tmp_path}/a[1].tar")
    assert not is_shard_pattern(f"{tmp_path}/a[1].tar")
    assert is_shard_pattern(f"{tmp_path}/a[2].tar")


@pytest.mark.parametrize(
    ("root", "complaint"),
    [
        ("y-*.tar", r"y-\*.tar matches no file. \S+ has empty, notes.txt, x-0.tar, x-1.tar \(.tar: 2, "),
        ("nowhere/y-0.tar", r"nowhere/y-0.tar does not exist. \S+ has empty, notes.txt"),
        ("x-{0..3}.tar", r"2 names have no file: \S+/x-2.tar, \S+/x-3.tar. \S+ has .* Copy what is missing"),
        ("empty/*.tar", r"matches no file. \S+/empty is empty"),
        ("empty", r"/empty has no file that ends in .tar. \S+/empty is empty"),
        ("*", r"/empty is a folder, and shards are files"),
    ],
)
def test_nothing_there(tmp_path: Path, root: str, complaint: str, typed: None) -> None:
    """What matches nothing, or not all, is refused with what is there."""
    files(tmp_path, "notes.txt", "x-0.tar", "x-1.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=complaint):
        expanded(f"{tmp_path}/{root}")


ZSTD = b"\x28\xb5\x2f\xfd12345678"


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("a.tgz", gzip.compress(b"x")),
        ("a.tar.gz", gzip.compress(b"x")),
        ("b.tar.zst", ZSTD),
        ("b.tar", ZSTD),
        ("b.tar.xz", b"\xfd7zXZ\0"),
        ("b.tar.bz2", b"BZh91AY"),
    ],
)
def test_compressed(tmp_path: Path, name: str, begin: bytes) -> None:
    """A compressed shard is known by its first bytes, whatever its name is; also in a folder."""
    (tmp_path / name).write_bytes(begin)
    files(tmp_path, "plain.tar")
    for root in (f"{tmp_path}/*", str(tmp_path)):
        assert (f"{tmp_path}/{name}",) == expand([root]).packed
        assert 2 == len(expand([root]).paths)


def test_parquet(tmp_path: Path, typed: None) -> None:
    """A Parquet file is no shard, whatever its name is."""
    (tmp_path / "a.tar").write_bytes(b"PAR1" + bytes(600))
    with pytest.raises(SourceError, match=r"/a.tar is a Parquet file, and shards are tars. Name it with --table"):
        expanded(f"{tmp_path}/a.tar")


def test_named_twice(tmp_path: Path) -> None:
    """A shard that is named twice, by a link or by two patterns, is refused with both names."""
    files(tmp_path, "a.tar")
    os.link(tmp_path / "a.tar", tmp_path / "b.tar")
    with pytest.raises(SourceError, match=r"a.tar and \S+b.tar are one file, which is named twice"):
        expanded(f"{tmp_path}/*.tar")
    with pytest.raises(SourceError, match=r"/a.tar is named twice"):
        expanded(f"{tmp_path}/a.tar", f"{tmp_path}/a.tar")


def test_sets_of_this_tool(tmp_path: Path) -> None:
    """Of a folder, sets with our manifest or journal are passed over and named; a pattern names them all the same."""
    files(tmp_path, "made-000000.tar", "begun-000000.tar", ".begun.journal", "other-000000.tar", "other.json")
    (tmp_path / "made.json").write_text(json.dumps({"tool": {"name": "parallel_sharder"}}))
    assert ((f"{tmp_path}/other-000000.tar",), ("begun", "made")) == expand([str(tmp_path)])[:2]
    assert [f"{tmp_path}/made-000000.tar"] == expanded(f"{tmp_path}/made-*.tar")
    (tmp_path / "other-000000.tar").unlink()
    with pytest.raises(SourceError, match=r"only sets that this tool has made or begun: begun, made. .*begun\*.tar"):
        expanded(str(tmp_path))


def test_kinds_of_files(tmp_path: Path) -> None:
    """A pipe and a broken link are refused; nothing waits."""
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(SourceError, match=r"a.tar is a pipe, and shards are files"):
        expanded(f"{tmp_path}/a.tar")
    (tmp_path / "b.tar").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"b.tar cannot be read: it is a broken link to nowhere. Mend the link"):
        expanded(f"{tmp_path}/b.tar")
