"""Expand: the values of --root become the paths of the shards that are read, in the order in which users count them.

A value is a tar, a folder, or a pattern with braces ({000..039}, {a,b}) and wildcards (*, ?, [0-9], **). A file or a
folder of just that name comes before a pattern. The values stay in their order. What one pattern or folder has is
sorted by name, and numbers in names by their value. Of a folder, sets that this tool has made or begun are passed over.
SourceError is raised for a value that matches nothing, and for a shard that is named twice. No tar is read here but its
first bytes.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.globs import brace_expanded
from parallel_sharder.pattern import COMPRESSIONS, set_name, shard_name
from parallel_sharder.setfiles import SetFiles, journals_in
from parallel_sharder.sources.folders import is_folder
from parallel_sharder.stores.packing import is_parquet, packing_of
from parallel_sharder.stores.regular import kind_at
from parallel_sharder.text import counted, first_few

_BRACES = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"(\d+)")
_ENDINGS = (*COMPRESSIONS, ".tar.bz2", ".tar.xz")
"""Those of shards in a folder: what this tool writes, and what it only reads."""

_SHOWN = 5
_TOOL = "parallel_sharder"


class Expanded(NamedTuple):
    """The shards' paths in their order, and the names of the sets of this tool that folders have besides.

    `others` are sentences about what else lies in folders that are named as such. `packed` are the paths of compressed
    shards.
    """

    paths: tuple[str, ...]
    passed_over: tuple[str, ...]
    others: tuple[str, ...]
    packed: tuple[str, ...]


def expand(roots: Sequence[str]) -> Expanded:
    """Return the shards that the values of --root name, as said above."""
    paths: list[str] = []
    passed_over: list[str] = []
    others: list[str] = []
    for root in roots:
        if os.path.isdir(root):
            found, sets = _in_folder(root)
            passed_over += sets
            others += _others_in(root)
        else:
            found = [root] if os.path.lexists(root) else _matches(root)
        paths += found
    _refuse_twice(paths)
    packed = tuple(path for path in paths if _is_packed(path))
    return Expanded(tuple(paths), tuple(passed_over), tuple(others), packed)


def is_shard_pattern(root: str) -> bool:
    """Return whether a value of --root is no path of an existing file or folder, but has braces or wildcards."""
    return not os.path.lexists(root) and (bool(_BRACES.search(root)) or glob.has_magic(root))


def names_of(pattern: str) -> list[str]:
    """Return the paths that a pattern's braces stand for.

    Raises SourceError for braces that hold neither a range nor a list, and for too many paths.
    """
    try:
        names = brace_expanded(pattern)
    except ValueError as error:
        raise SourceError(f"--root {error}") from error
    odd = next(filter(None, map(_BRACES.search, names)), None)
    if odd is not None:
        raise SourceError(
            f"--root {pattern}: {odd[0]} is neither a range such as {{000..039}} nor a list such as {{a,b}}. "
            "Mend it, and put the pattern between single quotes."
        )
    return names


def in_natural_order(path: str) -> list[tuple[str, int, str]]:
    """Return what a path is sorted by: its texts as they are, and its numbers by value, then by their digits."""
    parts = _NUMBER.split(path)
    numbers = [(int(digits) if len(digits) <= 20 else 10**20, digits) for digits in parts[1::2]]
    return [(text, *number) for text, number in zip(parts[::2], [*numbers, (-1, "")], strict=True)]


def _matches(root: str) -> list[str]:
    """Return the files that a pattern names. Raises SourceError if a name that its braces stand for has no file."""
    if not is_shard_pattern(root):
        raise SourceError(f"{root} does not exist. {_there(root)}")
    found: list[str] = []
    missing: list[str] = []
    for each in names_of(root):
        matching = glob.glob(each, recursive=True) if glob.has_magic(each) else [each] * os.path.lexists(each)
        found += sorted(matching, key=in_natural_order)
        if not matching:
            missing.append(each)
    if not found:
        raise SourceError(f"--root {root} matches no file. {_there(root)}")
    if missing:
        lack = counted(len(missing), "name has no file", "names have no file")
        raise SourceError(
            f"--root {root}: {lack}: {first_few(missing, _SHOWN)}. {_there(missing[0])} Copy what is missing, or name "
            "only what is there."
        )
    return found


def _there(path: str) -> str:
    """Return a sentence that says what exists on the way to a path that does not exist, and nearest to it."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        names = sorted(os.listdir(folder), key=in_natural_order)
    except OSError as error:
        return f"{folder} cannot be listed: {error.strerror}."
    if not names:
        return f"{folder} is empty."
    endings = Counter(os.path.splitext(name)[1] or "no ending" for name in names)
    counts = ", ".join(f"{ending}: {count:,}" for ending, count in endings.most_common(_SHOWN))
    return f"{folder} has {first_few(names, _SHOWN)} ({counts})."


