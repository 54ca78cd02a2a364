"""The sets of shards in a folder, found by their manifests, wids indexes, journals and the names of their shards.

`sets_in` is the only finder: it says what is there, and of which state, in order of name; what a command makes of a set
in that state is the command's. Reads manifests and indexes, and no shard and no journal.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.catalog.schema import Shape, Value, fault, whole_number
from parallel_sharder.errors import DestinationError, ManifestError
from parallel_sharder.pattern import set_name, shard_name
from parallel_sharder.setfiles import MANIFEST_SUFFIX, SetFiles, journals_in
from parallel_sharder.stores import store_of


class State(Enum):
    """How far a set is."""

    FINISHED = "it has a sound manifest of this tool"
    UNFINISHED = "it has a journal, or shards and a damaged manifest, and no sound one"
    FOREIGN = "it has shards, or a wids index, and nothing of this tool's"


class CountedShard(NamedTuple):
    """A shard as a manifest, or a wids index of others, lists it; `file_bytes` is 0 where that does not say it."""

    name: str
    samples: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A set that something in the folder is of.

    `manifest` is None unless the set is finished. `listed` are the shards that the manifest, or a wids index of others
    in its place, lists; `there` are the files that are called as the set's shards are, sorted, as far as names say it.
    """

    files: SetFiles
    state: State
    manifest: Manifest | None
    listed: tuple[CountedShard, ...]
    there: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the set."""
        return self.files.name


def sets_in(folder: str) -> list[FoundSet]:
    """The sets in a folder, by name. Raises OSError if the folder cannot be listed.

    A manifest under another name than its set's is a copy, and one that is damaged counts where there are shards of its
    name; else neither stands for a set.
    """
    there: dict[str, list[str]] = defaultdict(list)
    indexes: dict[str, _Index] = {}
    for file in sorted(store_of(folder).names(folder)):
        if parts := shard_name(file):
            there[set_name(parts.prefix)].append(file)
        if file.endswith(MANIFEST_SUFFIX):
            indexes[file.removesuffix(MANIFEST_SUFFIX)] = _index_at(os.path.join(folder, file))
    begun = {each.name for each in journals_in(folder)}
    sets = []
    for name in sorted({*there, *begun, *(name for name, index in indexes.items() if index.listed)}):
        index = indexes.get(name, _Index())
        if index.manifest is not None:
            state = State.FINISHED
        else:
            state = State.UNFINISHED if name in begun or index.is_damaged else State.FOREIGN
        sets.append(FoundSet(SetFiles(folder, name), state, index.manifest, index.listed, tuple(there.get(name, ()))))
    return sets


class _Index(NamedTuple):
    """What a file with the name of a manifest is."""

    manifest: Manifest | None = None
    listed: tuple[CountedShard, ...] = ()
    is_damaged: bool = False


def _index_at(path: str) -> _Index:
    try:
        manifest = Manifest.read(path)
        if manifest is None:
            return _Index(listed=tuple(_listed(json_at(path) or {})))
    except ManifestError:
        return _Index(is_damaged=True)
    except DestinationError:  # it went, or changed, between the two
        return _Index()
    if manifest.is_copy_at(path):
        return _Index()
    return _Index(manifest, tuple(CountedShard(each.name, each.samples, each.file_bytes) for each in manifest.shards))


def _listed(content: Mapping[str, Any]) -> Iterator[CountedShard]:
    """The shards of a wids index that lie beside it."""
    entries = content.get("shardlist") if is_wids(content) else None
    for entry in entries if isinstance(entries, list) else ():
        if not fault(entry, _ENTRY) and "/" not in entry["url"]:
            size = entry.get("filesize")
            yield CountedShard(entry["url"], entry["nsamples"], size if type(size) is int else 0)


_ENTRY: Shape = {"url": Value("a name", lambda value: isinstance(value, str)), "nsamples": whole_number(0)}
"""What others have in a wids index of each shard, and more."""


def is_wids(content: Mapping[str, Any]) -> bool:
    """Whether that is what a wids index says."""
    return content.get("__kind__") == "wids-shard-index-v1"


def json_at(path: str) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no file, or something else in it.

    Raises DestinationError if it cannot be read.
    """
    try:
        content = json.loads(store_of(path).read(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror}. Move it out of the way.") from error
    return content if isinstance(content, dict) else None
