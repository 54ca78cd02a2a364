"""Downloads: archives are found under their official name or a copy's name, and unfinished ones are refused.

Only names are looked at: browsers, desktops and download programs change them in known ways. The parameter `checkable`
holds the official names of the archives whose MD5 is published; a message advises to check only these.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Container, Iterable
from pathlib import Path

from parallel_sharder.errors import SourceError

ENTRIES_LIMIT = 10_000
"""How many entries of a folder are searched for copies and unfinished downloads. More would be slow on a network."""

_COPY = re.compile(r" ?\([0-9]{1,3}\)| copy(?: [0-9]{1,3})?| - Copy(?: \([0-9]{1,3}\))?", re.IGNORECASE)
"""What browsers and desktops insert into the name of a second copy, before its ending or a part of its ending."""

_COPY_OF = re.compile(r"Copy (?:\([0-9]{1,3}\) )?of ", re.IGNORECASE)
"""What desktops put before the name of a copy."""

_NUMBERED = re.compile(r"\.[0-9]{1,3}|\.~[0-9]{1,3}~")
"""What wget and cp append to the name of a copy."""

_UNFINISHED = (
    ".aria2", ".part", ".crdownload", ".partial", ".download", ".opdownload", ".tmp", ".filepart", ".!qB", ".!ut",
    ".st", ".lftp-pget-status", ".incomplete", ".fdmdownload", ".xltd", ".xltd.cfg", ".td", ".td.cfg", ".!bt", ".bc!",
)  # fmt: skip
"""What programs append to the name of a download, or of a file beside it, until the download is finished."""

_UNFINISHED_LOWER = tuple(map(str.lower, _UNFINISHED))

_RANDOM = r"\.[A-Za-z0-9_-]{4,32}"
"""What Firefox and rclone insert into the name of an unfinished download besides."""


def official_name(path: str | Path) -> str:
    """Return the official name of the archive at `path`, which is its name without the changes that copying makes."""
    name = _COPY_OF.sub("", os.path.basename(path), count=1)
    name = re.sub(rf"(?:{_NUMBERED.pattern})$", "", name)
    name = re.sub(rf"(?:{_COPY.pattern})(?=\.|$)", "", name, count=1, flags=re.IGNORECASE)
    stem, dot, ending = name.partition(".")
    return stem + dot + ending.lower()


def downloaded(folder: Path, *names: str) -> list[Path]:
    """Return the path of each archive of `names` in `folder`: a copy's path if only a copy exists."""
    paths = [folder / name for name in names]
    others = _names_in(folder) if not all(map(os.path.exists, paths)) else []
    return [path if os.path.exists(path) else next(iter(_copies(path, others)), path) for path in paths]


def refuse_doubtful(paths: Iterable[Path], checkable: Container[str] = ()) -> None:
    """Raise SourceError if an archive is unfinished, or if a copy of it exists too."""
    for path in paths:
        refuse_unfinished(path, checkable)
        own = path.with_name(official_name(path))
        there = [each for each in (own, *_copies(own, _names_in(own.parent))) if os.path.exists(each)]
        if len(there) > 1:
            raise SourceError(
                f"{there[0]} and {there[1].name} both exist, and one may be unfinished. Keep the one that is "
                f"whole, and move the other one away{_checking(own, checkable)}."
            )


def refuse_unfinished(path: Path, checkable: Container[str] = ()) -> None:
    """Raise SourceError if the archive at `path` is still being downloaded. It need not exist yet."""
    names = _names_in(path.parent)
    for name in dict.fromkeys((path.name, official_name(path))):
        is_mark = _marks(name).fullmatch
        for mark in filter(is_mark, names):
            raise SourceError(
                f"{path.with_name(mark)} shows that the download of {name} is not finished. Finish it, or remove "
                f"{mark} if {name} is whole{_checking(path, checkable)}."
            )


def finished_names(name: str) -> list[str]:
    """Return the names that the unfinished download `name` may have in the end; none if `name` is no such name."""
    lower = name.lower()
    if not lower.endswith(_UNFINISHED_LOWER):  # workers ask this of each file beside images
        return []
    finished = name[: -len(next(filter(lower.endswith, _UNFINISHED_LOWER)))]
    stem, ending = os.path.splitext(finished)
    return [finished, stem] if re.fullmatch(_RANDOM, ending) else [finished]


def _checking(path: Path, checkable: Container[str]) -> str:
    """Return the advice how to check that the archive at `path` is whole; "" if there is no way."""
    return "; --check-archives compares it with the official MD5" if official_name(path) in checkable else ""


def _marks(name: str) -> re.Pattern[str]:
    """Return the pattern of the names that show that the download of `name` is not finished."""
    stem, dot, ending = map(re.escape, name.partition("."))
    behind = "|".join(map(re.escape, _UNFINISHED))
    return re.compile(rf"{stem}{dot}{ending}(?:{behind}|{_RANDOM}\.part(?:ial)?)|{stem}{_RANDOM}{dot}{ending}\.part")


def _copies(path: Path, names: Iterable[str]) -> list[Path]:
    """Return the files beside `path`, among `names`, whose names are names of copies of it."""
    copies = (name for name in names if name != path.name and official_name(name) == path.name)
    return [each for each in map(path.with_name, copies) if os.path.isfile(each)]


def _names_in(folder: Path) -> list[str]:
    """Return the names in `folder`, sorted; none if it cannot be listed, which other code reports."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in itertools.islice(entries, ENTRIES_LIMIT))
    except OSError:
        return []
