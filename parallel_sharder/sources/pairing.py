"""Pairing: the contents of many places become a Listing, whose images and annotations are paired by their keys.

A source gathers images and annotations as Files, pairs them, and says the class of each image. Files that belong to no
sample of the Listing become problems, so that nothing is left out in silence. This module knows no data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parallel_sharder.columns import Bools, Bytes, Extents, Int32s, Int64s, Keys, Texts
from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import ImageClass, Listing, Part, Place, Problem, Role
from parallel_sharder.sources.contents import Contents, FileColumns
from parallel_sharder.sources.folders import UNREADABLE, why_unreadable
from parallel_sharder.stores.blob import make_blob
from parallel_sharder.text import counted


@dataclass(frozen=True, eq=False)
class Files:
    """Files of one kind from many places, as columns sorted by key: file i lies in the place of `contents[place[i]]`.

    The name of file i is its key and `endings[i]`, or `usual` where `endings` is None. `classes` is what it is in
    FileColumns, and None where places say the classes.
    """

    contents: tuple[Contents, ...]
    usual: str
    keys: Keys
    place: Int32s
    sizes: Int64s
    extents: Extents | None
    endings: npt.NDArray[np.str_] | None
    classes: npt.NDArray[np.int16] | None = None

    @classmethod
    def gather(cls, contents: Sequence[Contents], columns: Sequence[FileColumns], usual: str) -> Files:
        """Return the files of all `columns`; `columns[i]` are files in the place of `contents[i]`."""
        keys = [np.array(each.keys.encode("ascii").split(b"\n"), np.bytes_) for each in columns if len(each)]
        extents = None
        if any(each.extents for each in columns):
            numbers = np.concatenate([np.frombuffer(each.extents, np.int64) for each in columns])
            extents = numbers.reshape(sum(map(len, columns)), -1)
        endings = None
        if any(each.endings for each in columns):
            endings = np.array([ending for each in columns if len(each) for ending in each.endings_or(usual)])
        classes = None
        if any(each.classes for each in columns):
            classes = np.frombuffer(b"".join(each.classes for each in columns), np.int16)
        files = cls(
            tuple(contents),
            usual,
            np.concatenate([np.empty(0, "S1"), *keys]),
            np.repeat(np.arange(len(columns), dtype=np.int32), [len(each) for each in columns]),
            np.concatenate([np.empty(0, np.int64), *(np.frombuffer(each.sizes, np.int64) for each in columns)]),
            extents,
            endings,
            classes,
        )
        if np.any(files.keys[:-1] > files.keys[1:]):
            return files.take(np.argsort(files.keys, kind="stable"))
        return files

    def __len__(self) -> int:
        return len(self.keys)

    def key_texts(self) -> list[str]:
        """Return all keys, in order."""
        return [key.decode("ascii") for key in self.keys.tolist()]

    @property
    def places(self) -> tuple[Place, ...]:
        """The places that the numbers in `place` count."""
        return tuple(each.place for each in self.contents)

    def take(self, rows: Int64s | Bools) -> Files:
        """Return the files of these rows."""
        extents = None if self.extents is None else self.extents[rows]
        endings = None if self.endings is None else self.endings[rows]
        classes = None if self.classes is None else self.classes[rows]
        columns = self.keys[rows], self.place[rows], self.sizes[rows], extents, endings, classes
        return Files(self.contents, self.usual, *columns)

    def path(self, row: int) -> str:
        """Return the path of this row's file, as messages show it."""
        extent = () if self.extents is None else self.extents[row].tolist()
        name = str(self.keys[row], "ascii") + (self.usual if self.endings is None else str(self.endings[row]))
        return make_blob(self.contents[self.place[row]].place, name, int(self.sizes[row]), extent).path

    def refuse_repeats(self) -> None:
        """Raise SourceError if two files have the same key."""
        repeats = np.flatnonzero(self.keys[:-1] == self.keys[1:])
        if len(repeats):
            one, other = (self.path(row) for row in (repeats[0], repeats[0] + 1))
            raise SourceError(
                f"{counted(len(repeats), 'key occurs', 'keys occur')} twice, and readers would merge or mislabel these "
                f"samples; the first: {one} and {other}. Remove the wrong file of each pair."
            )

    def problems(self, kind: Kind, detail: str) -> list[Problem]:
        """Return one problem for each of these files."""
        return [Problem(kind, self.path(row), "", detail) for row in range(len(self))]