def _in_folder(folder: str) -> tuple[list[str], list[str]]:
    """Return the shards in a folder, and the names of the sets of this tool there, whose shards are not returned."""
    found, ours = tars_in(folder)
    if not found and ours:
        pattern = shlex.quote(os.path.join(folder, f"{min(ours)}*.tar"))
        raise SourceError(
            f"{folder} has only sets that this tool has made or begun: {first_few(ours, _SHOWN)}. To make "
            f"other shards of one, name its shards by a pattern: --root {pattern}."
        )
    if not found:
        raise SourceError(f"{folder} has no file that ends in .tar. {_there(os.path.join(folder, 'x'))}")
    return found, ours


def _others_in(folder: str) -> list[str]:
    """Return a sentence about the files in a folder that have no shard's name, and the folders; not of hidden ones."""
    with os.scandir(folder) as entries:
        others = (each for each in entries if not each.name.startswith(".") and not each.name.endswith(_ENDINGS))
        names = {entry.name: is_folder(entry) for entry in others}
    folders = sorted((name for name, is_folder in names.items() if is_folder), key=in_natural_order)
    endings = Counter(os.path.splitext(name)[1] or "no ending" for name, is_folder in names.items() if not is_folder)
    said = [f"{counted(len(folders), 'folder')} ({first_few(folders, _SHOWN)})"] if folders else []
    if endings:
        rows = sorted(endings.items(), key=lambda row: (-row[1], row[0]))
        kinds = first_few([f"{ending}: {count:,}" for ending, count in rows], _SHOWN)
        said.append(f"{counted(endings.total(), 'file')} whose name is no shard's ({kinds})")
    return [f"not read, in {folder}: {' and '.join(said)}"] if said else []


def tars_in(folder: str) -> tuple[list[str], list[str]]:
    """Return the tars in a folder, without those of this tool's sets, and the names of these sets, sorted."""
    try:
        names = sorted(os.listdir(folder), key=in_natural_order)
        begun = {files.name for files in journals_in(folder)}
    except OSError as error:
        raise unreadable(folder, error) from error
    tars = [name for name in names if name.endswith(_ENDINGS)]
    set_of = {name: set_name(parts.prefix) for name in tars if (parts := shard_name(name))}
    ours = {name for name in {*set_of.values()} if name in begun or _is_ours(SetFiles(folder, name))}
    return [os.path.join(folder, name) for name in tars if set_of.get(name) not in ours], sorted(ours)


def _is_ours(files: SetFiles) -> bool:
    """Return whether the set has a manifest of this tool."""
    try:
        with open(files.manifest, "rb") as file:
            tool = json.load(file)["tool"]["name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return bool(tool == _TOOL)


def _refuse_twice(paths: Sequence[str]) -> None:
    """Raise SourceError if two paths are of one file, whose samples would be stored twice."""
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise unreadable(path, error) from error
        first = seen.setdefault((status.st_dev, status.st_ino), path)
        if first is not path:
            words = path if path == first else f"{first} and {path} are one file, which"
            raise SourceError(f"{words} is named twice, and its samples would be stored twice. Name each shard once.")


def _is_packed(path: str) -> bool:
    """Return whether a shard is compressed. Raises SourceError for what is no shard, and if it cannot be read."""
    if os.path.isdir(path) or kind_at(path):
        kind = kind_at(path) or "a folder"
        raise SourceError(f"{path} is {kind}, and shards are files. Name the shards in it: --root {path}/*.tar.")
    try:
        if is_parquet(path):
            raise SourceError(f"{path} is a Parquet file, and shards are tars. Name it with --table, without --root.")
        return packing_of(path) is not None
    except OSError as error:
        raise unreadable(path, error) from error
