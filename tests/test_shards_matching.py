"""Samples are matched by the values of their cls and JSON; what cannot be read is an error with its offset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parallel_sharder.columns import Int32s
from parallel_sharder.errors import SourceError
from parallel_sharder.sources.shards import matching as module
from parallel_sharder.sources.shards.listed import ListedShard, list_shard
from parallel_sharder.sources.shards.matching import Stretches, matching
from parallel_sharder.sources.shards.rows import rows_of
from parallel_sharder.sources.shards.where import parse
from tests.shard_files import write_shard


def matched(path: str, text: str, numbers: list[int] | None = None) -> list[bool]:
    shard = list_shard(path, rename_keys=False)
    samples = np.array(numbers or shard.images, np.int32)
    found = matching(stretches_of(path, shard, samples), parse(text))
    return [bool(each) for each in found.images]


def stretches_of(path: str, shard: ListedShard, samples: Int32s) -> Stretches:
    rows = rows_of([shard])
    offset, size = (column.astype(np.int64).tobytes() for column in (rows.offset, rows.size))
    return Stretches(path, samples.tobytes(), offset, size)


MEMBERS = [
    ("a.cls", b"3\n"), ("a.json", b'{"w": 500, "cls": 9}'),
    ("b.json", b'{"cls": 9, "w": null}'),
    ("c.cls", b"cat"), ("c.jpg", b"{"),
    ("d.json", b"[1, 2]"), ("d.json.gz", b"x"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cls == 3", [True, False, False, False]),  # the member before the JSON's name
        ("cls == 9", [False, True, False, False]),
        ("cls == 'cat'", [False, False, True, False]),
        ("w == 500", [True, False, False, False]),
        ("w != 500", [False, True, False, False]),
        ("not w == 500", [False, True, True, True]),
        ("w == null or cls == 'cat'", [False, True, True, False]),
    ],
)
def test_values(tmp_path: Path, text: str, expected: list[bool]) -> None:
    """Names are those of the JSON and `cls`; JSON that is no object has none."""
    assert expected == matched(write_shard(tmp_path / "a.tar", MEMBERS, "pax", 0.5), text)


def test_fields_in_capitals(tmp_path: Path) -> None:
    """They are the same fields, as for readers."""
    members = [("a.CLS", b"3"), ("a.Json", b'{"w": 1}'), ("b.CLS", b"3"), ("b.Json", b'{"w": 2}')]
    assert [False, True] == matched(write_shard(tmp_path / "a.tar", members), "cls == 3 and w == 2")


def test_samples_of_several_stretches(tmp_path: Path) -> None:
    """A sample whose members lie apart has the values of all its stretches."""
    members = [("a.cls", b"3"), ("b.cls", b"4"), ("c.json", b'{"w": 1}')]
    path = write_shard(tmp_path / "a.tar", members)
    assert [False, True] == matched(path, "cls == 4 and w == 1", [0, 1, 1])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "a.json is no JSON: Expecting"),
        (b"\xff", "a.json is no JSON: .*decode"),
        (b"[" * 100_000, "a.json is no JSON: .*recursion"),
        (b'{"w": ' + b"9" * 5000 + b"}", "a.json is no JSON: .*digits"),
        (b"0" * 2001, "a.json has 2,001 bytes; --where reads up to 2,000"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, words: str, typed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON that is none, or too large, is an error that names the member and the offset."""
    if content.startswith(b"0"):
        monkeypatch.setattr(module, "LIMIT_BYTES", 2000)
    path = write_shard(tmp_path / "a.tar", [("a.jpg", b""), ("a.json", content)])
    with pytest.raises(SourceError, match=f"at offset 512: {words}"):
        matched(path, "w == 1")


def test_what_is_not_compared_is_not_read(tmp_path: Path) -> None:
    """Broken JSON is in nobody's way if only the label is compared, and the sample has one."""
    path = write_shard(tmp_path / "a.tar", [("a.cls", b"1"), ("a.json", b"{")])
    assert [True] == matched(path, "cls == 1")


def test_shard_that_shrinks(tmp_path: Path) -> None:
    """A shard that has become shorter since it was listed is an error."""
    path = write_shard(tmp_path / "a.tar", [("a.json", b"{}" + b" " * 5000)])
    shard = list_shard(path, rename_keys=False)
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:3000])
    with pytest.raises(SourceError, match="a.tar has become shorter"):
        matching(stretches_of(path, shard, np.zeros(1, np.int32)), parse("w == 1"))
