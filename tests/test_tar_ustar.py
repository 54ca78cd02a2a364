"""Headers, against Python's tarfile and a golden block."""

from __future__ import annotations

import hashlib
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.tar import ustar

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=100)
SIZES = st.integers(0, ustar.SIZE_LIMIT_BYTES - 1)


def by_tarfile(name: str, size: int, mtime: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode, info.uname, info.gname = size, mtime, 0o444, "bigdata", "bigdata"
    return info.tobuf(tarfile.USTAR_FORMAT)


@given(NAMES.filter(lambda name: not name.endswith("/")), SIZES, st.integers(0, 2**33 - 1))
def test_header_equals_tarfiles(name: str, size: int, mtime: int) -> None:
    """Any name, size and time that fit give the very block that Python's tarfile writes as ustar."""
    assert by_tarfile(name, size, mtime) == ustar.HeaderTemplate(mtime=mtime).header(name, size)


def test_golden_header() -> None:
    """One block is pinned, so that no library's change of mind becomes ours.

    Made with: python -c "from parallel_sharder.tar.ustar import *;
    print(HeaderTemplate().header('n01440764_36.jpg', 114700).hex())" and read by eye against POSIX's table.
    """
    block = ustar.HeaderTemplate().header("n01440764_36.jpg", 114_700)
    assert block[:16] == b"n01440764_36.jpg"
    assert block[100:157] == b"0000444\x000000000\x000000000\x0000000340014\x0000000000000\x00012676\x00 0"
    assert block[257:311] == b"ustar\x0000bigdata".ljust(40, b"\0") + b"bigdata".ljust(14, b"\0")
    assert "768ebc33ad1e6d4a8ad04ad235920dcf9b068e920d2f0643b72f16654c245956" == hashlib.sha256(block).hexdigest()


@given(SIZES)
def test_member_bytes(size: int) -> None:
    """A member takes whole blocks, at least its header, and never a block too many."""
    whole = ustar.member_bytes(size)
    assert whole % 512 == 0
    assert size + 512 <= whole < size + 1024
    assert whole == 512 + size + len(ustar.PADDING[size % ustar.BLOCK_BYTES])


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("x" * 101, 1, "1 to 100 bytes"),
        ("", 1, "1 to 100 bytes"),
        ("a\0b", 1, "without NUL"),
        ("k\xf6nig.jpg", 1, "not ASCII"),
        ("a.jpg", 8 * 1024**3, "8589934592 bytes is outside 0 to 8589934591"),
        ("a.jpg", -1, "-1 bytes is outside"),
    ],
)
def test_refusals_name_value_and_limit(name: str, size: int, message: str) -> None:
    """What ustar cannot hold is refused, never cut or bent."""
    with pytest.raises(ValueError, match=message):
        ustar.HeaderTemplate().header(name, size)


@pytest.mark.parametrize("choices", [{"mtime": -1}, {"mtime": 2**33}, {"uname": "x" * 32}, {"gname": "\xe4"}])
def test_template_refusals(choices: dict[str, object]) -> None:
    """So is what it cannot hold of the constant fields."""
    with pytest.raises(ValueError, match="tar header"):
        ustar.HeaderTemplate(**choices)  # type: ignore[arg-type]
