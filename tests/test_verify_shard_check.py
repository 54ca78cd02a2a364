"""The check of a shard as a whole: its order and counts; and whatever its file holds, an answer."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from parallel_sharder.verify import deviations as limits_of_a_check
from parallel_sharder.verify.sample_check import ExpectedSet
from parallel_sharder.verify.shard_check import ExpectedShard, check_shard
from parallel_sharder.verify.shard_reader import ShardReader
from tests.sealed import FIRST, check_damage, members_in, packed


def _sample_missing(out: Path) -> None:
    (out / FIRST).write_bytes(packed(members_in(out / FIRST)[3:]))


def _samples_swapped(out: Path) -> None:
    members = members_in(out / FIRST)
    (out / FIRST).write_bytes(packed([*members[3:6], *members[:3], *members[6:]]))


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (_sample_missing, rf"{FIRST}  None: has 19 samples; the manifest says 20"),
        (_samples_swapped, rf"{FIRST} n\d+_\d+ \d+: does not follow n\d+_\d+ in the order of the set"),
    ],
)
def test_damaged_shards(folder: Path, damage: Callable[[Path], None], finding: str) -> None:
    """Sound samples in another number or order are found, though the manifest agrees with them."""
    check_damage(folder, damage, finding)


@settings(max_examples=300)
@given(data=st.data())
def test_any_bytes_are_verified_without_an_error(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """Whatever a shard has become, compressed or not, the check ends with deviations and never with an error."""
    tar = (finished / "out" / FIRST).read_bytes()
    draw = data.draw
    suffix = draw(st.sampled_from(["tar", "tgz", "tar.zst"]))
    good = {"tar": tar, "tgz": gzip.compress(tar, mtime=0), "tar.zst": zstandard.ZstdCompressor().compress(tar)}[suffix]
    mutated = bytearray(good)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(mutated)))
        start -= draw(st.sampled_from([0, start % 512]))
        mutated[start : start + draw(st.integers(0, 600))] = draw(st.binary(max_size=600))
    path = tmp_path_factory.mktemp("shard") / f"x.{suffix}"
    path.write_bytes(mutated)
    digest = xxhash.xxh3_128_hexdigest(good)
    classes = {int(cls): ("n", "") for name, cls in members_in(finished / "out" / FIRST) if name.endswith(".cls")}
    of_set = ExpectedSet(classes, "train", "original", "skip", 0)
    expected = ExpectedShard(str(path), 20, len(good), len(tar), digest, "", of_set, True)
    deviations = check_shard(expected).deviations
    if mutated == good:
        assert not [each for each in deviations if "its cls is" not in each.detail]  # the words of classes are none
    else:
        assert [each for each in deviations if "its cls is" not in each.detail]


def test_shard_that_cannot_be_read_when_enough_is_wrong(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in reading, after the last deviation that there is room for, ends the check with the same sentence."""

    def fail(reader: ShardReader) -> None:
        raise OSError(5, "Input/output error")

    path = finished / "out" / FIRST
    size = path.stat().st_size
    of_set = ExpectedSet({}, "train", "original", "skip", 0)
    expected = ExpectedShard(str(path), 20, size, size, "", "", of_set, False)
    monkeypatch.setattr(ShardReader, "read_on", fail)
    found = check_shard(expected).deviations
    assert "cannot be read: Input/output error" == found[-1].detail
    monkeypatch.setattr(limits_of_a_check, "LIMIT", len(found) - 1)
    [first, *others] = check_shard(expected).deviations
    assert f"has more than {len(found) - 1} deviations, and was read no further" == first.detail
    assert [*found[:-1]] == others
