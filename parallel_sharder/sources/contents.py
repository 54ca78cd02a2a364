"""Contents: what was found in one place of the source, a folder or an archive or a part of one, on its way to the scan.

Crosses from the workers, which list places side by side, to the coordinator; so no numpy here.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Place, Problem
from parallel_sharder.sources.names import Names
from parallel_sharder.text import first_few

MISPLACED = "no image of this name belongs in this folder"
STRANGER = "its name is no image's"


_NAMED = 5
"""Names in an archive that are told, where it is another than was expected."""


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Files of one kind, sorted by key: the keys joined by newlines, and the sizes as native int64.

    `extents` are rows of native int64 as in columns.Extents; empty for loose files. `endings`, joined by newlines too,
    are what follows the key in each file's name; empty where all have the usual one.
    """

    keys: str
    sizes: bytes
    extents: bytes = b""
    endings: str = ""

    @classmethod
    def of(
        cls,
        sizes: Mapping[str, int],
        usual: str,
        extents: Mapping[str, Sequence[int]] | None = None,
        endings: Mapping[str, str] | None = None,
    ) -> FileColumns:
        """The columns of files given by their keys; those that are not in `endings` have the `usual` one."""
        keys = sorted(sizes)
        rows = b"" if extents is None else array("q", (each for key in keys for each in extents[key])).tobytes()
        unusual = "\n".join(endings.get(key, usual) for key in keys) if endings else ""
        return cls("\n".join(keys), array("q", map(sizes.__getitem__, keys)).tobytes(), rows, unusual)

    def __len__(self) -> int:
        return len(self.sizes) // 8

    def names(self, usual: str) -> list[str]:
        """The files' names; `usual` is the ending that most have."""
        keys = self.keys.split("\n") if len(self) else []
        return [key + ending for key, ending in zip(keys, self.endings_or(usual), strict=True)]

    def endings_or(self, usual: str) -> list[str]:
        """What each name ends in."""
        return self.endings.split("\n") if self.endings else [usual] * len(self)


NO_FILES = FileColumns("", b"")


@dataclass(frozen=True, slots=True)
class Contents:
    """What `place` holds; `name` is the folder's or inner archive's own, a class's if it is of one.

    `folders` are the names of sub-folders, sorted; `junk` are what systems have left there, by the names that people
    know them by, each with its count.
    """

    place: Place
    name: str
    images: FileColumns
    xmls: FileColumns
    folders: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    junk: tuple[tuple[str, int], ...] = ()


def stranger(path: str) -> Problem:
    """What is said of the file at `path`, in a folder or an archive, that is nothing of the set."""
    return Problem(Kind.NOT_AN_IMAGE, path, "", STRANGER)


def strangers(top: str, files: Sequence[str], names: Names, known: Collection[str]) -> Iterator[Problem]:
    """What is said of the files of these names in `top`, a folder or an archive's name, that are nothing of the set.

    One that is named like an image which is not among the `known` keys counts as that image, left out.
    """
    lost = names.lost_images((os.path.basename(name) for name in files), known)
    for name in files:
        if (base := os.path.basename(name)) in lost:
            key = base.lstrip(".").partition(".")[0]
            yield Problem(Kind.OTHER_ENDING, top + name, key, "no image's ending; it may be unfinished")
        else:
            yield stranger(top + name)


def refuse_repeat(one: str, other: str) -> NoReturn:
    """Raise SourceError: the two files have one key."""
    raise SourceError(f"{one} and {other} have one key, and readers would merge the two. Remove the wrong one.")


def names_at_top(paths: Iterable[str]) -> str:
    """The first names at the top of an archive of these paths, for people."""
    parts = (path.removeprefix("./").partition("/") for path in paths)
    names = [*dict.fromkeys(top + slash for top, slash, _ in parts)]
    return first_few(names, _NAMED) or "nothing"
