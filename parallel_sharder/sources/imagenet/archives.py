"""ImageNet's archives of images: what lies in each, found by a Read of the archive, from its front to its end.

The official archive of train holds an archive for each class; those of val and test are flat. The archives of the
Hugging Face hub are flat too, and the class is the last part of each name. Contents come out, one for each class, or
one for the split.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from parallel_sharder.errors import SourceError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Place, Problem
from parallel_sharder.sources.contents import NO_FILES, Contents, FileColumns, strangers
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids
from parallel_sharder.sources.imagenet.kaggle_contents import list_tar
from parallel_sharder.sources.imagenet.layout import ArchiveForm
from parallel_sharder.sources.imagenet.names import WNID, name_rule
from parallel_sharder.sources.names import JunkCount, NameKind
from parallel_sharder.sources.tar_contents import UNPACK, images_in, inner_archive_patterns, place_of
from parallel_sharder.staging.embedded import Images
from parallel_sharder.staging.look import Take
from parallel_sharder.stores.packing import is_parquet
from parallel_sharder.tar.headers import tar_members
from parallel_sharder.tar.member_header import Read, refusal

Kept = Callable[[int, bytes], None]
"""What is called for each image with its offset and its bytes."""


_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}")


class InnerArchive(NamedTuple):
    """The archive of a class: where it begins in the archive around it, and how many bytes it has."""

    wnid: str
    start: int
    size: int


def listing_of(path: str, split: str, form: ArchiveForm, spool: str | None = None) -> partial[Any]:
    """Return the function that lists an archive of images of this form, as a Passage calls it.

    With `spool`, annotations in it are unpacked to the file there.
    """
    if form == "tree":
        return partial(list_tar, path, split, spool)
    if form == "named":
        return partial(list_rows if is_parquet(path) else list_named, path, split)
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
    """Return the contents of a flat archive of the hub; the last part of each name is its class.

    Images of test have no class. Raises SourceError for an image that is none of the split, or whose key and class
    contradict each other, and for a name that occurs twice.
    """
    any_class = name_rule(split)
    usual = any_class.image_suffix
    pattern = re.compile(f"({any_class.key_pattern})(?:_({WNID.pattern}))?")
    inside = ("", split, os.path.basename(path).partition(".")[0])
    found = _Found()
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
        key, wnid = match[1], match[2] or ""
        if split == "train" and not key.startswith(f"{wnid}_"):
            raise refusal(path, member.offset, f"{member.name} names two classes", UNPACK)
        if wnid and wnid not in positions():
            raise refusal(path, member.offset, f"{member.name} names none of the 1,000 classes of ImageNet", UNPACK)
        if not found.add(key, member.size, member.data, ending, positions().get(wnid, -1)):
            raise refusal(path, member.offset, f"{member.name} occurs twice", UNPACK)
        if take is not None:
            take(member.data, member.size)
    problems = strangers(f"{path}:", others, any_class, found.sizes)
    return [found.contents(path, split, usual, problems, junk.counts)]


def list_rows(path: str, split: str, images: Iterator[Images], kept: Kept | None = None) -> list[Contents]:
    """Return the images of a Parquet file of the hub, whose rows have a struct of bytes and path, and a label.

    The key is that in the path; a row without such a path gets the file's name and the row's number. Raises SourceError
    for a label that is none, and for a path whose class or split is another one.
    """
    any_class, found = name_rule(split), _Found()
    usual = any_class.image_suffix
    pattern = re.compile(f"({any_class.key_pattern})(?:_({WNID.pattern}))?")
    wnids, problems = [*positions()], list[Problem]()
    stem = re.sub("[^A-Za-z0-9_-]", "_", os.path.basename(path).partition(".")[0])[:60]
    for some in images:
        labels = some.others[0] if some.others else [None] * len(some.sizes)
        rows = zip(some.offsets, some.sizes, some.paths, labels, strict=True)
        for number, (offset, size, name, label) in enumerate(rows, some.first):
            base, ending = os.path.splitext(os.path.basename(name or ""))
            match = pattern.fullmatch(base)
            key = match[1] if match else f"{stem}_{number}"
            ending = ending if match and _ENDING.fullmatch(ending) else usual
            where = f"{path}, row {number:,}"
            if split == "test":
                label = -1
            elif not isinstance(label, int) or not 0 <= label < len(wnids):
                raise SourceError(
                    f"{where}: the label is {label!r}, and labels of ImageNet are 0 to {len(wnids) - 1}. Copy the file "
                    "again, or use --table for a data set that is not ImageNet."
                )
            elif match and not {match[2], key.partition("_")[0] if split == "train" else None} <= {wnids[label], None}:
                raise SourceError(
                    f"{where}: the label {label} is {wnids[label]}, and the path {name} names another class. One of "
                    "the two is wrong; copy the file again."
                )
            if size < 0:
                problems.append(Problem(Kind.BAD_IMAGE, where, key, "the row has no image"))
                continue
            if not found.add(key, size, offset, ending, label):
                raise SourceError(f"{where}: the path {name} occurs twice. Copy the file again.")
            if kept is not None:
                kept(offset, bytes(some.data[offset - some.offset : offset - some.offset + size]))
    return [found.contents(path, split, usual, problems)]


class _Found:
    """The images in one archive: the size, the place, an unusual ending and the class of each, by its key."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self._extents: dict[str, tuple[int]] = {}
        self._endings: dict[str, str] = {}
        self._classes: dict[str, int] = {}

    def add(self, key: str, size: int, offset: int, ending: str, class_position: int) -> bool:
        """Add an image, and return whether its key is new."""
        if key in self.sizes:
            return False
        self.sizes[key], self._extents[key], self._classes[key] = size, (offset,), class_position
        self._endings[key] = ending
        return True

    def contents(
        self,
        path: str,
        split: str,
        usual: str,
        problems: Iterable[Problem],
        junk: tuple[tuple[str, int], ...] = (),
    ) -> Contents:
        """Return the images as the contents of the archive at `path`."""
        endings = self._endings if any(ending != usual for ending in self._endings.values()) else None
        classes = None if split == "test" else self._classes
        columns = FileColumns.of(self.sizes, usual, self._extents, endings, classes)
        return Contents(Place(path, path), split, columns, NO_FILES, problems=tuple(problems), junk=junk)


@functools.cache
def positions() -> dict[str, int]:
    """Return the position of each class of ImageNet among the sorted WordNet IDs."""
    return {wnid: position for position, wnid in enumerate(sorted(ilsvrc_ids()))}


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
