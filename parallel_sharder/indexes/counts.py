"""Indexes that tell no more of a shard than how many samples are in it: timm's, open_clip's, and that of wids.

Sources: timm/data/readers/reader_wds.py (`_info.json`), open_clip's train/data.py (`sizes.json`), wids/wids_index.py of
webdataset (`wids-shard-index-v1`). Those of timm and open_clip take in all sets of a folder, so what is there of
others stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from parallel_sharder.indexes import Shard

TIMM = "_info.json"
OPENCLIP = "sizes.json"


def timm(before: Mapping[str, Any], splits: Mapping[str, Sequence[Shard]]) -> bytes:
    """Timm's `_info.json`, which was `before` (empty if there was none), with the shards of these splits."""
    new = {
        name: {
            "name": name,
            "filenames": [shard.name for shard in shards],
            "shard_lengths": [shard.samples for shard in shards],
            "num_samples": sum(shard.samples for shard in shards),
        }
        for name, shards in splits.items()
    }
    return _text({**before, "splits": dict(sorted({**before.get("splits", {}), **new}.items()))})


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
