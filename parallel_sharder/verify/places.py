"""What DEST of `verify` names: the manifests of our sets, or other tools' sets of shards, never both at once.

Takes a folder, a pattern with %0Nd, a manifest, one shard, or a glob or braces. Where one of our sets is, finished or
not, ours are verified, and sets of others are named in a notice with the command that verifies them. Otherwise each set
of others is a ForeignSet. No shard is opened here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from parallel_sharder.catalog.sets import CountedShard, FoundSet, State, sets_in
from parallel_sharder.errors import DestinationError
from parallel_sharder.globs import expanded, glob_of, has_shard_ending, is_glob
from parallel_sharder.pattern import COMPRESSIONS, ShardPattern, is_pattern, shard_name
from parallel_sharder.stores import store_of
from parallel_sharder.stores.packing import COMPRESSIONS as PROGRAMS
from parallel_sharder.text import counted, first_few

_SHOWN = 5
_KINDS = ", ".join(f"*{ending}" for ending in COMPRESSIONS)

_UNREAD = tuple(ending for ending in (f".tar{packed}" for packed, _ in PROGRAMS.values()) if ending not in COMPRESSIONS)
"""The endings of tars whose compression no reader of shards reads."""


class ForeignIndex(NamedTuple):
    """Another tool's wids index, and the shards of its folder that it lists."""

    path: str
    shards: tuple[CountedShard, ...]


class ForeignSet(NamedTuple):
    """A set of another tool: its name as a pattern, its shards in their order, and the wids indexes beside them."""

    name: str
    paths: tuple[str, ...]
    indexes: tuple[ForeignIndex, ...] = ()


class Named(NamedTuple):
    """What is to be verified: our sets, by their manifests, even missing ones; or sets of others. And notices."""

    manifests: Sequence[str] = ()
    foreign: Sequence[ForeignSet] = ()
    notices: Sequence[str] = ()


def named_by(dest: str) -> Named:
    """Return what `dest` names. Raises DestinationError if it names no shards."""
    named = _named(dest)
    if not named.foreign:
        return named
    without = "No manifest of this tool lists these shards, so they were checked by the rules of readers alone."
    return named._replace(notices=[*(named.notices or [without])])


def _named(dest: str) -> Named:
    if is_pattern(dest):
        return _of_pattern(dest)
    if store_of(dest).is_file(dest):
        return _of_file(dest)
    if is_glob(dest) and not store_of(dest).exists(dest):
        return _of_glob(dest)
    return _of_folder(dest)


def _of_pattern(dest: str) -> Named:
    pattern = ShardPattern.parse(dest)
    folder = pattern.folder or "."
    found = _sets_in(folder)
    is_shard = re.compile(pattern.shard_names).fullmatch
    ours = [each for each in found if each.name == pattern.set_name and each.state is not State.FOREIGN]
    if ours and (not ours[0].listed or any(is_shard(shard.name) for shard in ours[0].listed)):
        return Named([pattern.files.manifest])
    paths = [os.path.join(pattern.folder, name) for each in found for name in each.there if is_shard(name)]
    if not paths:
        raise DestinationError(
            f"{dest} names no shards: no file in {folder} has such a name, and no manifest lists one."
        )
    return Named(foreign=_foreign_sets(paths, found))


def _of_file(path: str) -> Named:
    if path.endswith(".json"):
        return Named([path])
    if not path.endswith((*COMPRESSIONS,)):
        raise DestinationError(
            f"{path} is no manifest, and its name ends as no shard's does ({_KINDS}). Name the manifest, such as "
            "imagenet_train.json, a shard, or the folder of the shards."
        )
    folder, name = os.path.split(path)
    found = _sets_in(folder or ".")
    manifests = [each.files.manifest for each in _ours(found, [name])]
    notices = [
        f"{path} belongs to the set of {manifest}, with which it was not compared. Compare the set with "
        f"`{_command(manifest)}`."
        for manifest in manifests
    ]
    return Named(foreign=[ForeignSet(path, (path,), _indexes(found, [name]))], notices=notices)


