"""One folder to its contents: every entry named, as an image of the set, an annotation, a sub-folder, or a problem.

Runs on the workers, many folders side by side, so it imports no numpy. A folder is listed once; each image and each
annotation that is there costs one stat, and nothing is asked about files that are not there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from parallel_sharder.errors import SourceError
from parallel_sharder.model import IMAGE_SUFFIX, XML_SUFFIX, Kind, Place, Problem, printable
from parallel_sharder.sources.contents import MISPLACED, STRANGER, Contents, FileColumns, misfits

UNREADABLE = -1
"""The size of an annotation that is there but cannot be read: its image must not pass for one without."""

UNREADABLE_DETAIL = "a broken link, or not a regular file"

NO_KEYS = "(?!)"
"""The key pattern of a folder that should hold only folders: matches nothing."""


def list_folder(path: str, key_pattern: str) -> Contents:
    """The contents of the folder at `path`; images and annotations are those whose stem matches `key_pattern`.

    Raises SourceError if the folder cannot be listed.
    """
    image_names: dict[str, int] = {}
    xml_names: dict[str, int] = {}
    folders: list[str] = []
    others: list[str] = []
    try:
        # Through a descriptor, so that the system does not look for the folder again for each file.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    name = entry.name
                    if name.endswith(IMAGE_SUFFIX):
                        image_names[name] = _file_size(entry)
                    elif name.endswith(XML_SUFFIX):
                        xml_names[name] = _file_size(entry)
                    else:
                        (folders if _is_folder(entry) else others).append(name)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SourceError(f"{printable(path)}: cannot be listed: {error.strerror}") from error

    images, misplaced_images = _by_key(image_names, IMAGE_SUFFIX, key_pattern)
    xmls, misplaced_xmls = _by_key(xml_names, XML_SUFFIX, key_pattern)
    unreadable = [key for key, size in images.items() if size == UNREADABLE]
    for key in unreadable:
        del images[key]
    found = [
        *((Kind.NOT_AN_IMAGE, name, "", STRANGER) for name in others),
        *((Kind.MISPLACED_IMAGE, name, "", MISPLACED) for name in misplaced_images),
        *((Kind.ORPHAN_XML, name, "", MISPLACED) for name in misplaced_xmls),
        *((Kind.UNREADABLE, key + IMAGE_SUFFIX, key, UNREADABLE_DETAIL) for key in unreadable),
    ]
    problems = [Problem(kind, printable(os.path.join(path, name)), key, detail) for kind, name, key, detail in found]
    problems.sort(key=lambda problem: problem.path)
    return Contents(
        Place(path, path),
        os.path.basename(path),
        FileColumns.of(images),
        FileColumns.of(xmls),
        tuple(sorted(folders)),
        tuple(problems),
    )


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


def _by_key(sizes: dict[str, int], suffix: str, key_pattern: str) -> tuple[dict[str, int], list[str]]:
    """The sizes by key instead of by name, and the names of files whose key does not match."""
    by_key = {name[: -len(suffix)]: size for name, size in sizes.items()}
    misplaced = misfits([*by_key], key_pattern)
    for key in misplaced:
        del by_key[key]
    return by_key, [key + suffix for key in misplaced]
