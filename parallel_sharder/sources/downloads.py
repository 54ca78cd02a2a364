"""Archives as programs that download leave them: under their own name, as a second copy, or unfinished."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from parallel_sharder.errors import SourceError

_COPIES = (" (1)", "(1)", " (2)", "(2)", " (3)", "(3)", " copy", " - Copy")
"""What browsers and desktops put before the ending of a second copy's name."""

_COPY = re.compile("(" + "|".join(map(re.escape, _COPIES)) + r")(?=\.)")

_NUMBERED = (".1", ".2")
"""What wget puts behind the name."""

_UNFINISHED = (
    ".aria2", ".part", ".crdownload", ".partial", ".download", ".opdownload", ".tmp", ".filepart", ".!qB", ".!ut",
)  # fmt: skip
"""What programs put behind the name of a download, or of a file beside it, until it is finished."""


def official_name(path: str | Path) -> str:
    """The name that the archive at `path` was given by its makers, if it is a copy of that."""
    name = _COPY.sub("", os.path.basename(path))
    return next((name.removesuffix(end) for end in _NUMBERED if name.endswith(end)), name)


def downloaded(folder: Path, name: str) -> Path:
    """The archive called `name` in `folder`, or a copy of it under another name if that is all there is."""
    path = folder / name
    return path if os.path.exists(path) else next(iter(_copies(path)), path)


def refuse_doubtful(paths: Iterable[Path]) -> None:
    """Raise SourceError for an archive that is not yet whole, or is there twice."""
    for path in paths:
        refuse_unfinished(path)
        own = path.with_name(official_name(path))
        there = [each for each in (own, *_copies(own)) if os.path.exists(each)]
        if len(there) > 1:
            raise SourceError(
                f"{there[0]} and {there[1].name} are both there, and one may be unfinished. Keep the one that is "
                "whole, and move the other one away; --check-archives compares it with the official MD5."
            )


def refuse_unfinished(path: Path) -> None:
    """Raise SourceError if the archive at `path`, whether that is there or not, is still being downloaded."""
    for each in (path, path.with_name(official_name(path))):
        for end in _UNFINISHED:
            mark = each.with_name(each.name + end)
            if os.path.exists(mark):
                raise SourceError(
                    f"{mark} shows that the download of {each.name} is not finished. Finish it, or remove {mark.name} "
                    f"if {each.name} is whole; --check-archives compares it with the official MD5."
                )


def _copies(path: Path) -> list[Path]:
    stem, dot, ending = path.name.partition(".")
    names = [*(f"{stem}{copy}{dot}{ending}" for copy in _COPIES), *(path.name + number for number in _NUMBERED)]
    return [each for each in map(path.with_name, names) if os.path.isfile(each)]
