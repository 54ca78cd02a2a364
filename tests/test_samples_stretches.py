"""The form of shards: members keep name, order and bytes, in plain ustar; a source that has changed is noticed."""

from __future__ import annotations

import io
import tarfile
from array import array
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallel_sharder.columns import Texts
from parallel_sharder.errors import SampleError
from parallel_sharder.model import Chunk, Job, Listing, PackedPart, Part, Place
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.samples.stretches import is_of_members, members_role
from parallel_sharder.sources.shards.listed import ListedShard, list_shard
from parallel_sharder.sources.shards.rows import rows_of
from parallel_sharder.tar.ustar import HeaderTemplate
from tests.shard_files import FORMATS, samples, tar_bytes, write_shard

FORM = FORMS["shards"]


class Held:
    """The room of a shard that is being written, and what was taken."""

    def __init__(self) -> None:
        self.taken = b""
        self._room = memoryview(b"")

    def room(self, size: int) -> memoryview:
        """Room full of what must not be left there."""
        self._room = memoryview(bytearray(b"\xee" * size))
        return self._room

    def take(self, size: int) -> None:
        """Keep what is in the room."""
        self.taken += bytes(self._room[:size])


def chunk_of(shard: ListedShard, keys: list[str] | None = None) -> Chunk:
    """A chunk with all samples of a shard; with `keys`, under these."""
    old = shard.keys.decode().split("\0")[:-1]
    keys = keys or old
    width = max(map(len, keys))
    count = len(keys)
    rows = rows_of([shard])
    extent = np.column_stack((rows.offset, rows.written)).astype(np.int64)
    names = "\0".join(old).encode() if keys != old else b""
    part = PackedPart(
        "members", ("",), bytes(4 * count), rows.size.astype(np.int64).tobytes(), extent.tobytes(), b"", names
    )
    job = Job((Place(shard.path, shard.path),), (), "none", 1, "shards", "skip")
    packed = b"".join(key.encode().ljust(width, b"\0") for key in keys)
    return Chunk(0, "", job.pack(), width, packed, array("i", [-1] * count).tobytes(), (part,))


def stored(shard: ListedShard, keys: list[str] | None = None) -> bytes:
    chunk, held = chunk_of(shard, keys), Held()
    storing = FORM.storing(Job.unpack(chunk.job), 80)
    for sample in storing.samples(chunk):
        storing.store(sample, held)  # type: ignore[arg-type]
    return held.taken


def as_ours(members: list[tuple[str, bytes]]) -> bytes:
    template = HeaderTemplate()
    return b"".join(
        template.header(name, len(content)) + content + bytes(-len(content) % 512) for name, content in members
    )


@pytest.mark.parametrize(("dialect", "mtime"), [("ustar", 0), ("gnu", 1e9), ("pax", 1e9), ("pax", 1e9 + 0.5)])
def test_members_in_every_dialect(tmp_path: Path, dialect: str, mtime: float) -> None:
    """Members of any dialect are stored with our headers, and with their names, order and bytes."""
    members = samples("x/a", "b", fields="jpg cls seg.png")
    shard = list_shard(write_shard(tmp_path / "a.tar", members, dialect, mtime), rename_keys=False)
    assert as_ours(members) == stored(shard)


CONTENTS = st.binary(max_size=1100).filter(lambda content: not content.startswith(b"->"))  # which makes a link
MEMBERS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(("jpg", "cls", "json", "a.b")), CONTENTS),
    min_size=1,
    max_size=8,
    unique_by=lambda member: member[:2],
).map(lambda members: [(f"{key * 3}.{field}", content) for key, field, content in sorted(members, key=lambda m: m[0])])


@given(MEMBERS, st.sampled_from(sorted(FORMATS)), st.sampled_from((0, 1.5)))
def test_any_members(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, bytes]], dialect: str, mtime: float
) -> None:
    """Whatever the sizes are, a shard of ours holds what the old one held, in as many bytes as was listed."""
    path = write_shard(tmp_path_factory.getbasetemp() / "any.tar", members, dialect, mtime)
    shard = list_shard(path, rename_keys=False)
    assert as_ours(members) == stored(shard)
    assert rows_of([shard]).written.sum() == len(as_ours(members))


def test_what_lies_between_is_dropped(tmp_path: Path) -> None:
    """Folders, links and members without a key are not stored, also where they lie within a sample."""
    members = [("a.jpg", b"1" * 700), ("README", b"2"), ("sub/", b""), ("a.cls", b"3"), ("a.png", b"->x"), ("a.z", b"")]
    shard = list_shard(write_shard(tmp_path / "a.tar", members, "gnu"), rename_keys=False)
    assert as_ours([members[0], members[3], members[5]]) == stored(shard)


def test_long_names_and_new_keys(tmp_path: Path) -> None:
    """A member whose key is another is stored under the new one, whatever headers its old name needs."""
    for dialect in ("gnu", "pax"):
        members = samples("k" * 150, "ä b", fields="jpg cls")
        shard = list_shard(write_shard(tmp_path / "a.tar", members, dialect), rename_keys=False)
        expected = [
            (f"new{1 + i // 2}.{name.rpartition('.')[2]}", content) for i, (name, content) in enumerate(members)
        ]
        assert as_ours(expected) == stored(shard, ["new1", "new2"])


def test_source_that_has_changed(tmp_path: Path) -> None:
    """Other headers than those that were listed are a changed source: the sample is not stored."""
    path = tmp_path / "a.tar"
    members = samples("a", fields="jpg cls")
    shard = list_shard(write_shard(path, members), rename_keys=False)
    whole = path.read_bytes()
    other_key = tar_bytes([(name.replace("a.", "b."), content) for name, content in members])
    smaller = tar_bytes([("a.jpg", members[0][1]), ("a.cls", b"")])
    fewer = tar_bytes([("a.jpg", members[0][1]), ("README", members[1][1])])
    for data in (bytes(len(whole)), b"x" * len(whole), other_key, smaller, fewer, whole[:700]):
        path.write_bytes(data)
        with pytest.raises(SampleError) as caught:
            stored(shard)
        assert "changed" == caught.value.kind
        assert f"{path}:a" == caught.value.path


def test_sizes_for_the_plan() -> None:
    """The sizes of samples are those written anew, summed over the stretches of a sample."""
    place, size = np.array([0, 0], np.int32), np.array([4096, 2048])
    part = Part("members", ("",), place, size, np.array([[0, 2048], [4096, 2048]]))
    further = Part("members.2", ("",), np.array([-1, 0], np.int32), np.array([-1, 1024]), np.array([[-1], [9000]]))
    listing = Listing((), (), (), Texts.of([b"a", b"b"]), place - 1, (part, further), ())
    assert [2048, 3072] == FORM.sample_bytes(listing).tolist()


def test_roles() -> None:
    """The parts with stretches are known by their roles."""
    roles = [members_role(number) for number in range(3)]
    assert ["members", "members.2", "members.3"] == roles
    assert all(map(is_of_members, roles))
    assert not is_of_members("txt")


def test_readable_by_tarfile(tmp_path: Path) -> None:
    """Python's tarfile reads the stored members as it read those of the source."""
    members = samples("a", "b")
    shard = list_shard(write_shard(tmp_path / "a.tar", members, "pax", 0.5), rename_keys=False)
    with tarfile.open(fileobj=io.BytesIO(stored(shard) + bytes(1024))) as archive:
        found = [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    assert members == found
