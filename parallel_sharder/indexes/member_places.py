"""Where the members of a shard are, sample by sample: the one form that all readers' indexes are made from.

The form is columns of consecutive samples that have the same fields; a shard whose samples all have the same fields is
one group of columns. For our own shards the columns are computed (see computed.py). For anybody's shards they are made
here from the members that the headers name.

Each reader has its own rule by which it divides a member's name into key and field. The rules agree on nearly all
shards. Each index gets the samples as its own reader divides them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from parallel_sharder.tar.member_header import TarMember
from parallel_sharder.tar.ustar import BLOCK_BYTES

KeyEnd = Callable[[str], int | None]
"""A reader's rule: it returns where the key ends in a member's name, or None if the member belongs to no sample.

The field's name begins one character after the key's end.
"""


class Columns(NamedTuple):
    """Consecutive samples that have the same fields.

    Sample i begins with the header at `starts[i]`. Its member in field j is called `keys[i] + endings[j]`, and the
    member's data, of `sizes[j][i]` bytes, begin at `data[j][i]`. An ending is usually a dot and the field's name.
    """

    keys: Sequence[str]
    fields: tuple[str, ...]
    endings: tuple[str, ...]
    starts: Sequence[int]
    data: Sequence[Sequence[int]]
    sizes: Sequence[Sequence[int]]

    @property
    def end(self) -> int:
        """The offset at which the last sample ends."""
        size = self.sizes[-1][-1]
        return self.data[-1][-1] + size + -size % BLOCK_BYTES


class ShardMembers(NamedTuple):
    """The members of a shard.

    `columns` has the samples, and is None if the readers' rules do not agree on them. `named` has the members that the
    headers name, and is empty for computed members.
    """

    columns: Sequence[Columns] | None
    named: Sequence[TarMember] = ()

    @classmethod
    def of_headers(cls, named: Sequence[TarMember]) -> ShardMembers:
        """Make the members of a shard from those that its headers name."""
        text = "".join([member.name for member in named])
        if "/" in text:
            ends = [key_end(member.name) or 0 for member in named]
        else:
            ends = [member.name.find(".") for member in named]  # gives the same ends in half the time
        is_agreed = "__" not in text and min(ends, default=1) > 0  # energon passes over what begins with __
        return cls(_columns(named, ends) if is_agreed else None, named)

    def samples(self, key_end: KeyEnd) -> Sequence[Columns]:
        """Return the samples in their order, as a reader with this rule finds them.

        Members with the same key that are not adjacent belong to several samples.
        """
        if self.columns is not None:
            return self.columns
        ends = [key_end(member.name) for member in self.named]
        members = [member for member, end in zip(self.named, ends, strict=True) if end is not None]
        return _columns(members, [end for end in ends if end is not None])


def key_end(name: str) -> int | None:
    """Return where the key ends by webdataset's rule: at the first dot in the last part of the path.

    A member whose last part has no dot, or nothing before the dot, belongs to no sample.
    """
    start = name.rfind("/") + 1
    dot = name.find(".", start)
    return dot if dot > start else None


def misgrouped(samples: Sequence[Columns]) -> tuple[str, int] | None:
    """Return what an index of these samples would describe otherwise than it is, with the offset of a sample; or None.

    That is a key which stands at two places, because members of one sample lie apart or two samples have one key, and a
    field that a sample has twice (capitals make no difference, because webdataset makes them small).
    """
    for columns in samples:
        small = [field.lower() for field in columns.fields]
        if len({*small}) < len(small):
            twice = next(field for field in small if small.count(field) > 1)
            return f"{columns.keys[0]} has the field {twice} twice", columns.starts[0]
    keys = [key for columns in samples for key in columns.keys]
    if len({*keys}) == len(keys):
        return None
    starts = [start for columns in samples for start in columns.starts]
    first: dict[str, int] = {}
    for key, start in zip(keys, starts, strict=True):
        if first.setdefault(key, start) != start:
            return f"the key {key} is also at offset {first[key]:,}, and other members lie between", start
    raise AssertionError("two keys are equal")


def _columns(members: Sequence[TarMember], ends: Sequence[int]) -> list[Columns]:
    """Return the samples of these members; `ends` has where the key ends in each member's name."""
    known: dict[tuple[str, str], tuple[str, str]] = {}  # holds each pair once, to save memory
    keys = [member.name[:end] for member, end in zip(members, ends, strict=True)]
    pairs = ((member.name[end + 1 :], member.name[end:]) for member, end in zip(members, ends, strict=True))
    parted = [known.setdefault(pair, pair) for pair in pairs]
    changes = [number for number, (before, key) in enumerate(pairwise(keys), 1) if key != before]
    bounds = [0, *changes, len(keys)] if keys else []
    shapes = [parted[start:end] for start, end in pairwise(bounds)]
    found = []
    first = 0
    for shape, alike in groupby(shapes):
        behind = first + sum(1 for _ in alike)
        start, end, width = bounds[first], bounds[behind], len(shape)
        columns = [members[at:end:width] for at in range(start, start + width)]
        found.append(
            Columns(
                keys[start:end:width],
                tuple(field for field, _ in shape),
                tuple(ending for _, ending in shape),
                [member.offset for member in columns[0]],
                [[member.data for member in column] for column in columns],
                [[member.size for member in column] for column in columns],
            )
        )
        first = behind
    return found
