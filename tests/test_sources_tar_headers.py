"""The members of any tar are found as Python's tarfile finds them, and whatever is missing is an error."""

from __future__ import annotations

import contextlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.tar_headers import Stream, tar_members
from tests import made


def test_negative_size() -> None:
    """A negative size in base 256 is refused: by it, the members would be listed for ever (found by fuzzing)."""
    member = tarfile.TarInfo("x")
    member.size = -512
    header = member.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(SourceError, match=r"x has a size of -512 bytes"):
        members_read(header + bytes(1024), as_stream=False)


NAMES = st.one_of(
    st.from_regex(r"[a-z0-9_]{1,20}(/[a-z0-9_.]{1,20}){0,3}", fullmatch=True),
    st.text("abcdefghij/é€._", min_size=90, max_size=230).filter(lambda name: "//" not in name and name.strip("/.")),
)
MEMBERS = st.lists(st.tuples(NAMES, st.binary(max_size=1200)), max_size=6)
DIALECTS = st.sampled_from(("v7", "ustar", "gnu", "pax"))


def tar_in(dialect: str, members: list[tuple[str, bytes]]) -> bytes:
    formats = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=formats.get(dialect, tarfile.USTAR_FORMAT)) as archive:
        for name, content in members:
            with contextlib.suppress(ValueError):  # a name that the dialect cannot hold
                made.add_bytes(archive, name, content)
    if dialect != "v7":
        return data.getvalue()
    blocks = bytearray(data.getvalue())  # as before POSIX: no magic, no owner's name, and zero for a plain file
    with tarfile.open(fileobj=io.BytesIO(bytes(blocks))) as archive:
        for member in archive:
            start = member.offset
            if blocks[start + 345]:
                continue  # the prefix is ustar's
            blocks[start + 156] = 0
            blocks[start + 257 : start + 512] = bytes(255)
            total = sum(blocks[start : start + 148]) + 8 * 32 + sum(blocks[start + 156 : start + 512])
            blocks[start + 148 : start + 156] = b"%06o\0 " % total
    return bytes(blocks)


def members_read(data: bytes, as_stream: bool) -> list[tuple[str, int, int]]:
    if as_stream:
        found = tar_members(Stream(io.BytesIO(data), "x.tar"), 0, None, "x.tar")
    else:
        found = tar_members(lambda offset, size: data[offset : offset + size], 0, len(data), "x.tar")
    return [(member.name, member.data, member.size) for member in found]


@given(DIALECTS, MEMBERS, st.booleans())
def test_members_are_those_of_tarfile(dialect: str, members: list[tuple[str, bytes]], as_stream: bool) -> None:
    """Names, offsets and sizes of all plain files are found in every dialect, in a file and in a stream."""
    data = tar_in(dialect, members)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [(member.name, member.offset_data, member.size) for member in archive if member.isreg()]
    assert expected == members_read(data, as_stream)


@given(DIALECTS, MEMBERS.filter(bool), st.data(), st.booleans())
def test_every_cut_is_noticed(
    dialect: str, members: list[tuple[str, bytes]], draw: st.DataObject, as_stream: bool
) -> None:
    """An archive that is cut before its end is an error; one that is cut in the zeros behind its end is not."""
    data = tar_in(dialect, members)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        end = max((member.offset_data + member.size + -member.size % 512 for member in archive), default=0)
    whole = members_read(data, as_stream)
    cut = draw.draw(st.integers(0, len(data) - 1))
    if cut >= end + 512:
        assert whole == members_read(data[:cut], as_stream)
    else:
        with pytest.raises(SourceError, match=r"x.tar, at offset [\d,]+: "):
            members_read(data[:cut], as_stream)
