"""Kaggle's zip to Contents: a worker lists a split's images and annotations; small files in it are found here too.

A tar of the same tree is listed likewise, as image-net.org has it. The tree in the archive begins with ILSVRC/, at the
top or below other folders: an archive that was unpacked and packed again has one folder more. Nothing is unpacked: the
extents of images and annotations in the archive are listed.
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
from parallel_sharder.sources.tar_contents import UNPACK, Spool
from parallel_sharder.sources.zips import UNZIP, zip_members
from parallel_sharder.staging.look import Take
from parallel_sharder.tar.headers import tar_entries
from parallel_sharder.tar.member_header import FOLDER, Read, no_plain_file, refusal

_IMAGES, _ANNOTATIONS = "ILSVRC/Data/CLS-LOC", "ILSVRC/Annotations/CLS-LOC"
_TOPS = {_IMAGES: NameKind.IMAGE, _ANNOTATIONS: NameKind.ANNOTATION}
_NAMED_AT_TOP = 10
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
    tree = _Tree(path, split, UNZIP)
    tree.above = folder_above(path)
    for member in zip_members(path, with_folders=True):
        tree.add(tree.kind_of(member.name), member.name, member.size, member.extent)
    return tree.contents(path)


def list_tar(
    path: str, split: str, spool: str | None, read: Read, end: int | None, take: Take | None = None
) -> list[Contents]:
    """Return what `list_zip` does of a tar of Kaggle's tree, by its Read, as a Passage calls it.

    With `spool`, the annotations are also unpacked to the file there, and are listed at their places in it. Raises
    SourceError as tar_entries does too, and for a link or a device.
    """
    tree = _Tree(path, split, UNPACK)
    with Spool(spool) as unpacked:
        for member in tar_entries(read, 0, end, path):
            if member.kind not in ("", FOLDER):
                raise no_plain_file(path, member)
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if not parts:  # the folder that was packed
                continue
            name = "/" * member.name.startswith("/") + "/".join(parts) + "/" * bool(member.kind)
            kind = tree.kind_of(name)
            if kind is not None and take is not None:  # unpacked annotations too: a copy serves runs without a spool
                take(member.data, member.size)
            is_unpacked = kind is NameKind.ANNOTATION and spool is not None
            place = unpacked.append(read(member.data, member.size)) if is_unpacked else member.data
            tree.add(kind, name, member.size, (place,))
    return tree.contents(spool or path)


class _Tree:
    """The images and annotations of `split` in an archive of Kaggle's tree, while its members are added.

    `above` is the folder that holds ILSVRC/ in the archive, with a slash; None until a member of the tree is added.
    `remedy` is that for an archive with a member that it may not hold.
    """

    def __init__(self, path: str, split: str, remedy: str) -> None:
        self.above: str | None = None
        self._path, self._split, self._remedy = path, split, remedy
        self._images: dict[str, _Found] = defaultdict(_Found)
        self._xmls: dict[str, _Found] = defaultdict(_Found)
        self._others: dict[str, list[str]] = defaultdict(list)
        self._junk = JunkCount(name_rule(split))
        self._at_top: dict[str, str] = {}

    def kind_of(self, name: str) -> NameKind | None:
        """Return what the member is if it is an image or an annotation of the split; None for others."""
        match = _ABOVE.match(name)
        if match and self.above is None:
            self.above = match[1]
        if match and match[1] != self.above:
            raise SourceError(
                f"{self._path} holds Kaggle's tree twice: {self.above}ILSVRC/, and {match[1]}ILSVRC/. {self._remedy}"
            )
        folder, _, base = name.rpartition("/")
        kind = self._junk.kind(folder, base)
        its_kind = next((kind for top, kind in _TOPS.items() if self._is_in(top, name)), None)
        return kind if kind is its_kind else None

    def add(self, kind: NameKind | None, name: str, size: int, extent: tuple[int, ...]) -> None:
        """Add a member of this kind, as `kind_of` returns it; the name of a folder ends in a slash."""
        if ".." in name.split("/") or name.startswith("/"):
            raise refusal(self._path, extent[0], f"{name} would lie outside of the archive's folder", self._remedy)
        folder, _, base = name.rpartition("/")
        if len(self._at_top) < _NAMED_AT_TOP:
            self._at_top.setdefault(name.removeprefix("./").partition("/")[0], name)
        for top, its_kind in _TOPS.items():
            if not self._is_in(top, name):
                continue
            found = self._images if its_kind is NameKind.IMAGE else self._xmls
            wnid = folder[len(self.above or "") + len(top) + len(self._split) + 2 :]
            if found is self._images and WNID.fullmatch(wnid):
                found[wnid]  # a class folder counts even if it is empty
            if kind is its_kind:
                found[wnid].add(base, size, extent)
            elif base and self._junk.kind(folder, base) is not NameKind.JUNK:
                self._others[wnid].append(name)

    def contents(self, place_of_xmls: str) -> list[Contents]:
        """Return what was added. Annotations lie at `place_of_xmls`, and images in the archive."""
        path, split = self._path, self._split
        contents = []
        for folder in sorted({*self._images, *self._xmls}):
            if folder and not WNID.fullmatch(folder):
                raise SourceError(f"{path}: {_IMAGES}/{split}/{folder} is no class's folder. {self._remedy}")
            rule = name_rule(split, folder)
            images, xmls = (
                found[folder].columns(rule, f"{path}:{top}/{split}/{folder}", suffix, self._remedy)
                for top, suffix, found in (
                    (_IMAGES, rule.image_suffix, self._images),
                    (_ANNOTATIONS, rule.annotation_suffix, self._xmls),
                )
            )
            others = self._others.pop(folder, ())
            problems = tuple(strangers(f"{path}:", others, rule, images.keys.split("\n")))
            if place_of_xmls == path:
                contents.append(Contents(Place(path, path), folder, images, xmls, problems=problems))
                continue
            contents.append(Contents(Place(path, path), folder, images, NO_FILES, problems=problems))
            contents.append(Contents(Place(place_of_xmls, path), folder, NO_FILES, xmls))
        if not contents:
            raise SourceError(
                f"{path} holds nothing in {_IMAGES}/{split}/, where Kaggle's tree has its images; it holds "
                f"{names_at_top(self._at_top.values())}. Download it again, or unpack it and name the folder of the "
                "data set with --root."
            )
        elsewhere = tuple(stranger(f"{path}:{name}") for some in self._others.values() for name in some)
        first = Contents(Place(path, path), "", NO_FILES, NO_FILES, problems=elsewhere, junk=self._junk.counts)
        return [first, *contents]

    def _is_in(self, top: str, name: str) -> bool:
        return self.above is not None and name.startswith(f"{self.above}{top}/{self._split}/")


class _Found:
    """The files of one kind in one folder: names, sizes and extents, kept small because there can be a million."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._numbers = array("q")

    def add(self, name: str, size: int, extent: tuple[int, ...]) -> None:
        self._names.append(name)
        self._numbers.extend((size, *extent))

    def columns(self, rule: NameRule, folder: str, usual: str, remedy: str) -> FileColumns:
        """Return the columns. Raises SourceError for a key that does not belong in `folder`, or occurs twice."""
        sizes: dict[str, int] = {}
        extents: dict[str, tuple[int, ...]] = {}
        endings: dict[str, str] = {}
        numbers, width = iter(self._numbers), len(self._numbers) // max(1, len(self._names))
        for name, size, *extent in zip(self._names, *[numbers] * width, strict=True):
            key, ending = os.path.splitext(name)
            if key in sizes:
                raise refusal(f"{folder}/{name}", extent[0], "its key occurs twice", remedy)
            sizes[key], extents[key] = size, tuple(extent)
            if ending != usual:
                endings[key] = ending
        for key in rule.misfits([*sizes]):
            name = key + endings.get(key, usual)
            detail = "it does not belong in its folder"
            raise refusal(f"{folder}/{name}", extents[key][0], detail, remedy)
        return FileColumns.of(sizes, usual, extents, endings)
