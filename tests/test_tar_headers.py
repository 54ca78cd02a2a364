"""The members of any tar are found as Python's tarfile finds them, and whatever is missing is an error."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.errors import SourceError
from parallel_sharder.tar.headers import Stream, reader_ahead, tar_entries, tar_members
from parallel_sharder.tar.member_header import Read
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


def reading(data: bytes) -> Read:
    return lambda offset, size: data[offset : offset + size]


def members_read(data: bytes, as_stream: bool) -> list[tuple[str, int, int]]:
    if as_stream:
        found = tar_members(Stream(io.BytesIO(data), "x.tar"), 0, None, "x.tar")
    else:
        found = tar_members(reading(data), 0, len(data), "x.tar")
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


def test_members_of_other_kinds() -> None:
    """Folders and links are entries with their kind; what wants plain files passes folders over and refuses links."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind in (("f", tarfile.DIRTYPE), ("a.jpg", tarfile.REGTYPE), ("b.jpg", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "a.jpg"
            archive.addfile(member)
    read = reading(data.getvalue())
    found = [(member.name, member.offset, member.kind) for member in tar_entries(read, 0, None, "x.tar")]
    assert [("f", 0, "folder"), ("a.jpg", 512, ""), ("b.jpg", 1024, "link to a.jpg")] == found
    with pytest.raises(SourceError, match=r"at offset 1,024: b.jpg is no plain file, but a link to a.jpg"):
        list(tar_members(read, 0, None, "x.tar"))


def test_sparse_file_among_entries() -> None:
    """A file with holes is an entry of that kind."""
    member = tarfile.TarInfo("holes")
    member.type = tarfile.GNUTYPE_SPARSE
    data = bytearray(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    data[386:398] = data[398:410] = data[483:495] = b"%011o\0" % 0
    total = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    data[148:156] = b"%06o\0 " % total
    assert ["sparse file"] == [member.kind for member in tar_entries(reading(bytes(data)), 0, None, "x.tar")]


@given(st.floats(0, 2**33, allow_subnormal=False), st.text("ab/c.", min_size=1, max_size=130), st.booleans())
def test_headers_with_times(mtime: float, name: str, as_stream: bool) -> None:
    """A PAX header that holds a time, as webdataset writes it, is read as tarfile reads it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in (f"{name}1", f"{name}2"):
            member = tarfile.TarInfo(each)
            member.mtime, member.size = mtime, 3  # webdataset does so
            archive.addfile(member, io.BytesIO(b"abc"))
    with tarfile.open(fileobj=io.BytesIO(data.getvalue())) as archive:
        expected = [(member.name, member.offset_data, 3) for member in archive]
    assert expected == members_read(data.getvalue(), as_stream)


@given(st.lists(st.tuples(st.integers(0, 12_000), st.booleans()), min_size=1, max_size=12))
def test_headers_are_read_ahead_in_pages(members: list[tuple[int, bool]]) -> None:
    """Wherever a page ends between headers, the members are the same; those with PAX headers take more of it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, (size, has_times) in enumerate(members):
            member = tarfile.TarInfo(f"m{number}.bin")
            member.size, member.mtime = size, number + 0.5 * has_times
            archive.addfile(member, io.BytesIO(bytes(size)))
    with tempfile.TemporaryFile() as file:
        file.write(data.getvalue())
        file.flush()
        whole = data.getvalue()
        assert [*tar_entries(reading(whole), 0, len(whole), "x.tar")] == [
            *tar_entries(reader_ahead(file.fileno()), 0, len(whole), "x.tar")
        ]
