"""Named: the sets that WHAT of `inspect` names, ours or another tool's, and what is known without reading shards."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parallel_sharder.catalog.manifest import ListedClass, Manifest
from parallel_sharder.catalog.sets import FoundSet, State, sets_in
from parallel_sharder.errors import DestinationError, ManifestError
from parallel_sharder.globs import brace_expanded, expanded, has_shard_ending, is_glob
from parallel_sharder.inspection.inspected import SetOverview
from parallel_sharder.pattern import braces, shard_name
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.verify.places import ForeignSet, named_by


@dataclass(frozen=True, eq=False)
class ShardsOfSet:
    """Shards of one set, in its order: all, or those that were named.

    `counts` has the samples of each path that is listed somewhere. `manifest` is None of another tool's set, and of one
    that is not finished, which `state` says.
    """

    name: str
    paths: Sequence[str]
    counts: Mapping[str, int]
    manifest: Manifest | None
    state: str
    has_all: bool = True

    @property
    def classes(self) -> Sequence[ListedClass]:
        """The table of classes; empty if there is none."""
        return () if self.manifest is None else self.manifest.classes

    @functools.cached_property
    def class_names(self) -> Mapping[int, str]:
        """The name of each label."""
        return {row.label: row.name for row in self.classes}

    @property
    def braces(self) -> str:
        """The brace pattern that names the shards and no others; "" if there is none."""
        return _braces(self.paths)

    def overview(self) -> SetOverview:
        """Return the set in short. Raises DestinationError if a shard's size cannot be read."""
        known = [self.counts.get(path) for path in self.paths]
        manifest = self.manifest
        choices = None if manifest is None else manifest.options
        try:
            file_bytes = sum(map(store_of(self.name).size, self.paths))
        except OSError as error:
            raise DestinationError(f"{error.filename} cannot be read: {error.strerror}. Copy it again.") from error
        return SetOverview(
            self.name,
            self.state,
            None if choices is None else choices.split,
            None if None in known else sum(filter(None, known)),
            len(self.paths),
            file_bytes,
            None if manifest is None else len(manifest.classes),
            None if choices is None else choices.labels,
            None if choices is None else choices.seed,
            self.braces,
            _beside(self.paths) if self.has_all else (),
        )


def named_sets(what: str, *, needs_all: bool = True) -> list[ShardsOfSet]:
    """Return the sets that `what` names: a folder, a manifest, a shard, a pattern, or a glob.

    Raises DestinationError if it names no shard, and for a shard that is missing, unless `needs_all` is false.
    """
    named = named_by(what)
    if named.manifests and is_glob(what) and not store_of(what).exists(what):
        sets = _parts(what)
    else:
        sets = [_ours(path, needs_all) for path in named.manifests] + [_foreign(each) for each in named.foreign]
    if not any(each.paths for each in sets):
        raise DestinationError(f"{what} has no shard yet: its set is not finished, and none is there.")
    return sets


def _parts(what: str) -> list[ShardsOfSet]:
    """Return the shards that a glob names of sets of ours, a part for each set."""
    parts: dict[tuple[str, str], list[str]] = {}
    for path in expanded(what):
        folder, name = os.path.split(path)
        shard = shard_name(name)
        if has_shard_ending(name):
            parts.setdefault((folder, shard.prefix if shard else name), []).append(path)
    return [_foreign(ForeignSet(what, tuple(paths))) for paths in parts.values()]


def _ours(path: str, needs_all: bool) -> ShardsOfSet:
    """Return the set with its manifest at `path`; of one that is not finished, the shards that are there."""
    folder, files = os.path.dirname(path), SetFiles.at_manifest(path)
    try:
        manifest = Manifest.read(path)
    except ManifestError:
        manifest = None
    if manifest is not None:
        counts = {os.path.join(folder, shard.name): shard.samples for shard in manifest.shards}
        missing = [each for each in counts if not store_of(each).is_file(each)]
        if missing and needs_all:
            raise DestinationError(f"{missing[0]} is missing, and its set's manifest lists it. Make or copy it again.")
        paths = [each for each in counts if each not in missing]
        return ShardsOfSet(path, paths, counts, manifest, "finished")
    there = next((each.there for each in _sets_in(folder) if each.files.name == files.name), ())
    return ShardsOfSet(path, [os.path.join(folder, name) for name in there], {}, None, "not finished")


def _foreign(named: ForeignSet) -> ShardsOfSet:
    """Return another tool's set; or named shards of ours, with what our manifest says of them."""
    counts: dict[str, int] = {}
    for index in named.indexes:
        folder = os.path.dirname(index.path)
        counts.update((os.path.join(folder, shard.name), shard.samples) for shard in index.shards)
    folder = os.path.dirname(named.paths[0])
    wanted = {os.path.basename(path) for path in named.paths}
    for each in _sets_in(folder):
        listed = {shard.name: shard.samples for shard in each.listed}
        if each.state is State.FINISHED and wanted <= listed.keys():
            counts = {os.path.join(folder, name): count for name, count in listed.items()}
            state = f"of the finished set {each.files.manifest}"
            return ShardsOfSet(named.name, named.paths, counts, each.manifest, state, has_all=False)
    return ShardsOfSet(named.name, named.paths, counts, None, "without a manifest of this tool")


def _sets_in(folder: str) -> list[FoundSet]:
    try:
        return sets_in(folder or ".")
    except OSError:  # whoever names what is there says so
        return []


def _braces(paths: Sequence[str]) -> str:
    """Return the brace pattern that names these shards and no others; "" if there is none."""
    whole = braces(paths) if paths else ""
    return whole if [whole] == [*paths] or brace_expanded(whole) == [*paths] else ""


def _beside(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the names of other files in the shards' folder, hidden ones left out; those beside shards are counted."""
    folder = os.path.dirname(paths[0]) if paths else ""
    store = store_of(folder)
    names = [name for name in sorted(store.names(folder or ".")) if not name.startswith(".")]
    shards = {name.partition(".")[0] for name in names if has_shard_ending(name)}
    others = [name for name in names if not has_shard_ending(name)]
    of_shards = Counter(name.partition(".")[2] for name in others if name.partition(".")[0] in shards)
    rest = [name for name in others if name.partition(".")[0] not in shards]
    return (*rest, *(f"{count:,} *.{ending}" for ending, count in sorted(of_shards.items())))
