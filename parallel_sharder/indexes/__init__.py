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

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from parallel_sharder.columns import Int64s


class Member(NamedTuple):
    """One file of a shard: its full name, the offsets of its (first) header and of its data, and the data's size."""

    name: str
    header: int
    data: int
    size: int

    @property
    def end(self) -> int:
        """Where the next header is."""
        return self.data + self.size + -self.size % 512


class Shard(NamedTuple):
    """What the indexes of a whole set tell of one shard; `md5` is "" if it was not asked for."""

    name: str
    samples: int
    file_bytes: int
    md5: str = ""


class Columns(NamedTuple):
    """The samples of a shard that all have the same fields, in order: a row a sample, a column a field.

    The member of sample i and field j is called `keys[i].fields[j]`, and its data, of `sizes[i, j]` bytes, begin at
    `data[i, j]`, one block behind its header.
    """

    keys: list[str]
    fields: tuple[str, ...]
    data: Int64s
    sizes: Int64s


class Field(NamedTuple):
    """One member as a part of its sample: the key, the field's name, and the member."""

    key: str
    name: str
    member: Member


def samples(members: Iterable[Member]) -> Iterator[list[Field]]:
    """The samples of a shard, each as its fields, in order.

    Key and field part at the first dot of a name's last part; what has no dot there, or nothing before it, is no
    sample's, for webdataset and for DALI alike.
    """
    fields = filter(None, map(_field, members))
    return (list(some) for _, some in groupby(fields, lambda field: field.key))


def _field(member: Member) -> Field | None:
    dot = member.name.find(".", member.name.rfind("/") + 1)
    key, name = member.name[:dot], member.name[dot + 1 :]
    return Field(key, name, member) if dot > 0 and not key.endswith("/") else None
