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

    `images` are the paths of images by their ending, joined by NULs and sorted; `others` counts all other files by
    their ending, "" for no word. Junk is passed over.
    """

    folder: bytes
    identity: tuple[int, int]
    images: bytes
    folders: tuple[bytes, ...]
    others: tuple[tuple[str, int], ...]


def look_into(root: bytes, folders: tuple[bytes, ...]) -> list[Looked]:
    """Return what lies in these folders of `root`. Raises SourceError for one that cannot be listed."""
    return [_look_into(root, folder) for folder in folders]


def _look_into(root: bytes, folder: bytes) -> Looked:
    path = os.path.join(root, folder)
    images: list[bytes] = []
    inner: list[bytes] = []
    others: Counter[str] = Counter()
    try:
        status = os.stat(path)
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                ending = name[name.rfind(b".") :].decode("ascii", "replace").lower()
                if ending in FIELDS and not name.startswith(b".") and not entry.is_dir():
                    images.append(os.path.join(folder, name))
                elif junk(os.fsdecode(name)):
                    continue
                elif entry.is_dir():
                    inner.append(os.path.join(folder, name))
                else:
                    others[ending if ending.startswith(".") and len(ending) <= _SHOWN_BYTES else ""] += 1
    except OSError as error:
        raise SourceError(
            f"{os.fsdecode(path)}: cannot be listed: {error.strerror}. Give this user the right to read and search it "
            "(chmod u+rx for its owner)."
        ) from None
    identity = status.st_dev, status.st_ino
    return Looked(folder, identity, b"\0".join(sorted(images)), tuple(sorted(inner)), tuple(others.items()))
