"""Indexes: what single readers want to know of finished shards. One file a reader.

    energon    .nv-meta/ and x-000000.tar.idx beside each shard: samples and members, for Megatron-Energon
    dali       x-000000.idx beside each shard: where each member is, for NVIDIA DALI's webdataset reader
    timm       _info.json: shards and counts of each split, for timm's wds reader
    openclip   sizes.json: counts of each shard, for open_clip's trainer
    wids       <set>.json: shards, counts, sizes, for the wids library; a set's manifest is one already

Each is, byte for byte or entry for entry, what the reader's own tool writes. Where each member is comes from the
headers of finished shards, anybody's (as Members), or from the plan and the records of our own (as Columns). Shards
must not be compressed for energon and dali, because there is no place to point to in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from parallel_sharder.ustar import BLOCK_BYTES


class Member(NamedTuple):
    """One file of a shard: its full name, the offsets of its (first) header and of its data, and the data's size."""

    name: str
    header: int
    data: int
    size: int

    @property
    def end(self) -> int:
        """Where the next header is."""
        return self.data + self.size + -self.size % BLOCK_BYTES


class Shard(NamedTuple):
    """What the indexes of a whole set tell of one shard; its digests, in hex, are "" if no MD5 was asked for.

    `wids_samples` are the samples as wids counts them, None if they are not known, or were not asked for.
    """

    name: str
    samples: int
    file_bytes: int
    md5: str = ""
    xxh3_128: str = ""
    wids_samples: int | None = None


class Columns(NamedTuple):
    """The samples of a shard that all have the same fields, in order.

    The member of sample i and field j is called `keys[i].fields[j]`, and its data, of `sizes[j][i]` bytes, begin at
    `data[j][i]`, one block behind its header.
    """

    keys: list[str]
    fields: tuple[str, ...]
    data: list[list[int]]
    sizes: list[list[int]]


def columns_of(members: Sequence[Member]) -> Columns | None:
    """The samples with these members as columns, which takes less time than `samples`; None if they are not all alike.

    Names are printable ASCII without blanks, slashes and backslashes then, and no header has anything before it.
    """
    if not re.fullmatch(r"[!-.0-\[\]-~]+", "".join(member.name for member in members)):
        return None
    parts = [member.name.partition(".") for member in members]
    keys = [key for key, _, _ in parts]
    width = next((number for number, key in enumerate(keys) if key != keys[0]), len(keys))
    fields = tuple(field for _, _, field in parts[:width])
    firsts = keys[::width]
    is_regular = (
        len(keys) == width * len(firsts)
        and all(keys[j::width] == firsts for j in range(width))
        and all([field for _, _, field in parts[j::width]] == [fields[j]] * len(firsts) for j in range(width))
        and all(one != next_one for one, next_one in pairwise(firsts))
        and all(member.data == member.header + BLOCK_BYTES for member in members)
    )
    if not is_regular or not all((*fields, *firsts)):
        return None
    data, sizes = [member.data for member in members], [member.size for member in members]
    return Columns(firsts, fields, [data[j::width] for j in range(width)], [sizes[j::width] for j in range(width)])


class Field(NamedTuple):
    """One member as a part of its sample: the key, the field's name, and the member."""

    key: str
    name: str
    member: Member


def samples(members: Iterable[Member], *, as_wds2idx: bool = False) -> Iterator[list[Field]]:
    """The samples of a shard, each as its fields, in order; members of one key that lie apart are several samples.

    Key and field part at the first dot of a name's last part; what has no dot there, or nothing before it, is no
    sample's for webdataset. For wds2idx a name without a dot is a field of this name, whose key lacks the last letter.
    """
    fields = (_field(member) for member in members if as_wds2idx or "." in member.name.rpartition("/")[2])
    return (list(some) for _, some in groupby(filter(None, fields), lambda field: field.key))


def _field(member: Member) -> Field | None:
    dot = member.name.find(".", member.name.rfind("/") + 1)  # -1 without one, and so cuts as wds2idx does
    key, name = member.name[:dot], member.name[dot + 1 :]
    return Field(key, name, member) if key and not key.endswith("/") else None
