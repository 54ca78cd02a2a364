"""Which shards an index of a folder tells of, set by set: each once; and whose a file's name is.

What is in the folder is found by `sets.sets_in`; here it is judged for the indexes.
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
from parallel_sharder.journal.journal import past_of, progress_of
from parallel_sharder.pattern import ShardPattern, names_set, shard_name
from parallel_sharder.setfiles import SetFiles, journals_in
from parallel_sharder.stores import store_of
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


def listed_sets(found: Iterable[FoundSet], is_known: Callable[[str], bool] = lambda _: False) -> list[ListedSet]:
    """Those of the sets in a folder that have a manifest or a wids index, each with its shards as that lists them.

    Each shard is there once, and none that `is_known` already: what a manifest lists comes before what a wids index
    does, and one that is called as its shards are before another, such as that of a subset.
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
    """What is lower is believed first."""
    return found.manifest is None, not names_set(found.name, found.listed[0].name), found.name


def _split(found: FoundSet) -> str:
    return found.manifest.options.split if found.manifest is not None else split_in(found.name)


def refuse_unfinished(folder: str, sets: Sequence[ShardSet]) -> None:
    """Raise DestinationError, or ManifestError, unless all that a conversion makes of these sets is there.

    An index of a part would be taken for the whole, and one in the manifest's place would be in its way.
    """
    shards = {name for each in sets for name in each.names}
    for files in journals_in(folder):
        past = past_of(files.journal)
        if files.name in {each.name for each in sets} or (past and past.names & shards):
            _refuse_unfinished(files)
    for each in sets:
        _refuse_others(SetFiles(folder, each.name), each)


def _refuse_unfinished(files: SetFiles) -> None:
    if store_of(files.journal).is_held(files.journal):
        raise DestinationError(
            f"a run is writing there: it holds {files.journal}. Wait for its end, then index the set."
        )
    if _manifest_at(files.manifest) is None:
        progress = progress_of(files.journal)
        done = f" {shards_done(*progress)}." if progress else ""
        is_there = store_of(files.manifest).exists(files.manifest)
        aside = f"move {files.manifest} away, which is no manifest, and " if is_there else ""
        raise DestinationError(
            f"the set whose journal is {files.journal} is not finished.{done} An index of a part would be taken for "
            f"the whole: {aside}type the command of its conversion again, and then this one."
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
            f"{os.path.join(files.folder, further[0])} is called as a shard of the set is, and {files.manifest} does "
            "not list it. Move it to another folder."
        )


def _manifest_at(path: str) -> Manifest | None:
    """Our manifest at `path`, None if there is none. Raises ManifestError for a damaged one."""
    try:
        return Manifest.read(path) if store_of(path).exists(path) else None
    except ManifestError as error:
        raise ManifestError(
            f"{path} {error.args[0]}. Copy it again, or type the command of its conversion again, which writes it anew."
        ) from error


def split_in(name: str) -> str:
    """The split of a set without a manifest: the last word of its name."""
    return re.split("[-_]", name)[-1]
