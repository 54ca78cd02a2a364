"""One folder to its contents: every entry named, as an image of the set, an annotation, a sub-folder, or a problem.

Runs on the workers, many folders side by side, so it imports no numpy. A folder is listed once; each image and each
annotation that is there costs one stat, and nothing is asked about files that are not there.
"""

from __future__ import annotations

import os
import re
import stat
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from parallel_sharder.errors import SourceError
from parallel_sharder.model import IMAGE_SUFFIX, XML_SUFFIX, Kind, Problem, printable

UNREADABLE = -1
"""The size of an annotation that is there but cannot be read: its image must not pass for one without."""

UNREADABLE_DETAIL = "a broken link, or not a regular file"

NO_KEYS = "(?!)"
"""The key pattern of a folder that should hold only folders: matches nothing."""


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Files of one kind, sorted by key: the keys joined by newlines, and the sizes as native int64."""

    keys: str
    sizes: bytes

    def __len__(self) -> int:
        return len(self.sizes) // 8


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What the folder at `path` holds; `folders` are the names of its sub-folders, sorted."""

    path: str
    images: FileColumns
    xmls: FileColumns
    folders: tuple[str, ...]
    problems: tuple[Problem, ...]


def list_folder(path: str, key_pattern: str) -> FolderContents:
    """The contents of the folder at `path`; images and annotations are those whose stem matches `key_pattern`.

    Raises SourceError if the folder cannot be listed.
    """
    fits = re.compile(key_pattern).fullmatch
    images: list[tuple[str, int]] = []
    xmls: list[tuple[str, int]] = []
    folders: list[str] = []
    problems: list[Problem] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name.endswith(IMAGE_SUFFIX):
                    key, files = name[: -len(IMAGE_SUFFIX)], images
                elif name.endswith(XML_SUFFIX):
                    key, files = name[: -len(XML_SUFFIX)], xmls
                elif _is_folder(entry):
                    folders.append(name)
                    continue
                else:
                    problems.append(_problem(Kind.NOT_AN_IMAGE, entry, "", f"not named like an image, *{IMAGE_SUFFIX}"))
                    continue
                if not fits(key):
                    kind = Kind.MISPLACED_IMAGE if files is images else Kind.ORPHAN_XML
                    problems.append(_problem(kind, entry, "", "no image of this name belongs in this folder"))
                    continue
                size = _file_size(entry)
                if size != UNREADABLE or files is xmls:
                    files.append((key, size))
                else:
                    problems.append(_problem(Kind.UNREADABLE, entry, key, UNREADABLE_DETAIL))
    except OSError as error:
        raise SourceError(f"{printable(path)}: cannot be listed: {error.strerror}") from error
    problems.sort(key=lambda problem: problem.path)
    return FolderContents(path, _columns(images), _columns(xmls), tuple(sorted(folders)), tuple(problems))


def stray_folders(path: str, names: Iterable[str]) -> list[Problem]:
    """The problems with sub-folders of `path` that nothing is read from."""
    detail = "a folder or broken link, not looked into"
    return [Problem(Kind.NOT_AN_IMAGE, printable(os.path.join(path, name)), "", detail) for name in names]


def _file_size(entry: os.DirEntry[str]) -> int:
    try:
        status = entry.stat()
    except OSError:
        return UNREADABLE
    return status.st_size if stat.S_ISREG(status.st_mode) else UNREADABLE


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether `entry` is a folder; a link that leads nowhere counts as one, lest a lost class pass for a stray file."""
    if not entry.is_symlink():
        return entry.is_dir()
    try:
        return stat.S_ISDIR(entry.stat().st_mode)
    except OSError:
        return True


def _problem(kind: Kind, entry: os.DirEntry[str], key: str, detail: str) -> Problem:
    return Problem(kind, printable(entry.path), key, detail)


def _columns(files: list[tuple[str, int]]) -> FileColumns:
    files.sort()
    return FileColumns("\n".join(key for key, _ in files), array("q", (size for _, size in files)).tobytes())
