"""Which sets of shards a folder holds, from what their manifests or wids indexes say; and whose a file's name is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from parallel_sharder.errors import DestinationError, ManifestError
from parallel_sharder.indexes import Shard
from parallel_sharder.journal import is_held, past_of, progress_of
from parallel_sharder.manifest import is_copy, is_ours, read_manifest
from parallel_sharder.pattern import ShardPattern, names_set, shard_name
from parallel_sharder.regular import read_regular
from parallel_sharder.schema import Kind, Shape, fault, whole_number
from parallel_sharder.text import shards_done


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


class ListedSet(NamedTuple):
    """A finished set, and its shards as they are listed: in a manifest of ours, or in a wids index of others."""

    set: ShardSet
    shards: list[Shard]
    is_ours: bool


def listed_sets(folder: str, is_known: Callable[[str], bool] = lambda _: False) -> list[ListedSet]:
    """The finished sets in a folder, each with its shards as its manifest, or wids index, has them.

    Each shard is there once, and none that `is_known` already: what a manifest lists comes before what a wids index
    does, and one that is called as its shards are before another, such as that of a subset. A manifest under another
    name than its set's is a copy, and a damaged one is none.
    """
    found = []
    for file in sorted(os.listdir(folder or ".")):
        content = _index_at(os.path.join(folder, file)) if file.endswith(".json") else None
        if content is not None:
            name = file.removesuffix(".json")
            shards = [*_shards(content)]
            is_named = bool(shards) and names_set(name, shards[0].name)
            found.append((not is_ours(content), not is_named, name, content, shards))
    sets: list[ListedSet] = []
    known: set[str] = set()
    for _, _, name, content, shards in sorted(found, key=lambda each: each[:3]):
        its_own = {shard.name: shard for shard in shards if shard.name not in known and not is_known(shard.name)}
        if its_own:
            known |= its_own.keys()
            shard_set = ShardSet.of(name, split_of(name, content), [*its_own])
            sets.append(ListedSet(shard_set, [*its_own.values()], is_ours(content)))
    return sorted(sets)


def refuse_unfinished(folder: str, sets: Sequence[ShardSet]) -> None:
    """Raise DestinationError, or ManifestError, unless all that a conversion makes of these sets is there.

    An index of a part would be taken for the whole, and one in the manifest's place would be in its way.
    """
    shards = {name for each in sets for name in each.names}
    for file in sorted(os.listdir(folder or ".")):
        match = re.fullmatch(r"\.(.+)\.journal", file)
        if match:
            past = past_of(os.path.join(folder, file))
            if match[1] in {each.name for each in sets} or (past and past.names & shards):
                _refuse_unfinished(os.path.join(folder, file), os.path.join(folder, f"{match[1]}.json"))
    for each in sets:
        _refuse_others(os.path.join(folder, f"{each.name}.json"), folder, each)


def _refuse_unfinished(journal: str, manifest_path: str) -> None:
    if is_held(journal):
        raise DestinationError(f"a run is writing there: it holds {journal}. Wait for its end, then index the set.")
    if _manifest_at(manifest_path) is None:
        progress = progress_of(journal)
        done = f" {shards_done(*progress)}." if progress else ""
        aside = f"move {manifest_path} away, which is no manifest, and " if os.path.lexists(manifest_path) else ""
        raise DestinationError(
            f"the set whose journal is {journal} is not finished.{done} An index of a part would be taken for the "
            f"whole: {aside}type the command of its conversion again, and then this one."
        )


def _refuse_others(manifest_path: str, folder: str, shard_set: ShardSet) -> None:
    """Raise DestinationError unless the shards are those of the manifest, if there is one."""
    manifest = _manifest_at(manifest_path)
    if manifest is None:
        return
    if is_copy(manifest, manifest_path):
        raise DestinationError(f"{manifest_path} is the manifest of {manifest['name']}. Move it to another folder.")
    listed = [entry["url"] for entry in manifest["shardlist"]]
    missing = [name for name in listed if not os.path.lexists(os.path.join(folder, name))]
    if missing:
        more = f", and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise DestinationError(
            f"{manifest_path} lists {missing[0]}{more}, which {'are' if more else 'is'} not there. Copy "
            f"{'them' if more else 'it'} again, or type the command of the conversion again, which makes the rest."
        )
    further = sorted({*shard_set.names}.difference(listed))
    if further:
        raise DestinationError(
            f"{os.path.join(folder, further[0])} is called as a shard of the set is, and {manifest_path} does not list "
            "it. Move it to another folder."
        )


def _manifest_at(path: str) -> dict[str, Any] | None:
    """Our manifest at `path`, None if there is none. Raises ManifestError for a damaged one."""
    try:
        return read_manifest(path) if os.path.lexists(path) else None
    except ManifestError as error:
        raise ManifestError(
            f"{path} {error.args[0]}. Copy it again, or type the command of its conversion again, which writes it anew."
        ) from error


def split_of(name: str, index: Mapping[str, Any]) -> str:
    """The split of a set: what its manifest says, or the last word of its name."""
    return index["options"]["split"] if is_ours(index) else re.split("[-_]", name)[-1]


def is_wids(content: Mapping[str, Any]) -> bool:
    """Whether that is what a wids index says."""
    return content.get("__kind__") == "wids-shard-index-v1"


def json_at(path: str) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no file, or something else in it.

    Raises DestinationError if it cannot be read.
    """
    try:
        content = json.loads(read_regular(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror}. Move it out of the way.") from error
    return content if isinstance(content, dict) else None


def _index_at(path: str) -> dict[str, Any] | None:
    """The manifest, or wids index of others, in a file; None if it is neither, or a copy of a manifest."""
    try:
        manifest = read_manifest(path)
        content = manifest or json_at(path) or {}
    except (ManifestError, DestinationError):  # damaged, or nobody's
        return None
    return content if is_wids(content) and not (manifest and is_copy(manifest, path)) else None


def _shards(index: Mapping[str, Any]) -> Iterator[Shard]:
    """The shards of a wids index that lie beside it."""
    entries = index.get("shardlist")
    for entry in entries if isinstance(entries, list) else ():
        if not fault(entry, _ENTRY) and "/" not in entry["url"]:
            size = entry.get("filesize")
            yield Shard(entry["url"], entry["nsamples"], size if type(size) is int else 0)


_ENTRY: Shape = {"url": Kind("a name", lambda value: isinstance(value, str)), "nsamples": whole_number(0)}
"""What others have in a wids index of each shard, and more."""
