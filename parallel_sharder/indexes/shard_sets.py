"""Shard sets: the sets of shards that an index of a folder lists, each shard in one set.

Takes the sets that `catalog.sets.sets_in` has found in a folder; returns those that are finished, with their shards,
and refuses those that are not. A ShardSet also knows which file names belong to its shards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.catalog.sets import FoundSet
from parallel_sharder.errors import DestinationError, ManifestError
from parallel_sharder.indexes import Shard
from parallel_sharder.journal.past import past_of, progress_of
from parallel_sharder.pattern import ShardPattern, fits_set_name, shard_name
from parallel_sharder.setfiles import SetFiles, journals_in
from parallel_sharder.stores import store_of
from parallel_sharder.text import shards_done


@dataclass(frozen=True, order=True)
class ShardSet:
    """A set of one split, whose shards are called `names`, in order of their number.

    `owned` is a regular expression that matches each name that a shard of the set could have.
    """

    name: str
    split: str
    names: tuple[str, ...]
    owned: str

    @classmethod
    def of(cls, name: str, split: str, names: Sequence[str]) -> ShardSet:
        """Make the set of the shards with these names, which differ in their numbers alone."""
        parts = shard_name(names[0])
        owned = f"{re.escape(parts.prefix)}[0-9]+{re.escape(parts.suffix)}" if parts else re.escape(names[0])
        return cls(name, split, tuple(names), owned)

    @classmethod
    def made(cls, pattern: ShardPattern, split: str, shard_count: int) -> ShardSet:
        """Make the set that a conversion makes; with a `shard_count` of 0, only for what the set owns."""
        names = tuple(os.path.basename(pattern.path(number)) for number in range(shard_count))
        return cls(pattern.set_name, split, names, pattern.shard_names)

    def owns(self, name: str) -> bool:
        """Return whether a shard of this set has, or could have, this name."""
        return re.fullmatch(self.owned, name) is not None or name in self.names


class ListedSet(NamedTuple):
    """A finished set, and its shards as a manifest of ours (`is_ours`) or another tool's wids index lists them."""

    set: ShardSet
    shards: list[Shard]
    is_ours: bool


def listed_sets(found: Iterable[FoundSet], is_known: Callable[[str], bool] = lambda _: False) -> list[ListedSet]:
    """Return the sets in a folder that have a manifest or a wids index, each with the shards which that file lists.

    Each shard is in one set only, and shards that are `is_known` already are in none. A manifest is believed before a
    wids index. Of two manifests, or of two indexes, the one that has the name of its shards is believed first: the
    other may be that of a subset.
    """
    sets: list[ListedSet] = []
    known: set[str] = set()
    for each in sorted((each for each in found if each.listed), key=_rank):
        own = {shard.name: shard for shard in each.listed if shard.name not in known and not is_known(shard.name)}
        if own:
            known |= own.keys()
            shard_set = ShardSet.of(each.name, _split(each), [*own])
            sets.append(ListedSet(shard_set, [Shard(*shard) for shard in own.values()], each.manifest is not None))
    return sorted(sets)


def _rank(found: FoundSet) -> tuple[bool, bool, str]:
    """Return the rank of a set; the set with the lowest rank is believed first."""
    return found.manifest is None, not fits_set_name(found.name, found.listed[0].name), found.name


def _split(found: FoundSet) -> str:
    return (found.manifest.options.split or "train") if found.manifest is not None else split_in(found.name)


def refuse_unfinished(folder: str, sets: Sequence[ShardSet]) -> None:
    """Raise DestinationError, or ManifestError, unless these sets are finished.

    Readers would take an index of a part for that of the whole set, and a wids index in the manifest's place would stop
    the conversion.
    """
    shards = {name for each in sets for name in each.names}
    for files in journals_in(folder):
        past = past_of(files.journal)
        if files.name in {each.name for each in sets} or (past and past.names & shards):
            _refuse_unfinished(files)
    for each in sets:
        _refuse_others(SetFiles(folder, each.name), each)


def _refuse_unfinished(files: SetFiles) -> None:
    held = next((path for path in files.journals() if store_of(path).is_held(path)), None)
    if held is not None:
        raise DestinationError(f"a run is writing this set: it holds {held}. Wait for its end, then index the set.")
    if _manifest_at(files.manifest) is None:
        progress = progress_of(files.journal)
        done = f" {shards_done(*progress)}." if progress else ""
        is_there = store_of(files.manifest).exists(files.manifest)
        aside = f"move {files.manifest} away, which is no manifest, and " if is_there else ""
        raise DestinationError(
            f"the set {os.path.join(files.folder, files.name)} is not finished.{done} An index of a part "
            f"would be taken for the whole: {aside}type the command of its conversion again, and then this one."
        )


def _refuse_others(files: SetFiles, shard_set: ShardSet) -> None:
    """Raise DestinationError unless the shards are those of the manifest, if there is one."""
    manifest = _manifest_at(files.manifest)
    if manifest is None:
        return
    if manifest.is_copy_at(files.manifest):
        raise DestinationError(f"{files.manifest} is the manifest of {manifest.name}. Move it to another folder.")
    listed = [shard.name for shard in manifest.shards]
    missing = [name for name in listed if not store_of(files.folder).exists(os.path.join(files.folder, name))]
    if missing:
        more = f", and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise DestinationError(
            f"{files.manifest} lists {missing[0]}{more}, which {'are' if more else 'is'} not there. Copy "
            f"{'them' if more else 'it'} again, or type the command of the conversion again, which makes the rest."
        )
    further = sorted({*shard_set.names}.difference(listed))
    if further:
        raise DestinationError(
            f"{os.path.join(files.folder, further[0])} has the name of a shard of the set, but {files.manifest} does "
            "not list it. Move it to another folder."
        )


def _manifest_at(path: str) -> Manifest | None:
    """Return our manifest at `path`, or None if there is none. Raises ManifestError for a damaged one."""
    try:
        return Manifest.read(path) if store_of(path).exists(path) else None
    except ManifestError as error:
        raise ManifestError(
            f"{path} {error.args[0]}. Copy it again, or type the command of its conversion again, which writes it anew."
        ) from error


def split_in(name: str) -> str:
    """Return the split of a set without a manifest, which is the last word of the set's name."""
    return re.split("[-_]", name)[-1]
