"""Files: what a table's rows name is looked up, and what lies below the root is listed. These are tasks of the scan.

Names go in as bytes, joined by NULs, and sizes and names come back as bytes. Each file that a row names costs one stat.
Workers run this module, so it does not import numpy.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections import Counter
from typing import NamedTuple

from parallel_sharder.errors import SourceError
from parallel_sharder.samples.image_fields import FIELDS
from parallel_sharder.sources.folders import is_folder, unlisted
from parallel_sharder.sources.names import junk

NO_FILE = -1
UNREADABLE = -2
"""The sizes of a file that is not there, and of one that this user cannot read, or that is no regular file."""

_SHOWN_BYTES = 10
"""Endings of more bytes are mostly none, and are counted together."""


def sizes_of(root: bytes, names: bytes) -> bytes:
    """Return the size of each file, as native int64: names are relative to `root`, or absolute, and joined by NULs."""
    sizes = array("q")
    try:
        # By a descriptor, so that the system does not look up the root's path again for each file.
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(f"{os.fsdecode(root)} cannot be read: {error.strerror}. Name another --root.") from None
    try:
        for name in names.split(b"\0"):
            try:
                status = os.stat(name, dir_fd=descriptor)
            except (FileNotFoundError, NotADirectoryError):
                sizes.append(NO_FILE)
            except OSError:
                sizes.append(UNREADABLE)
            else:
                sizes.append(status.st_size if stat.S_ISREG(status.st_mode) else UNREADABLE)
    finally:
        os.close(descriptor)
    return sizes.tobytes()


class Looked(NamedTuple):
    """What lies in one folder: its `identity` (device and number), and paths relative to the root.

    `images` are the paths of images by their ending, joined by NULs and sorted, and `asked` likewise those of files
    with an ending that was asked for; `others` counts all other files by their ending (see `ending_of`). Junk is passed
    over.
    """

    folder: bytes
    identity: tuple[int, int]
    images: bytes
    asked: bytes
    folders: tuple[bytes, ...]
    others: tuple[tuple[str, int], ...]


def look_into(root: bytes, folders: tuple[bytes, ...], endings: frozenset[str] = frozenset()) -> list[Looked]:
    """Return what lies in these folders of `root`; `endings` are asked for.

    Raises SourceError for a folder that cannot be listed.
    """
    return [_look_into(root, folder, endings) for folder in folders]


def ending_of(name: bytes) -> str:
    """Return the ending of a file's name, in small letters; "" for one that is no word."""
    ending = name[name.rfind(b".") :].decode("ascii", "replace").lower()
    return ending if ending.startswith(".") and len(ending) <= _SHOWN_BYTES else ""


def _look_into(root: bytes, folder: bytes, endings: frozenset[str]) -> Looked:
    path = os.path.join(root, folder)
    images: list[bytes] = []
    asked: list[bytes] = []
    inner: list[bytes] = []
    others: Counter[str] = Counter()
    try:
        status = os.stat(path)
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                ending = ending_of(name)
                if ending in FIELDS and not name.startswith(b".") and not is_folder(entry):
                    images.append(os.path.join(folder, name))
                elif junk(os.fsdecode(name)):
                    continue
                elif is_folder(entry):
                    inner.append(os.path.join(folder, name))
                elif ending in endings:
                    asked.append(os.path.join(folder, name))
                else:
                    others[ending] += 1
    except OSError as error:
        raise unlisted(os.fsdecode(path), error) from None
    identity = status.st_dev, status.st_ino
    of_images, of_asked = (b"\0".join(sorted(paths)) for paths in (images, asked))
    return Looked(folder, identity, of_images, of_asked, tuple(sorted(inner)), tuple(others.items()))
