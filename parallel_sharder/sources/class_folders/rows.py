"""Rows: the images of one folder after another become columns of bytes, with the files that are joined to them.

Names and sizes go in, and Columns come out, which cross from a worker to the coordinator. A name is stored only where
it does not follow from the key. This module reads nothing, and does not import numpy.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class SideColumn(NamedTuple):
    """The files of one field that are joined to the rows: native int64 sizes, -1 where a row has none.

    `names` are as in Columns; the usual name is the key, a dot and the field. Without such a file, both are empty.
    """

    sizes: bytes = b""
    names: bytes = b""


@dataclass(frozen=True, slots=True)
class Columns:
    """Images, one row each. `keys` are joined by newlines; `sizes` are native int64.

    `ending` has a byte for each row, a position in `endings`. `names` are paths below the split as on disk, joined by
    NUL, "" where the path is the key and the ending; it is b"" if all are. `sides` has a column for each joined field.
    """

    keys: bytes = b""
    names: bytes = b""
    sizes: bytes = b""
    endings: tuple[str, ...] = ()
    ending: bytes = b""
    sides: tuple[SideColumn, ...] = ()

    def __len__(self) -> int:
        return len(self.ending)

    @property
    def first_path(self) -> bytes:
        """The path of the first image below the split; there must be one."""
        usual = self.keys.partition(b"\n")[0] + os.fsencode(self.endings[self.ending[0]])
        return self.names.partition(b"\0")[0] or usual


class Folder(NamedTuple):
    """The images of one folder: their names, their paths below the split, and their keys, in one order.

    `joined` has, for each field, the name of each row's file, "" for none, or is empty if no row has one.
    """

    prefix: str
    names: list[str]
    paths: list[bytes]
    keys: list[bytes]
    joined: list[list[str]]

    def without(self, rows: Mapping[int, str]) -> Folder:
        """Return the folder without these rows."""
        kept = [row for row in range(len(self.names)) if row not in rows]
        joined = [[some[row] for row in kept] if some else some for some in self.joined]
        names, paths, keys = self.names, self.paths, self.keys
        return Folder(
            self.prefix, [names[row] for row in kept], [paths[row] for row in kept], [keys[row] for row in kept], joined
        )


class Rows:
    """Columns that grow folder by folder."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._keys: list[bytes] = []
        self._names = _Names()
        self._sizes = array("q")
        self._endings: dict[str, int] = {}
        self._ending = bytearray()
        self._sides = [_Side(f".{field}") for field in fields]

    def add(self, folder: Folder, images: Mapping[str, int], sides: Sequence[Mapping[str, int]]) -> None:
        """Add a row for each image of a folder; `images` and `sides` have the sizes by name."""
        if not folder.names:
            return
        keys = b"\n".join(folder.keys)
        named = b"=" in keys or b"~" in keys
        special = [b"=" in key or b"~" in key for key in folder.keys] if named else []
        self._keys.append(keys)
        self._names.add([path if is_so else b"" for path, is_so in zip(folder.paths, special, strict=named)], folder)
        self._sizes.extend(map(images.__getitem__, folder.names))
        endings = [name[name.rfind(".") :] for name in folder.names]
        for ending in dict.fromkeys(endings):
            self._endings.setdefault(ending, len(self._endings))
        self._ending.extend(map(self._endings.__getitem__, endings))
        for side, names, sizes in zip(self._sides, folder.joined, sides, strict=True):
            side.add(folder, names, sizes, special)

    def columns(self) -> Columns:
        """Return all that was added."""
        sides = tuple(side.column() for side in self._sides)
        names = self._names.joined()
        return Columns(
            b"\n".join(self._keys), names, self._sizes.tobytes(), tuple(self._endings), bytes(self._ending), sides
        )


class _Names:
    """Names of the rows, of which most are ""."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._is_needed = False

    def add(self, names: list[bytes], folder: Folder) -> None:
        """Add the names of a folder's rows; none if all are ""."""
        part = b"\0".join(names) if names else b"\0" * (len(folder.names) - 1)
        self._is_needed |= part != b"" and part.strip(b"\0") != b""
        self._parts.append(part)

    def joined(self) -> bytes:
        """Return the names, joined by NUL; b"" if all are ""."""
        return b"\0".join(self._parts) if self._is_needed else b""


class _Side:
    """The column of one field. `ending` is the usual one, with its dot."""

    def __init__(self, ending: str) -> None:
        self._ending = ending
        self._sizes = array("q")
        self._names = _Names()
        self._is_needed = False

    def add(self, folder: Folder, names: list[str], sizes: Mapping[str, int], special: list[bool]) -> None:
        """Add the files of a folder's rows, by their names and sizes by name."""
        self._is_needed |= bool(names)
        self._sizes.extend([sizes[name] if name else -1 for name in names] or [-1] * len(folder.names))
        is_named = bool(special) or not all(name.endswith(self._ending) for name in names if name)
        rows = zip(names, special or [False] * len(names), strict=True) if is_named and names else ()
        self._names.add([self._stored(folder.prefix, name, is_so) for name, is_so in rows], folder)

    def column(self) -> SideColumn:
        """Return all that was added."""
        return SideColumn(self._sizes.tobytes(), self._names.joined()) if self._is_needed else SideColumn()

    def _stored(self, prefix: str, name: str, is_special: bool) -> bytes:
        needed = name and (is_special or not name.endswith(self._ending))
        return os.fsencode(prefix + name) if needed else b""
