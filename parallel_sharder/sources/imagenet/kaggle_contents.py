"""Kaggle's zip to Contents: a worker lists a split's images and annotations; small files in it are found here too.

The tree in the zip begins with ILSVRC/, at the top or below other folders: a zip that was unpacked and packed again has
one folder more. Nothing is unpacked: the extents of images and annotations in the zip are listed.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import defaultdict

from parallel_sharder.errors import SourceError
from parallel_sharder.model import Place
from parallel_sharder.sources.contents import NO_FILES, Contents, FileColumns, names_at_top, stranger, strangers
from parallel_sharder.sources.imagenet.names import WNID, name_rule
from parallel_sharder.sources.names import JunkCount, NameKind, NameRule
from parallel_sharder.sources.small_files import InZip
from parallel_sharder.sources.zips import UNZIP, ZipMember, zip_members
from parallel_sharder.tar.member_header import refusal

_IMAGES, _ANNOTATIONS = "ILSVRC/Data/CLS-LOC", "ILSVRC/Annotations/CLS-LOC"
_ABOVE = re.compile(r"((?!__MACOSX/)(?:[^/]+/)*?)ILSVRC/(?:Data|Annotations)/CLS-LOC/")


class InKaggleZip(InZip):
    """The file `name` of the folder that holds ILSVRC/ in a zip."""

    def _path_inside(self) -> str:
        return folder_above(str(self.archive)) + self.name


def refuse_another(path: str) -> None:
    """Raise SourceError if the zip at `path` holds no part of Kaggle's tree, and as zip_members does."""
    if any(_ABOVE.match(member.name) for member in zip_members(path, with_folders=True)):
        return
    names = names_at_top(member.name for member in zip_members(path))
    raise SourceError(
        f"{path} holds no ILSVRC/, as Kaggle's zip does; it holds {names}. It is another zip, or was cut short. "
        "Download it again, or unzip it and name the folder of the data set with --root."
    )


def folder_above(path: str) -> str:
    """Return the folder that holds ILSVRC/ in the zip at `path`, with a slash; "" for the top, as in Kaggle's own."""
    return next((match[1] for member in zip_members(path) if (match := _ABOVE.match(member.name))), "")


def list_zip(path: str, split: str) -> list[Contents]:
    """Return the images and annotations of `split` in Kaggle's zip: a Contents for each class folder, or one for all.

    The first Contents has the problems of all other folders, and the junk. Raises SourceError as zip_members does, if
    the zip has nothing of the split, for a key that does not belong in its folder, and for a key that occurs twice.
    """
    above, rule = folder_above(path), name_rule(split)
    images: dict[str, _Found] = defaultdict(_Found)
    xmls: dict[str, _Found] = defaultdict(_Found)
    others: dict[str, list[str]] = defaultdict(list)
    junk = JunkCount(rule)
    for member in zip_members(path, with_folders=True):
        if ".." in member.name.split("/") or member.name.startswith("/"):
            detail = f"{member.name} would lie outside of the zip's folder"
            raise refusal(path, member.extent[0], detail, UNZIP)
        folder, _, name = member.name.rpartition("/")
        kind = junk.kind(folder, name)
        for top, its_kind, found in ((_IMAGES, NameKind.IMAGE, images), (_ANNOTATIONS, NameKind.ANNOTATION, xmls)):
            if not member.name.startswith(f"{above}{top}/{split}/"):
                continue
            wnid = folder[len(above) + len(top) + len(split) + 2 :]
            if found is images and WNID.fullmatch(wnid):
                found[wnid]  # a class folder counts even if it is empty
            if kind is its_kind:
                found[wnid].add(name, member)
            elif name and kind is not NameKind.JUNK:
                others[wnid].append(member.name)
    contents = []
    for folder in sorted({*images, *xmls}):
        if folder and not WNID.fullmatch(folder):
            raise SourceError(f"{path}: {_IMAGES}/{split}/{folder} is no class's folder. {UNZIP}")
        rule = name_rule(split, folder)
        columns = [
            found[folder].columns(rule, f"{path}:{top}/{split}/{folder}", suffix)
            for top, suffix, found in (
                (_IMAGES, rule.image_suffix, images),
                (_ANNOTATIONS, rule.annotation_suffix, xmls),
            )
        ]
        problems = strangers(f"{path}:", others.pop(folder, ()), rule, columns[0].keys.split("\n"))
        contents.append(Contents(Place(path, path), folder, columns[0], columns[1], problems=tuple(problems)))
    if not contents:
        at_top = names_at_top(member.name for member in zip_members(path))
        raise SourceError(
            f"{path} holds nothing in {_IMAGES}/{split}/, where Kaggle's zip has its images; it holds {at_top}. "
            "Download it again, or unzip it and name the folder of the data set with --root."
        )
    elsewhere = tuple(stranger(f"{path}:{name}") for some in others.values() for name in some)
    return [Contents(Place(path, path), "", NO_FILES, NO_FILES, problems=elsewhere, junk=junk.counts), *contents]


class _Found:
    """The files of one kind in one folder: names, sizes and extents, kept small because there can be a million."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._numbers = array("q")

    def add(self, name: str, member: ZipMember) -> None:
        self._names.append(name)
        self._numbers.extend((member.size, *member.extent))

    def columns(self, rule: NameRule, folder: str, usual: str) -> FileColumns:
        """Return the columns. Raises SourceError for a key that does not belong in `folder`, or occurs twice."""
        sizes: dict[str, int] = {}
        extents: dict[str, tuple[int, ...]] = {}
        endings: dict[str, str] = {}
        numbers = iter(self._numbers)
        for name, size, *extent in zip(self._names, *[numbers] * 4, strict=True):
            key, ending = os.path.splitext(name)
            if key in sizes:
                raise refusal(f"{folder}/{name}", extent[0], "its key occurs twice", UNZIP)
            sizes[key], extents[key] = size, tuple(extent)
            if ending != usual:
                endings[key] = ending
        for key in rule.misfits([*sizes]):
            name = key + endings.get(key, usual)
            detail = "it does not belong in its folder"
            raise refusal(f"{folder}/{name}", extents[key][0], detail, UNZIP)
        return FileColumns.of(sizes, usual, extents, endings)