class Pairs(NamedTuple):
    """Annotations and their images: file i has the image `rows[i]`, if `matched[i]`; otherwise it has no image."""

    files: Files
    rows: Int64s
    matched: Bools

    @classmethod
    def of(cls, files: Files, images: Files) -> Pairs:
        """Return the pairs of the annotations `files` and of `images`, which must not be empty."""
        rows = np.searchsorted(images.keys, files.keys)
        rows[rows == len(images)] = 0
        return cls(files, rows, images.keys[rows] == files.keys)


class Annotations(NamedTuple):
    """The annotations that are used. `xml_of` has the row in `files` for each image, or -1 if it has no annotation.

    `readable` is False for each image whose annotation cannot be read. `where` says in words where they lie.
    """

    files: Files
    xml_of: Int64s
    readable: Bools
    where: str
    problems: tuple[Problem, ...] = ()

    @classmethod
    def none(cls, images: Files, usual: str) -> Annotations:
        """Return no annotations for `images`, as they are not wanted; `usual` is an annotation's usual ending."""
        nothing = Files.gather((), (), usual)
        return cls(nothing, np.full(len(images), -1), np.ones(len(images), np.bool_), "not wanted")

    @classmethod
    def of(cls, pairs: Pairs, images: Files, where: str, problems: Sequence[Problem] = ()) -> Annotations:
        """Return the annotations of `pairs`. Their problems follow the `problems` that are known already.

        Raises SourceError if two annotations have the same key.
        """
        xmls, rows, matched = pairs
        xmls.refuse_repeats()
        unreadable = matched & (xmls.sizes == UNREADABLE)
        unread = [xmls.path(row) for row in np.flatnonzero(unreadable).tolist()]
        all_problems = [
            *problems,
            *xmls.take(~matched).problems(Kind.ORPHAN_XML, "no image of this name"),
            *(Problem(Kind.UNREADABLE, path, "", why_unreadable(path)) for path in unread),
        ]
        xml_of = np.full(len(images), -1)
        xml_of[rows[matched]] = np.flatnonzero(matched)
        readable = np.ones(len(images), np.bool_)
        readable[rows[unreadable]] = False
        return cls(xmls, xml_of, readable, where, tuple(all_problems))


def listing_of(
    classes: tuple[ImageClass, ...], images: Files, class_index: Int32s, xmls: Files, xml_of: Int64s
) -> Listing:
    """Return the Listing of `images`. Its facts, problems and notices are empty, and the source adds them.

    `class_index` has each image's row in `classes`. `xml_of` has its row in the annotations `xmls`, or -1.
    """
    places, first_xml_place = images.places, 0
    if xmls.contents != images.contents:
        places, first_xml_place = images.places + xmls.places, len(images.places)
    annotated = xml_of >= 0
    xml_place = np.full(len(images), -1, np.int32)
    xml_place[annotated] = xmls.place[xml_of[annotated]] + first_xml_place
    xml_size = np.full(len(images), -1, np.int64)
    xml_size[annotated] = xmls.sizes[xml_of[annotated]]
    xml_extent = None
    if xmls.extents is not None:
        xml_extent = np.full((len(images), xmls.extents.shape[1]), -1, np.int64)
        xml_extent[annotated] = xmls.extents[xml_of[annotated]]
    xml_endings = None if xmls.endings is None else np.where(annotated, xmls.endings[xml_of], xmls.usual)
    image_names, xml_names = _numbered(images.endings, images.usual), _numbered(xml_endings, xmls.usual)
    parts = (
        Part(Role.IMAGE, image_names[0], images.place, images.sizes, images.extents, image_names[1]),
        Part(Role.ANNOTATION, xml_names[0], xml_place, xml_size, xml_extent, xml_names[1]),
    )
    return Listing(
        (),
        places,
        classes,
        Texts.of_array(images.keys),
        class_index,
        parts,
        (),
    )


def _numbered(column: npt.NDArray[np.str_] | None, usual: str) -> tuple[tuple[str, ...], Bytes | None]:
    """Return the different endings in `column`, and the column of their numbers; without a column `usual` and None."""
    if column is None:
        return (usual,), None
    endings = np.unique(column)
    return tuple(endings.tolist()), np.searchsorted(endings, column).astype(np.uint8)
