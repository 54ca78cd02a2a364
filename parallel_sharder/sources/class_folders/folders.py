"""Folders: one folder of a split becomes Found: each entry is an image, a joined file, another file, or a folder.

Files are told apart by their names alone; links are followed. This code runs for each of millions of files, on the
workers. So a folder is listed by its descriptor, only images and files to be joined cost a stat, and numpy is not
imported. What becomes of the files is decided in listing.py.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from parallel_sharder.samples.image_fields import FIELDS
from parallel_sharder.sources.class_folders.endings import split_name
from parallel_sharder.sources.class_folders.listed import Identity
from parallel_sharder.sources.folders import UNREADABLE, file_size, is_folder, open_folder
from parallel_sharder.sources.names import junk


@dataclass
class Found:
    """What a folder holds. Sizes by name, which are UNREADABLE where a file cannot be read; other files have no size.

    `columns` holds the images first, and then the files of each field that is joined.
    """

    identity: Identity
    columns: tuple[dict[str, int], ...]
    folders: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    junk: Counter[str] = field(default_factory=Counter)


class _ByEnding(dict[str, dict[str, int] | None]):
    """The column of each ending, as it is written; None for files that are in no column."""

    def __init__(self, columns: tuple[dict[str, int], ...], fields: Iterable[str]) -> None:
        self._known = {f".{name}": column for name, column in zip(fields, columns[1:], strict=True)}
        self._known.update(dict.fromkeys(FIELDS, columns[0]))

    def __missing__(self, ending: str) -> dict[str, int] | None:
        self[ending] = column = self._known.get(ending.lower())
        return column


def look_into(path: str, fields: tuple[str, ...]) -> Found:
    """Return what the folder at `path` holds; `fields` are the endings that are joined, in lower case, without dots.

    Raises SourceError if the folder cannot be listed, and if this user may not search it.
    """
    with open_folder(path) as descriptor, os.scandir(descriptor) as entries:
        status = os.fstat(descriptor)
        found = Found((status.st_dev, status.st_ino), tuple({} for _ in range(1 + len(fields))))
        _sort(entries, _ByEnding(found.columns, fields), found, path)
    return found


def _sort(entries: Iterable[os.DirEntry[str]], by_ending: _ByEnding, found: Found, path: str) -> None:
    """Put each entry of the folder at `path` where it belongs in `found`."""
    for entry in entries:
        name = entry.name
        cut = name.rfind(".")
        column = by_ending[name[cut:]] if cut > 0 and name[0] != "." else None
        if column is None and name[0] == "." and not junk(name):
            column = by_ending[split_name(name)[1]]
        if column is None:
            _sort_other(entry, found)
        elif (size := file_size(entry, path)) == UNREADABLE and is_folder(entry):
            found.folders.append(name)
        else:
            column[name] = size


def _sort_other(entry: os.DirEntry[str], found: Found) -> None:
    """Put an entry in its place; its name has neither an image's ending nor that of a joined file."""
    if word := junk(entry.name):
        found.junk[word] += 1
    elif is_folder(entry):
        found.folders.append(entry.name)
    elif entry.is_symlink() and not _leads_somewhere(entry):
        found.broken.append(entry.name)
    else:
        found.others.append(entry.name)


def _leads_somewhere(entry: os.DirEntry[str]) -> bool:
    try:
        entry.stat()
    except OSError:
        return False
    return True
