"""The sets of shards in a folder, found by their manifests, wids indexes, journals and the names of their shards.

`sets_in` is the only finder: it returns the sets and their states, in order of name. What a command does with a set in
a state is left to the command. This module reads manifests and wids indexes, but no shard and no journal.
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
    """Whether a set is finished, or not, or not of this tool."""

    FINISHED = "it has a sound manifest of this tool"
    UNFINISHED = "it has a journal, or shards and a damaged manifest, and no sound one"
    FOREIGN = "it has shards, or a wids index, and nothing of this tool's"


class CountedShard(NamedTuple):
    """A shard as a manifest, or another tool's wids index, lists it; `file_bytes` is 0 where the size is not listed."""

    name: str
    samples: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A set of which the folder has a file.

    `manifest` is None unless the set is finished. `listed` are the shards that the manifest lists, or another tool's
    wids index in its place. `there` are the existing files that have names of the set's shards, sorted.
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
    """Return the sets in a folder, sorted by name. Raises OSError if the folder cannot be listed.

    A manifest under another name than its set's is a copy, and counts as no set. A damaged manifest makes a set
    unfinished, but only where a journal or shards of its name exist.
    """
    there: dict[str, list[str]] = defaultdict(list)
    list_files: dict[str, _ListFile] = {}
    for file in sorted(store_of(folder).names(folder)):
        if parts := shard_name(file):
            there[set_name(parts.prefix)].append(file)
        if file.endswith(MANIFEST_SUFFIX):
            list_files[file.removesuffix(MANIFEST_SUFFIX)] = _list_file_at(os.path.join(folder, file))
    begun = {each.name for each in journals_in(folder)}
    sets = []
    for name in sorted({*there, *begun, *(name for name, file in list_files.items() if file.listed)}):
        found = list_files.get(name, _ListFile())
        if found.manifest is not None:
            state = State.FINISHED
        else:
            state = State.UNFINISHED if name in begun or found.is_damaged else State.FOREIGN
        sets.append(FoundSet(SetFiles(folder, name), state, found.manifest, found.listed, tuple(there.get(name, ()))))
    return sets


class _ListFile(NamedTuple):
    """A file with the name of a manifest: the manifest, or the shards that a wids index lists, or neither."""

    manifest: Manifest | None = None
    listed: tuple[CountedShard, ...] = ()
    is_damaged: bool = False


def _list_file_at(path: str) -> _ListFile:
    try:
        manifest = Manifest.read(path)
        if manifest is None:
            return _ListFile(listed=tuple(_listed(json_at(path) or {})))
    except ManifestError:
        return _ListFile(is_damaged=True)
    except DestinationError:  # the file was removed or changed between the two reads
        return _ListFile()
    if manifest.is_copy_at(path):
        return _ListFile()
    return _ListFile(
        manifest, tuple(CountedShard(each.name, each.samples, each.file_bytes) for each in manifest.shards)
    )


def _listed(content: Mapping[str, Any]) -> Iterator[CountedShard]:
    """Yield the shards that a wids index lists in its own folder."""
    entries = content.get("shardlist") if is_wids(content) else None
    for entry in entries if isinstance(entries, list) else ():
        if not fault(entry, _ENTRY) and "/" not in entry["url"]:
            size = entry.get("filesize")
            yield CountedShard(entry["url"], entry["nsamples"], size if type(size) is int else 0)


_ENTRY: Shape = {"url": Value("a name", lambda value: isinstance(value, str)), "nsamples": whole_number(0)}
"""The fields of a shard that every tool's wids index has; others may follow."""


def is_wids(content: Mapping[str, Any]) -> bool:
    """Return whether the JSON is a wids index."""
    return content.get("__kind__") == "wids-shard-index-v1"


def json_at(path: str) -> dict[str, Any] | None:
    """Return the JSON object in the file at `path`; None if there is no file, or no such object in it.

    Raises DestinationError if the file cannot be read.
    """
    try:
        content = json.loads(store_of(path).read(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror}. Move it out of the way.") from error
    return content if isinstance(content, dict) else None
