"""Indexes: the files that single readers want beside finished shards, and one module for each reader.

    energon    .nv-meta/ and x-000000.tar.idx beside each shard: samples and members, for Megatron-Energon
    dali       x-000000.idx beside each shard: where each member is, for NVIDIA DALI's webdataset reader
    timm       _info.json: shards and counts of each split, for timm's wds reader
    openclip   sizes.json: counts of each shard, for open_clip's trainer
    wids       <set>.json: shards, counts, sizes, for the wids library; a set's manifest is one already

Each index is, byte for byte or entry for entry, what the reader's own tool writes. Where each member is stands in one
form (see member_places.py): it is computed from the plan and the records of our own shards, or read from the headers of
anybody's finished shards. energon and dali cannot have indexes of compressed shards, because a member has no offset in
the compressed file.
"""

from __future__ import annotations

from typing import NamedTuple


class Shard(NamedTuple):
    """The facts of a shard that an index of a folder can list; the digests, in hex, are "" if no MD5 was asked for."""

    name: str
    samples: int
    file_bytes: int
    md5: str = ""
    xxh3_128: str = ""
