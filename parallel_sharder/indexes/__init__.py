"""Indexes: what single readers want to know of finished shards. One file a reader.

    energon    .nv-meta/ and x-000000.tar.idx beside each shard: samples and members, for Megatron-Energon
    dali       x-000000.idx beside each shard: where each member is, for NVIDIA DALI's webdataset reader
    timm       _info.json: shards and counts of each split, for timm's wds reader
    openclip   sizes.json: counts of each shard, for open_clip's trainer
    wids       <set>.json: shards, counts, sizes, for the wids library; a set's manifest is one already

Each is, byte for byte or entry for entry, what the reader's own tool writes. Where each member is comes from the
headers of finished shards, anybody's, or from the plan and the records of our own: in one form, see members.py. Shards
must not be compressed for energon and dali, because there is no place to point to in them.
"""

from __future__ import annotations

from typing import NamedTuple


class Shard(NamedTuple):
    """What every index of a folder can say of one shard; its digests, in hex, are "" if no MD5 was asked for."""

    name: str
    samples: int
    file_bytes: int
    md5: str = ""
    xxh3_128: str = ""
