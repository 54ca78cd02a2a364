"""Indexes that tell no more of a shard than how many samples are in it: timm's, open_clip's, and that of wids.

Sources: timm/data/readers/reader_wds.py (`_info.json`), open_clip's train/data.py (`sizes.json`), wids/wids_index.py of
webdataset (`wids-shard-index-v1`). Those of timm and open_clip take in all sets of a folder, so what is there of
others stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.members import ShardMembers
from parallel_sharder.ustar import NAME_LIMIT_BYTES

TIMM = "_info.json"
OPENCLIP = "sizes.json"

_WIDS_NAME = re.compile(r"((?:.*/)?.*?)\..*")


def is_timm(content: Mapping[str, Any]) -> bool:
    """Whether that is what an `_info.json` says."""
    splits = content.get("splits")
    return isinstance(splits, dict) and all(map(_is_timm_split, splits.values()))


def _is_timm_split(split: object) -> bool:
    if not isinstance(split, dict):
        return False
    files, lengths = split.get("filenames", []), split.get("shard_lengths", [])
    return (
        isinstance(files, list)
        and isinstance(lengths, list)
        and all(isinstance(file, str) for file in files)
        and all(type(length) is int for length in lengths)
    )


def is_openclip(content: Mapping[str, Any]) -> bool:
    """Whether that is what a `sizes.json` says."""
    return all(type(count) is int for count in content.values())


def timm_without(content: Mapping[str, Any], owned: Callable[[str], bool]) -> dict[str, Any]:
    """An `_info.json` without the shards whose names are `owned`; a split that has no others is not there any more."""
    splits = {}
    for name, split in content.get("splits", {}).items():
        files, lengths = split.get("filenames", []), split.get("shard_lengths", [])
        rest = [pair for pair in zip(files, lengths, strict=False) if not owned(pair[0])]
        if len(rest) == len(files):
            splits[name] = split
        elif rest:
            shards = [Shard(file, length, 0) for file, length in rest]
            splits[name] = {**split, **_timm_split(name, shards)}
    return {**content, "splits": splits} if content else {}


def openclip_without(content: Mapping[str, int], owned: Callable[[str], bool]) -> dict[str, int]:
    """A `sizes.json` without the shards whose names are `owned`."""
    return {name: count for name, count in content.items() if not owned(name)}


def timm(before: Mapping[str, Any], splits: Mapping[str, Sequence[Shard]]) -> bytes:
    """Timm's `_info.json`, which was `before` (empty if there was none), with the shards of these splits."""
    new = {name: _timm_split(name, shards) for name, shards in splits.items()}
    return _text({**before, "splits": dict(sorted({**before.get("splits", {}), **new}.items()))})


def _timm_split(name: str, shards: Sequence[Shard]) -> dict[str, Any]:
    return {
        "name": name,
        "filenames": [shard.name for shard in shards],
        "shard_lengths": [shard.samples for shard in shards],
        "num_samples": sum(shard.samples for shard in shards),
    }


def openclip(before: Mapping[str, Any], shards: Sequence[Shard]) -> bytes:
    """open_clip's `sizes.json`, which was `before` (empty if there was none), with these shards."""
    return _text(dict(sorted({**before, **{shard.name: shard.samples for shard in shards}}.items())))


def wids(name: str, shards: Sequence[Shard]) -> bytes:
    """The index that `widsindex create` writes of these shards; without their MD5 where that was not asked for."""
    entries = [
        {"url": shard.name, **({"md5sum": shard.md5} if shard.md5 else {}), "nsamples": shard.wids_samples,
         "filesize": shard.file_bytes}
        for shard in sorted(shards)
    ]  # fmt: skip
    return _text({"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries, "name": name})


def wids_samples(members: ShardMembers) -> int:
    """How many samples wids finds in a shard with these members. Raises ValueError for a name that wids misreads."""
    names = [member.name for member in members.named]
    keys = [key for columns in members.columns or () for key in columns.keys]
    text = "".join(names)
    is_usual = text.isascii() and text.isprintable() and max(map(len, names), default=0) <= NAME_LIMIT_BYTES
    if members.columns is not None and is_usual and len({*keys}) == len(keys):
        return len(keys)  # in a tenth of the time
    return wids_samples_named(names)


def wids_samples_named(names: Iterable[str]) -> int:
    """How many samples wids finds in a shard whose members, in order, are called so.

    It looks at a name once, and at none without a dot; the key ends at the first dot behind a folder, and can be empty:
    so a hidden file is a sample of its own. Raises ValueError for a name that wids does not read as it is.
    """
    found = dict.fromkeys(names)
    for name in found:
        size = len(name.encode("utf-8", "surrogateescape"))
        if size > NAME_LIMIT_BYTES:
            raise ValueError(f"holds {name!r}, of {size} bytes, and wids reads the first {NAME_LIMIT_BYTES} of a name")
        if "\n" in name or re.search("[\ud800-\udfff]", name):
            raise ValueError(f"holds {name!r}, and wids reads only names of one line in UTF-8")
    keys = (match[1] for match in map(_WIDS_NAME.fullmatch, found) if match)
    return sum(1 for _ in groupby(keys))


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode("ascii")
