"""Indexes that tell no more of a shard than how many samples are in it: timm's, open_clip's, and that of wids.

Sources: timm/data/readers/reader_wds.py (`_info.json`), open_clip's train/data.py (`sizes.json`), wids/wids_index.py of
webdataset (`wids-shard-index-v1`). Those of timm and open_clip take in all sets of a folder, so what is there of
others stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parallel_sharder.indexes import Shard

TIMM = "_info.json"
OPENCLIP = "sizes.json"


def is_timm(content: Mapping[str, Any]) -> bool:
    """Whether that is what an `_info.json` says."""
    splits = content.get("splits")
    return isinstance(splits, dict) and all(isinstance(split, dict) for split in splits.values())


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
        {"url": shard.name, **({"md5sum": shard.md5} if shard.md5 else {}), "nsamples": shard.samples,
         "filesize": shard.file_bytes}
        for shard in sorted(shards)
    ]  # fmt: skip
    return _text({"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries, "name": name})


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode("ascii")
