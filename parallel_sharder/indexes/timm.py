"""timm's index of a folder: `_info.json`, which has the shards and the counts of each split.

Source: timm/data/readers/reader_wds.py. The file's entries for other shards stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.reader_index import JsonIndex


class Timm(JsonIndex):
    """timm's `_info.json`."""

    reader = "timm"
    file = "_info.json"
    file_names = r"_info\.json"
    nothing: ClassVar[Mapping[str, Any]] = {"splits": {}}

    @staticmethod
    def is_of_kind(content: Mapping[str, Any]) -> bool:
        """Return whether the content is that of an `_info.json`."""
        splits = content.get("splits")
        return isinstance(splits, dict) and all(map(_is_split, splits.values()))

    @staticmethod
    def without(content: Mapping[str, Any], is_owned: Callable[[str], bool]) -> dict[str, Any]:
        """Return the content without the shards whose names are owned, and without splits that have no other shards."""
        splits = {}
        for name, split in content.get("splits", {}).items():
            files, lengths = split.get("filenames", []), split.get("shard_lengths", [])
            rest = [pair for pair in zip(files, lengths, strict=False) if not is_owned(pair[0])]
            if len(rest) == len(files):
                splits[name] = split
            elif rest:
                splits[name] = {**split, **_split(name, [Shard(file, length, 0) for file, length in rest])}
        return {**content, "splits": splits} if content else {}

    def combined(self, before: Mapping[str, Any], shards: Mapping[str, Sequence[Shard]]) -> dict[str, Any]:
        """Return the content `before` with these shards added, each in its split."""
        splits = before.get("splits", {})
        new = {name: _split(name, some) for name, some in self._by_split(shards, splits).items()} if shards else {}
        return {**before, "splits": dict(sorted({**splits, **new}.items()))}


def _is_split(split: object) -> bool:
    if not isinstance(split, dict):
        return False
    files, lengths = split.get("filenames", []), split.get("shard_lengths", [])
    return (
        isinstance(files, list)
        and isinstance(lengths, list)
        and all(isinstance(file, str) for file in files)
        and all(type(length) is int for length in lengths)
    )


def _split(name: str, shards: Sequence[Shard]) -> dict[str, Any]:
    return {
        "name": name,
        "filenames": [shard.name for shard in shards],
        "shard_lengths": [shard.samples for shard in shards],
        "num_samples": sum(shard.samples for shard in shards),
    }