def _of_glob(dest: str) -> Named:
    """Return the files of a glob as one set; or, where files of ours are among them, the sets of ours."""
    try:
        paths = expanded(dest)
    except ValueError as error:
        raise DestinationError(str(error)) from error
    paths = [path for path in paths if has_shard_ending(os.path.basename(path))]
    if not paths:
        raise DestinationError(f"{dest} names no shards, {_KINDS}. Name the folder of the shards, or another pattern.")
    manifests: list[str] = []
    indexes: list[ForeignIndex] = []
    others: list[str] = []
    for folder, names in _by_folder(paths).items():
        if not store_of(folder or ".").is_folder(folder or "."):
            others += [os.path.join(folder, name) for name in names]  # they are missing, which is found
            continue
        found = _sets_in(folder or ".")
        ours = _ours(found, names)
        manifests += [os.path.join(folder, os.path.basename(each.files.manifest)) for each in ours]
        indexes += _indexes(found, names)
        of_ours = {name for each in ours for name in _names_of(each)}
        others += [os.path.join(folder, name) for name in names if name not in of_ours]
    if not manifests:
        return Named(foreign=[ForeignSet(dest, tuple(paths), tuple(indexes))])
    missing = [path for path in others if not store_of(path).exists(path)]
    if missing:
        raise DestinationError(
            f"{dest}: {counted(len(missing), 'name has no file', 'names have no file')}, and no manifest lists one: "
            f"{first_few(missing, _SHOWN)}. Name what is there, or copy what is missing."
        )
    return Named(manifests, notices=[_not_verified(each) for each in _foreign_sets(others)])


def _of_folder(dest: str) -> Named:
    found = _sets_in(dest)
    ours = [each for each in found if each.state is not State.FOREIGN]
    listed = {name for each in ours for name in _names_of(each)}
    names = sorted(store_of(dest).names(dest))
    shards = [name for name in names if has_shard_ending(name) and name not in listed]
    foreign = _foreign_sets([os.path.join(dest, name) for name in shards], found)
    notices = [
        f"{os.path.join(dest, name)} was not verified, because no reader of shards reads its compression. Pack the tar "
        "anew, as .tar or .tar.zst."
        for name in names
        if name.endswith(_UNREAD)
    ]
    if ours:
        others = [_not_verified(each) for each in foreign]
        return Named([each.files.manifest for each in ours], notices=[*others, *notices])
    if not foreign:
        raise DestinationError(
            f"{dest} holds no set of shards: no manifest, such as imagenet_train.json, and no {_KINDS}. Name the "
            "folder of the shards, or their pattern."
        )
    return Named(foreign=foreign, notices=notices)


def _sets_in(folder: str) -> list[FoundSet]:
    try:
        return sets_in(folder)
    except OSError as error:
        raise DestinationError(f"{folder} cannot be read: {error.strerror}. Name the folder of the shards.") from error


def _ours(found: Iterable[FoundSet], names: Iterable[str]) -> list[FoundSet]:
    """Return the sets of ours, finished or not, to which one of the shards with these names belongs."""
    wanted = {*names}
    return [each for each in found if each.state is not State.FOREIGN and _names_of(each) & wanted]


def _names_of(ours: FoundSet) -> set[str]:
    """Return the names of the shards of a set of ours: those that its manifest lists, or those that are there."""
    return {shard.name for shard in ours.listed} or {*ours.there}


def _indexes(found: Iterable[FoundSet], names: Iterable[str]) -> tuple[ForeignIndex, ...]:
    """Return the wids indexes of others that list one of the shards with these names."""
    wanted = {*names}
    return tuple(
        ForeignIndex(each.files.manifest, each.listed)
        for each in found
        if each.manifest is None and wanted.intersection(shard.name for shard in each.listed)
    )


def _foreign_sets(paths: Sequence[str], found: Sequence[FoundSet] = ()) -> list[ForeignSet]:
    """Return the sets to which shards of others belong: a set's names differ in their numbers alone."""
    by_set: dict[tuple[str, str, str], list[tuple[int, str, str]]] = defaultdict(list)
    for path in paths:
        folder, name = os.path.split(path)
        parts = shard_name(name)
        if parts:
            by_set[folder, parts.prefix, parts.suffix].append((int(parts.number), parts.number, path))
        else:
            by_set[folder, name, ""].append((0, "", path))
    sets = []
    for (folder, prefix, suffix), rows in sorted(by_set.items()):
        rows.sort()
        its_paths = tuple(path for _, _, path in rows)
        name = _pattern(folder, prefix, min((number for _, number, _ in rows), key=len), suffix)
        sets.append(ForeignSet(name, its_paths, _indexes(found, map(os.path.basename, its_paths))))
    return sets


def _pattern(folder: str, prefix: str, number: str, suffix: str) -> str:
    """Return what names these shards and no others to this command: a pattern, or a glob if none fits their name."""
    if not number:
        return os.path.join(folder, prefix)
    pattern = os.path.join(folder, f"{prefix}%0{len(number)}d{suffix}")
    with contextlib.suppress(ValueError):
        if ShardPattern.parse(pattern).prefix == prefix:
            return pattern
    return glob_of(folder, prefix, suffix)


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folder, name = os.path.split(path)
        folders[folder].append(name)
    return folders


def _not_verified(foreign: ForeignSet) -> str:
    return (
        f"{foreign.name} was not verified, because no manifest of this tool lists these shards. Verify them with "
        f"`{_command(foreign.name)}`."
    )


def _command(dest: str) -> str:
    return f"parallel-sharder verify {shlex.quote(dest)}"
