"""Reading: the samples of one shard, of any tool, one after the other, by their headers.

Of a plain shard only the headers are read, and the members that are asked for. A compressed one is read in its order.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from parallel_sharder.engines.progress import Counts
from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.staging.copy import reading
from parallel_sharder.staging.through import through
from parallel_sharder.stores.packing import packing_of
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.tar.fields import BLOCK_BYTES
from parallel_sharder.tar.headers import members_within, reader_ahead, tar_entries
from parallel_sharder.tar.member_header import Read, TarMember
from parallel_sharder.tar.names import key_and_field
from parallel_sharder.text import counted


class Member(NamedTuple):
    """A member of a sample: its field, its size in bytes, and the offset of its content in the unpacked shard."""

    field: str
    size: int
    offset: int


class StoredSample(NamedTuple):
    """Adjacent members that have the same key: the sample at `row` of the shard, counted from 0.

    `offset` is that of its first header in the unpacked shard. `content` returns the bytes of one of its members, until
    the next sample is asked for.
    """

    path: str
    row: int
    key: str
    offset: int
    members: tuple[Member, ...]
    content: Callable[[Member], bytes]

    @property
    def length(self) -> int:
        """How many bytes of its shard it has, from its first header to the end of its last member's block."""
        end = max(member.offset + member.size for member in self.members)
        return end + -end % BLOCK_BYTES - self.offset


def samples_of(path: str) -> Generator[StoredSample]:
    """Yield the samples of the shard at `path`. Raises SourceError for a shard that is damaged or cannot be read."""
    try:
        if packing_of(path) is not None:
            with through(reading(path), Counts()) as (read, end, _):
                yield from _samples(path, read, tar_entries(read, 0, end, path), is_forward=True)
            return
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            read = reader_ahead(file.fileno())
            entries = tar_entries(read, 0, os.fstat(file.fileno()).st_size, path)
            yield from _samples(path, read, entries, is_forward=False)
    except OSError as error:
        raise unreadable(path, error) from error


@contextlib.contextmanager
def sample_at(path: str, offset: int, length: int, key: str) -> Iterator[StoredSample | None]:
    """Yield the sample of `length` bytes whose first header is at `offset` of the plain shard at `path`.

    Yield None if there is another one, or none.
    """
    with contextlib.ExitStack() as exits:
        sample = None
        with contextlib.suppress(OSError, SourceError):  # an old index leads anywhere
            file = exits.enter_context(open(path, "rb", buffering=0, opener=open_regular))
            read = reader_ahead(file.fileno())
            found = _samples(path, read, members_within(read, offset, offset + length, path), is_forward=False)
            sample = next(exits.enter_context(closing(found)), None)
        is_it = sample is not None and sample.key == key and sample.length == length
        yield sample if is_it else None


def _samples(path: str, read: Read, entries: Iterable[TarMember], *, is_forward: bool) -> Generator[StoredSample]:
    """Yield the samples of these entries, which `read` finds; if it is forward, contents are read as they come."""
    held: dict[int, bytes] = {}

    def content(member: Member) -> bytes:
        data = held[member.offset] if is_forward else read(member.offset, member.size)
        if len(data) < member.size:
            raise SourceError(f"{path} has become shorter while it was read: {counted(len(data), 'byte')} are left.")
        return data

    row, key, start = 0, None, 0
    members: list[Member] = []
    for entry in entries:
        parts = None if entry.kind else key_and_field(entry.name)
        if parts is None:
            continue
        if parts[0] != key:
            if key is not None:
                yield StoredSample(path, row, key, start, tuple(members), content)
                row += 1
            key, start = parts[0], entry.offset
            members.clear()
            held.clear()
        members.append(Member(parts[1], entry.size, entry.data))
        if is_forward:
            held[entry.data] = read(entry.data, entry.size)
    if key is not None:
        yield StoredSample(path, row, key, start, tuple(members), content)


class FoundKey(NamedTuple):
    """Whether a shard has a key, and in which row; `near` are its keys that are most like it, if it has it not."""

    path: str
    row: int | None
    near: tuple[str, ...]


NEAR = 3
"""How many keys are named that are like one that is missing."""

_LOOKED_AT = 200
"""How many keys of a shard are compared with it letter by letter, which takes 20 microseconds each."""


def find_key(path: str, key: str) -> FoundKey:
    """Return where the shard has the sample of this key. Raises SourceError as `samples_of` does."""
    keys = []
    with closing(samples_of(path)) as samples:
        for sample in samples:
            if sample.key == key:
                return FoundKey(path, sample.row, ())
            keys.append(sample.key)
    return FoundKey(path, None, tuple(nearest(key, keys)))


def nearest(key: str, keys: list[str]) -> list[str]:
    """Return the keys most like this one, the most like first: of those that begin or end as it does for longest."""
    import difflib

    def alike(other: str) -> int:
        return max(_same_beginning(key, other), _same_beginning(key[::-1], other[::-1]))

    candidates = sorted(keys, key=alike, reverse=True)[:_LOOKED_AT]
    return difflib.get_close_matches(key, candidates, NEAR, 0.5)


def _same_beginning(one: str, other: str) -> int:
    """Return how many characters at their beginning two texts share."""
    return next((number for number, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def rows_by_shard(rows: Sequence[int], sizes: Iterable[int]) -> Iterator[list[int]]:
    """Yield the rows of each shard: `rows` are those of the set, sorted, and `sizes` the samples of each shard."""
    first = at = 0
    for size in sizes:
        end = bisect_left(rows, first + size, at)
        yield [row - first for row in rows[at:end]]
        first, at = first + size, end


def count_rows(path: str) -> int:
    """Return how many samples the shard has. Raises SourceError as `samples_of` does."""
    return sum(1 for _ in samples_of(path))
