"""The destination: whether the folder that a pattern names can take the shards, and which of their names are taken.

Each `refuse_` raises DestinationError, with the path, the cause and the remedy, before anything is written. Only
`make_folder` changes anything.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Container, Iterable
from pathlib import Path

from parallel_sharder.errors import DestinationError
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted, there_are


def existing(pattern: ShardPattern, among: Container[str] | None = None) -> list[str]:
    """Return the existing paths that have names of this pattern's shards, or of the files beside them, sorted.

    With `among`, only shards with these names count.
    """
    try:
        names = store_of(pattern.folder).names(pattern.folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DestinationError(_unusable(pattern, error)) from error
    found = [name for name in sorted(names) if re.fullmatch(pattern.file_names, name)]
    return [os.path.join(pattern.folder, name) for name in found if among is None or name in among]


def readable_text(path: str) -> str | None:
    """Return the text of the file at `path`; None if there is none. Raises DestinationError if it cannot be read."""
    try:
        return store_of(path).read(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror}. Move it out of the way.") from error


def refuse_taken(
    pattern: ShardPattern, known: Container[str] = (), note: str = "", among: Container[str] | None = None
) -> None:
    """Raise DestinationError, with `note`, if files of this pattern exist that are not among the `known` paths.

    With `among`, only shards with these names count.
    """
    taken = [path for path in existing(pattern, among) if path not in known]
    if taken:
        are, them = there_are(taken)
        raise DestinationError(
            f"{are} already there, and no journal says that this tool made {them} for this set.{note} Nothing is "
            "overwritten: remove what is there, or choose another --dest. (A copy without its "
            f"{os.path.basename(pattern.files.journal)} can be verified, but not continued.)"
        )


def refuse_in_source(folder: str, folders: Iterable[Path], option: str = "--dest") -> None:
    """Raise DestinationError if the folder, which `option` names, is one of `folders` of the source, or lies in one.

    Links are followed, and folders that are mounted twice are recognised.
    """
    source = {_identity(each): each for each in folders}
    dest = Path(os.path.realpath(folder))
    places = [place for place in (dest, *dest.parents) if _identity(place) in source]
    if not places:
        return
    name, its_name = os.path.abspath(folder), os.path.abspath(source[_identity(places[0])])
    where = "" if its_name == name else f"{'' if places[0] == dest else 'in '}{its_name}, "
    outermost = places[-1]  # what lies beside it lies in no other folder of the source
    example = f", such as {outermost}-shards" if outermost.name and option == "--dest" else ""
    raise DestinationError(
        f"{name} is {where}where files of the data set belong, and nothing is written there. Choose a folder "
        f"outside the data set with {option}{example}."
    )


def _identity(folder: Path) -> tuple[int, int] | str:
    """Return a value that is the same for all paths of one folder, whether the folder exists or not."""
    try:
        status = os.stat(folder)
    except OSError:
        return os.path.realpath(folder)
    return status.st_dev, status.st_ino


def refuse_unwritable(pattern: ShardPattern, journal: str | None = None) -> None:
    """Raise DestinationError if it is certain beforehand that the shards cannot be written to their folder.

    It looks at the folder, or the nearest existing one above it, and at the run's `journal` (default: the set's), and
    creates nothing.
    """
    store = store_of(pattern.folder)
    try:
        store.refuse_unwritable(pattern.folder)
        with contextlib.suppress(FileNotFoundError):
            store.refuse_unappendable(journal or pattern.files.journal)
    except OSError as error:
        raise DestinationError(_unusable(pattern, error)) from error


def make_folder(pattern: ShardPattern) -> list[str]:
    """Make the folder of the shards and the missing folders above it, and return the paths of those that were made.

    Raises DestinationError if one cannot be made.
    """
    try:
        return store_of(pattern.folder).make_folder(pattern.folder)
    except OSError as error:
        raise DestinationError(_unusable(pattern, error)) from error


def refuse_unfit(pattern: ShardPattern, shard_count: int) -> None:
    """Raise DestinationError unless the pattern has enough digits to number the shards."""
    if shard_count > 10**pattern.digits:
        digits = len(str(shard_count - 1))
        raise DestinationError(
            f"{shard_count:,} shards need numbers of {digits} digits, and {pattern.path(0)} has {pattern.digits}. "
            f"Write %0{digits}d in --dest."
        )


def refuse_full(pattern: ShardPattern, needed_bytes: int, free_bytes: int) -> None:
    """Raise DestinationError unless the free space holds the shards."""
    if free_bytes < needed_bytes:
        raise DestinationError(
            f"{os.path.abspath(pattern.folder)} has {counted(free_bytes, 'byte')} free, and the shards need up to "
            f"{needed_bytes:,}. Make {counted(needed_bytes - free_bytes, 'byte')} of room, or choose another --dest."
        )


def _unusable(pattern: ShardPattern, error: OSError) -> str:
    folder = os.path.abspath(pattern.folder)
    place = os.path.abspath(error.filename or folder)
    cause = error.strerror or str(error)
    if os.path.islink(place) and not os.path.lexists(os.path.realpath(place)):
        cause = f"a broken link to {os.readlink(place)}"
    where = f" ({place})" if place != folder else ""
    return f"{folder} cannot hold the shards: {cause}{where}. Mend that, or choose another folder with --dest."
