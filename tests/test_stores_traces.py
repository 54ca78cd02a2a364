"""Traces: a file of ours is known by its size and digest, and a damaged copy by what it still has."""

from __future__ import annotations

from pathlib import Path

import pytest

from parallel_sharder.stores import durable
from parallel_sharder.stores.traces import identify, is_damaged_copy, trace_of, traced_identity

WHOLE = bytes(range(1, 251)) * 100  # seven blocks, none of them empty


def test_a_file_with_a_trace_is_known(tmp_path: Path) -> None:
    """It is known by any of several traces, with the identity by which its replacement is seen."""
    path = tmp_path / "x"
    path.write_bytes(b"ours")
    traces = {trace_of(b"other"), trace_of(b"ours")}
    assert durable.identity(str(path)) == traced_identity(str(path), traces)
    assert (str(path), durable.identity(str(path))) == identify((str(path), traces))


@pytest.mark.parametrize("data", [b"", b"our", b"ourz", b"ours "])
def test_a_file_of_other_bytes_is_not_known(tmp_path: Path, data: bytes) -> None:
    """Whether it has the size or not."""
    path = tmp_path / "x"
    path.write_bytes(data)
    assert traced_identity(str(path), {trace_of(b"ours")}) is None


def test_a_link_to_a_known_file_is_not_known(tmp_path: Path) -> None:
    """Nor is a missing file."""
    (tmp_path / "x").write_bytes(b"ours")
    (tmp_path / "link").symlink_to("x")
    assert traced_identity(str(tmp_path / "link"), {trace_of(b"ours")}) is None
    assert traced_identity(str(tmp_path / "none"), {trace_of(b"ours")}) is None


@pytest.mark.parametrize(
    ("there", "is_copy"),
    [
        (WHOLE, True),
        (WHOLE[:10_000], True),
        (b"", True),
        (bytes(len(WHOLE)), True),
        (b"?" + WHOLE[1:], True),
        (WHOLE + b"?", False),
        (b"?" * len(WHOLE), False),
        (WHOLE[:4096] + b"?" * 10_000, False),
    ],
    ids=["whole", "cut", "empty", "zeros", "one flipped", "longer", "another", "mostly another"],
)
def test_a_damaged_copy_has_lost_something_and_gained_nothing(tmp_path: Path, there: bytes, is_copy: bool) -> None:
    """It is no longer than the file, and more of its blocks agree than differ, but for those of zeros."""
    (tmp_path / "made").write_bytes(WHOLE)
    (tmp_path / "there").write_bytes(there)
    assert is_copy == is_damaged_copy(str(tmp_path / "there"), str(tmp_path / "made"))
