"""Glances: what a folder holds by its names, before any scan: sub-folders, and whether there is an image in it.

Each glance ends at the first image, and costs no stat but for links. Hidden folders and junk are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from parallel_sharder.sources.class_folders.endings import is_image
from parallel_sharder.sources.folders import is_folder, unlisted
from parallel_sharder.sources.names import junk


def sub_folders(folder: Path) -> list[str]:
    """Return the names of the folders in `folder`, sorted bytewise, without hidden ones and junk.

    Raises SourceError if it cannot be listed.
    """
    names = [entry.name for entry in _entries(folder) if not _is_hidden(entry.name) and is_folder(entry)]
    return sorted(names, key=os.fsencode)


def holds_image_itself(folder: Path) -> bool:
    """Return whether an image lies directly in `folder`."""
    return any(is_image(entry.name) and not junk(entry.name) and not is_folder(entry) for entry in _entries(folder))


def holds_image(folder: Path) -> bool:
    """Return whether an image lies in `folder` or below it."""
    waiting, seen = [folder], set()
    while waiting:
        path = waiting.pop()
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:  # links may form a circle
            continue
        seen.add((status.st_dev, status.st_ino))
        if holds_image_itself(path):
            return True
        waiting += [path / name for name in sub_folders(path)]
    return False


def first_folders(names: Iterable[str], limit: int = 3) -> str:
    """Return the first of these names of folders, in words."""
    some = [*names]
    return ", ".join(f"{name}/" for name in some[:limit]) + (", ..." if len(some) > limit else "")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or junk(name) != ""


def _entries(folder: Path) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise unlisted(folder, error) from error
