"""Paths: the cells of a table that name images become names of files below the root, as bytes.

Text comes in and bytes go out: relative to the root, without needless dots and slashes, and absolute where the file
lies elsewhere. A URL is refused, because this tool downloads nothing, and so is a cell that can be no path. Rows of
another split are told by their folder. Nothing is opened here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from parallel_sharder.errors import SourceError

_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]+://|data:)")
_ODD = ("//", "/./", "\0./", "\0/", "\0\0", "\0data:")
"""What makes a batch of paths, each with a NUL before it, need a closer look."""


class Paths:
    """Reads the cells of the table at `table`, whose paths are relative to `root`, an absolute path.

    Without a `folder` all rows are wanted, otherwise those whose image lies in this folder of the root; names are then
    relative to the folder.
    """

    def __init__(self, table: str, column: str, root: str, folder: str = "") -> None:
        self._table, self._column = table, column
        self._root = os.path.join(root, "")
        self._folder = os.fsencode(os.path.join(folder, "")) if folder else b""

    def names(self, first: int, cells: Sequence[str | None]) -> list[bytes]:
        """Return the name of each cell's file; `first` is the number of the first cell's row.

        The name is empty where the file lies outside of the wanted folder. Raises SourceError for a cell that is no
        path.
        """
        try:
            joined = "\0" + "\0".join(cells)  # type: ignore[arg-type]
            if joined.count("\0") != len(cells) or any(odd in joined for odd in _ODD) or joined.endswith("\0"):
                raise ValueError
            names = joined.encode("utf-8", "surrogateescape")[1:].split(b"\0")
        except (TypeError, ValueError):  # an empty cell, a NUL, half a surrogate pair, or another odd path
            names = [self._name(row, cell) for row, cell in enumerate(cells, first)]
        folder = self._folder
        return [name[len(folder) :] if name.startswith(folder) else b"" for name in names] if folder else names

    def _name(self, row: int, cell: str | None) -> bytes:
        where = f"{self._table}, row {row:,}, column {self._column!r}"
        if not cell:
            raise SourceError(f"{where} is empty, and each row names an image. Remove the row, or name the image.")
        if _URL.match(cell):
            raise SourceError(
                f"{where} is a URL, {cell[:200]}. This tool downloads nothing: download the images first, and write "
                "their paths to a column of the table."
            )
        path = cell.removeprefix(self._root)
        parts = [part for part in path.split("/") if part not in ("", ".")]
        clean = "/" * path.startswith("/") + "/".join(parts)
        try:
            name = clean.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            name = b""
        if not name.strip(b"/") or b"\0" in name:
            raise SourceError(f"{where} is {cell!r}, which is no path. Mend it.")
        return name
