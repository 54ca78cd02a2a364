"""The form `shards`: a sample is a stretch of a shard that exists, whose members are stored as they are.

The members keep their order, their fields and their bytes. The worker reads the stretch straight into the shard's
buffer, in one read, and writes each header anew there, as plain ustar. Data are only moved where a header is dropped:
that of PAX or of a long name, and members that belong to no sample. A stretch whose headers are not those that were
listed is a source that has changed. Nothing is decoded.

A sample whose members lie apart has several stretches: parts of the roles `members`, `members.2` and so on.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zlib import adler32

from parallel_sharder.errors import SampleError, SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Chunk, Job, Listing, Part, Problem, Role
from parallel_sharder.samples.form import Encoded, JsonField, keys_of
from parallel_sharder.stores.blob import Blob, names_of, packed_blobs
from parallel_sharder.tar.headers import members_within
from parallel_sharder.tar.member_header import TarMember
from parallel_sharder.tar.names import key_and_field
from parallel_sharder.tar.ustar import BLOCK_BYTES, PADDING, HeaderTemplate, sum_of

if TYPE_CHECKING:
    from parallel_sharder.columns import Int64s
    from parallel_sharder.tar.writer import ShardFile

_NOTHING = Encoded(())

_KEPT_NAMES = 4096
"""How many ends of names are kept: one for each field and length of a key. Sets have some tens."""


def is_of_members(role: str) -> bool:
    """Return whether a part with this role has stretches of shards."""
    return role.partition(".")[0] == Role.MEMBERS


def members_role(number: int) -> str:
    """Return the role of the part with the stretches of this number, from 0 on."""
    return f"{Role.MEMBERS}.{number + 1}" if number else Role.MEMBERS


def written_bytes(part: Part) -> Int64s:
    """Return for each row the bytes that its stretch takes when its headers are written anew; 0 without a stretch."""
    if part.extent is not None and part.extent.shape[1] > 1:
        return part.extent[:, 1].clip(0)
    return part.size.clip(0)


class StretchesForm:
    """The Form by the name `shards`."""

    meaning = "what it held in the shards that the set was made of"
    json_fields: Sequence[JsonField] = ()
    has_boxes = False
    datasets_version = "4.7.0"

    def hub_type(self, has_classes: bool) -> Mapping[str, Any]:
        """As form.Form says."""
        del has_classes
        return {"dtype": "json"}

    def sample_bytes(self, listing: Listing) -> Int64s:
        """As form.Form says; the sizes are exact."""
        first, *others = (written_bytes(part) for part in listing.parts if is_of_members(part.role))
        return sum(others, start=first)

    def fields_of(self, listing: Listing, image_field: str | None) -> tuple[tuple[str, bool], ...]:
        """As form.Form says."""
        del image_field
        return tuple((name, count == len(listing)) for name, count in listing.fields)

    def storing(self, job: Job, key_bytes: int) -> StretchesStoring:
        """As form.Form says."""
        del key_bytes
        return StretchesStoring(job)


class StretchedSample:
    """One row of a Chunk: its stretches, the key that they have in their shard, and the bytes in the new shard."""

    __slots__ = ("blobs", "key", "old_key", "problems", "written")

    def __init__(self, key: str, old_key: str, blobs: tuple[Blob, ...], written: int) -> None:
        self.key = key
        self.old_key = old_key
        self.blobs = blobs
        self.written = written
        self.problems: tuple[Problem, ...] = ()

    def problem(self, error: SampleError) -> Problem:
        """As form.StoredSample says."""
        return Problem(Kind(error.kind), error.path, self.key, error.detail)


class StretchesStoring:
    """The Storing of samples that are stretches of shards."""

    def __init__(self, job: Job) -> None:
        self._places = job.places
        self._template = HeaderTemplate()
        self._name_ends: dict[tuple[str, int], tuple[bytes, int]] = {}

    def samples(self, chunk: Chunk) -> Iterator[StretchedSample]:
        """As form.Storing says."""
        keys = list(keys_of(chunk))
        count = len(keys)
        parts = [part for part in chunk.parts if is_of_members(part.role)]
        blobs = zip(*(packed_blobs(part, keys, count, self._places) for part in parts), strict=True)
        written = zip(*(_written(part.size, part.extent, count) for part in parts), strict=True)
        for key, old_key, each, sizes in zip(keys, names_of(parts[0], keys, count), blobs, written, strict=True):
            yield StretchedSample(key, old_key, tuple(blob for blob in each if blob is not None), sum(sizes))

    def store(self, sample: StretchedSample, shard: ShardFile) -> Encoded:
        """As form.Storing says."""
        room = shard.room(sum(blob.length for blob in sample.blobs))
        end = 0
        for blob in sample.blobs:
            stretch = room[end : end + blob.length]
            blob.read_into(stretch)
            try:
                end += self._written_anew(stretch, sample, blob.path)
            except (SourceError, ValueError) as error:
                raise _changed(blob.path) from error
        if end != sample.written:
            raise _changed(sample.blobs[0].path)
        shard.take(end)
        return _NOTHING

    def _written_anew(self, stretch: memoryview, sample: StretchedSample, path: str) -> int:
        """Make the stretch a part of our shard, in place, and return its size there.

        Raises SourceError if it has no headers where they are expected, and ValueError if a name fits no header.
        """
        key = sample.key.encode("ascii")
        key_sum, begin = sum_of(key), f"{sample.old_key}."
        end = 0
        for member in members_within(lambda at, size: stretch[at : at + size].tobytes(), 0, len(stretch), path):
            field = member.name[len(begin) :]
            if member.kind or "/" in field or not member.name.startswith(begin):
                _refuse_other_key(member)
                continue
            name_end, name_sum = self._name_ends.get((field, len(key))) or self._name_end(field, len(key))
            size = member.size
            start, data_end = end + BLOCK_BYTES, end + BLOCK_BYTES + size
            if member.data != start:
                stretch[start:data_end] = stretch[member.data : member.data + size]
            digits = b"%011o" % size
            checksum = b"%06o" % (name_sum + key_sum + (adler32(digits, 0) & 0xFFFF))
            template = self._template
            stretch[end:start] = b"".join((
                key, name_end, digits, template.before_checksum, checksum, template.after_checksum
            ))  # fmt: skip
            padding = PADDING[size % BLOCK_BYTES]
            end = data_end + len(padding)
            stretch[data_end:end] = padding
        return end

    def _name_end(self, field: str, key_bytes: int) -> tuple[bytes, int]:
        """Return the bytes between key and size in a header, and the sum of all but key and size."""
        if len(self._name_ends) >= _KEPT_NAMES:
            self._name_ends.clear()
        ending = f".{field}"
        made = self._template.name_end(ending, key_bytes), self._template.constant_sum + sum_of(ending.encode("ascii"))
        self._name_ends[field, key_bytes] = made
        return made


def _refuse_other_key(member: TarMember) -> None:
    """Raise SourceError for a member of another sample; those that belong to none are passed over."""
    if not member.kind and key_and_field(member.name) is not None:
        raise SourceError(f"{member.name} has another key")


def _written(sizes: bytes, extents: bytes, count: int) -> Iterator[int]:
    """Yield `written_bytes` of a part's `count` rows in a Chunk."""
    column = array("q", extents)[1::2] if len(extents) > 8 * count else array("q", sizes)
    return (max(0, size) for size in column)


def _changed(path: str) -> SampleError:
    return SampleError(Kind.CHANGED, path, "its headers are not those that were listed")
