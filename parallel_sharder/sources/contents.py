"""Contents: the images, annotations and problems in one place of a source: a folder, an archive, or a part of one.

Workers list places and return their Contents to the coordinator, where the scan joins them. So the columns here are
bytes and text, and this module does not import numpy. It also words the problems that folders and archives share.
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
from parallel_sharder.sources.names import NameRule
from parallel_sharder.text import first_few

MISPLACED = "no image of this name belongs in this folder"
STRANGER = "its name is no image's"


_NAMED = 5
"""How many of an archive's names a message shows, if another archive was expected."""


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Files of one kind, sorted by key: the keys are joined by newlines, and the sizes are native int64.

    `extents` holds rows of native int64 as columns.Extents defines them; it is empty for loose files. `endings` holds
    the ending that follows the key in each file's name, joined by newlines; it is empty if all have the usual ending.
    `classes` holds, as native int16, the position of each file's class among the sorted IDs of the data set's classes;
    it is empty where the place says the class.
    """

    keys: str
    sizes: bytes
    extents: bytes = b""
    endings: str = ""
    classes: bytes = b""

    @classmethod
    def of(
        cls,
        sizes: Mapping[str, int],
        usual: str,
        extents: Mapping[str, Sequence[int]] | None = None,
        endings: Mapping[str, str] | None = None,
        classes: Mapping[str, int] | None = None,
    ) -> FileColumns:
        """Return the columns of files given by their keys; files that are not in `endings` have the `usual` ending."""
        keys = sorted(sizes)
        rows = b"" if extents is None else array("q", (each for key in keys for each in extents[key])).tobytes()
        unusual = "\n".join(endings.get(key, usual) for key in keys) if endings else ""
        numbers = b"" if classes is None else array("h", map(classes.__getitem__, keys)).tobytes()
        return cls("\n".join(keys), array("q", map(sizes.__getitem__, keys)).tobytes(), rows, unusual, numbers)

    def __len__(self) -> int:
        return len(self.sizes) // 8

    def names(self, usual: str) -> list[str]:
        """Return the names of the files; `usual` is the ending that most of them have."""
        keys = self.keys.split("\n") if len(self) else []
        return [key + ending for key, ending in zip(keys, self.endings_or(usual), strict=True)]

    def endings_or(self, usual: str) -> list[str]:
        """Return the ending of each name, which is `usual` for all if there are no `endings`."""
        return self.endings.split("\n") if self.endings else [usual] * len(self)


NO_FILES = FileColumns("", b"")


@dataclass(frozen=True, slots=True)
class Contents:
    """What `place` holds. `name` is the name of the folder or inner archive, which is a class's if it holds a class.

    `folders` are the names of sub-folders, sorted. `junk` lists the usual names of the junk, each with its count.
    """

    place: Place
    name: str
    images: FileColumns
    xmls: FileColumns
    folders: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    junk: tuple[tuple[str, int], ...] = ()


def stranger(path: str) -> Problem:
    """Return the problem of the file at `path`, in a folder or an archive, that is no file of the data set."""
    return Problem(Kind.NOT_AN_IMAGE, path, "", STRANGER)


def strangers(top: str, files: Sequence[str], rule: NameRule, known: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each of `files`, which are no files of the data set.

    `top` is the path of their folder or archive with its separator. A file whose name begins with the key of an image,
    and whose key is not among the `known` ones, counts as that image, left out.
    """
    lost = rule.lost_images((os.path.basename(name) for name in files), known)
    for name in files:
        if (base := os.path.basename(name)) in lost:
            key = base.lstrip(".").partition(".")[0]
            yield Problem(Kind.OTHER_ENDING, top + name, key, "no image's ending; it may be unfinished")
        else:
            yield stranger(top + name)


def refuse_repeat(one: str, other: str) -> NoReturn:
    """Raise SourceError, because the two files have the same key."""
    raise SourceError(f"{one} and {other} have one key, and readers would merge the two. Remove the wrong one.")


def names_at_top(paths: Iterable[str]) -> str:
    """Return the first names at the top of an archive that holds `paths`, in words."""
    parts = (path.removeprefix("./").partition("/") for path in paths)
    names = [*dict.fromkeys(top + slash for top, slash, _ in parts)]
    return first_few(names, _NAMED) or "nothing"
