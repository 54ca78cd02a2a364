"""ImageNet's archives of images: what lies in each, found by a Read of the archive, from its front to its end.

The official archive of train holds an archive for each class; those of val and test are flat. The archives of the
Hugging Face hub are flat too, and the class is the last part of each name. Contents come out, one for each class, or
one for the split.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from parallel_sharder.model import Place
from parallel_sharder.sources.contents import NO_FILES, Contents, FileColumns, strangers
from parallel_sharder.sources.imagenet.names import WNID, name_rule
from parallel_sharder.sources.names import JunkCount, NameKind
from parallel_sharder.sources.tar_contents import UNPACK, images_in, inner_archive_patterns, place_of
from parallel_sharder.staging.look import Take
from parallel_sharder.tar.headers import tar_members
from parallel_sharder.tar.member_header import Read, TarMember, refusal


class InnerArchive(NamedTuple):
    """The archive of a class: where it begins in the archive around it, and how many bytes it has."""

    wnid: str
    start: int
    size: int


def listing_of(path: str, split: str, *, has_classes_in_names: bool) -> partial[Any]:
    """Return the function that lists the archive of images at `path`, as a Passage calls it.

    It is the official archive of the split, or one of the hub's, which `has_classes_in_names`.
    """
    if has_classes_in_names:
        return partial(list_named, path, split)
    return partial(list_classes if split == "train" else list_split, path, split)


def list_classes(path: str, split: str, read: Read, end: int | None, take: Take | None = None) -> list[Contents]:
    """Return what lies beside the archives of classes, and then the contents of each class, sorted."""
    junk = JunkCount(name_rule(split))
    found = [
        images_in(read, path, wnid, start, start + size, name_rule(split, wnid), (wnid,), take)
        for wnid, start, size in inner_archives(read, end, path, junk)
    ]
    return [beside_classes(path, junk), *sorted(found, key=lambda contents: contents.name)]


def list_split(path: str, split: str, read: Read, end: int | None, take: Take | None = None) -> list[Contents]:
    """Return the contents of the flat archive of a split."""
    return [images_in(read, path, split, 0, end, name_rule(split), (split,), take)]


def list_named(path: str, split: str, read: Read, end: int | None, take: Take | None = None) -> list[Contents]:
    """Return what else the archive holds, and then the contents of each class, sorted, by the last part of each name.

    Images of test have no class. Raises SourceError for an image that is none of the split, or whose key and class
    contradict each other, and for a name that occurs twice.
    """
    any_class = name_rule(split)
    usual = any_class.image_suffix
    pattern = re.compile(f"({any_class.key_pattern})(?:_({WNID.pattern}))?")
    inside = ("", split, os.path.basename(path).partition(".")[0])
    classes: dict[str, _Found] = {}
    others: list[str] = []
    junk = JunkCount(any_class)
    for member in tar_members(read, 0, end, path):
        folder, base = place_of(member, path)
        its_kind = junk.kind(folder, base)
        if its_kind is not NameKind.IMAGE:
            if its_kind is not NameKind.JUNK:
                others.append(member.name)
            continue
        stem, ending = os.path.splitext(base)
        match = pattern.fullmatch(stem)
        has_class = match is not None and match[2] is not None
        if match is None or folder not in inside or has_class == (split == "test"):
            raise refusal(path, member.offset, f"{member.name} does not belong in this archive of {split}", UNPACK)
        key, wnid = match[1], match[2] or split
        if split == "train" and not key.startswith(f"{wnid}_"):
            raise refusal(path, member.offset, f"{member.name} names two classes", UNPACK)
        found = classes.setdefault(wnid, _Found())
        if key in found.sizes:
            raise refusal(path, member.offset, f"{member.name} occurs twice", UNPACK)
        found.add(key, member, "" if ending == usual else ending)
        if take is not None:
            take(member.data, member.size)
    place = Place(path, path)
    keys = {key for found in classes.values() for key in found.sizes} if others else set()
    problems = tuple(strangers(f"{path}:", others, any_class, keys))
    beside = Contents(place, "", NO_FILES, NO_FILES, problems=problems, junk=junk.counts)
    return [beside, *(Contents(place, wnid, found.columns(usual), NO_FILES) for wnid, found in sorted(classes.items()))]


class _Found:
    """The images of one class in an archive: the size, the extent and an unusual ending of each, by its key."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self._extents: dict[str, tuple[int]] = {}
        self._endings: dict[str, str] = {}

    def add(self, key: str, member: TarMember, ending: str) -> None:
        self.sizes[key], self._extents[key] = member.size, (member.data,)
        if ending:
            self._endings[key] = ending

    def columns(self, usual: str) -> FileColumns:
        return FileColumns.of(self.sizes, usual, self._extents, self._endings)


def beside_classes(path: str, junk: JunkCount) -> Contents:
    """Return the contents that have the junk which lies beside the archives of classes."""
    return Contents(Place(path, path), "", NO_FILES, NO_FILES, junk=junk.counts)


def inner_archives(read: Read, end: int | None, path: str, junk: JunkCount) -> Iterator[InnerArchive]:
    """Yield the archives of classes in the tar at `path`, as they come, and count its junk in `junk`.

    Raises SourceError if the tar holds anything else, or a class twice.
    """
    seen: set[str] = set()
    plain, packed = inner_archive_patterns(name_rule("train"))
    for member in tar_members(read, 0, end, path):
        if junk.kind(*place_of(member, path)) is NameKind.JUNK:
            continue
        match = plain.fullmatch(member.name)
        if match is None:
            remedy = "Inner archives must not be compressed. " if packed.fullmatch(member.name) else ""
            raise refusal(
                path,
                member.offset,
                f"{member.name} is not the archive of a class, <wnid>.tar, which is all that this archive should hold",
                remedy + UNPACK,
            )
        if match[1] in seen:
            raise refusal(path, member.offset, f"{member.name} occurs twice", UNPACK)
        seen.add(match[1])
        yield InnerArchive(match[1], member.data, member.size)
