"""Which sets of shards a folder holds, from what their manifests or wids indexes say; and whose a file's name is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parallel_sharder.destination import ShardPattern, shard_name
from parallel_sharder.errors import DestinationError
from parallel_sharder.indexes import Shard


@dataclass(frozen=True, order=True)
class ShardSet:
    """The shards called `names`, in order of their number: one set, of one split. `owned` matches whatever name a shard
    of the set could have.
    """

    name: str
    split: str
    names: tuple[str, ...]
    owned: str

    @classmethod
    def of(cls, name: str, split: str, names: Sequence[str]) -> ShardSet:
        """The set of these shards, whose names differ in their numbers alone."""
        parts = shard_name(names[0])
        owned = f"{re.escape(parts.prefix)}[0-9]+{re.escape(parts.suffix)}" if parts else re.escape(names[0])
        return cls(name, split, tuple(names), owned)

    @classmethod
    def made(cls, pattern: ShardPattern, split: str, shard_count: int) -> ShardSet:
        """The set that a conversion makes; with no shards, what it could own."""
        names = tuple(os.path.basename(pattern.path(number)) for number in range(shard_count))
        return cls(pattern.set_name, split, names, pattern.shards)

    def owns(self, name: str) -> bool:
        """Whether that is, or was, the name of a shard of this set."""
        return re.fullmatch(self.owned, name) is not None or name in self.names


def listed_sets(folder: str) -> list[tuple[ShardSet, tuple[Shard, ...]]]:
    """The finished sets in a folder, each with its shards as its manifest, or wids index, has them."""
    found = []
    for file in sorted(os.listdir(folder or ".")):
        name = file.removesuffix(".json")
        if name == file:
            continue
        content = json_at(os.path.join(folder, file)) or {}
        if is_wids(content) and (shards := _shards(content)):
            names = [shard.name for shard in shards]
            found.append((ShardSet.of(name, split_of(name, content), names), shards))
    return found


def split_of(name: str, manifest: Mapping[str, Any]) -> str:
    """The split of a set: what its manifest says, or the last word of its name."""
    choices = manifest.get("options")
    split = choices.get("split") if isinstance(choices, dict) else None
    return split if isinstance(split, str) else re.split("[-_]", name)[-1]


def is_wids(content: Mapping[str, Any]) -> bool:
    """Whether that is what a wids index says."""
    return content.get("__kind__") == "wids-shard-index-v1"


def json_at(path: str) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no file, or something else in it.

    Raises DestinationError if it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror}. Move it out of the way.") from error
    return content if isinstance(content, dict) else None


def _shards(index: Mapping[str, Any]) -> tuple[Shard, ...]:
    """The shards of a wids index that lie beside it."""
    entries = index.get("shardlist")
    return tuple(_each(entries)) if isinstance(entries, list) else ()


def _each(entries: list[Any]) -> Iterator[Shard]:
    for entry in entries:
        match entry:
            case {"url": str(name), "nsamples": int(samples), **more} if "/" not in name:
                size = more.get("filesize")
                yield Shard(name, samples, size if isinstance(size, int) else 0)
