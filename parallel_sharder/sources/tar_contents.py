"""Tars to Contents: a worker lists the images, or the annotations, in one archive or in an archive within another.

Images are not copied: their offsets in the archive are listed. Annotations in an archive that is compressed by gzip
can only be read from its start. They are appended to a spool file, and their offsets in the spool are listed.
"""

from __future__ import annotations

import gzip
import io
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Self

from parallel_sharder.errors import SourceError, unwritable
from parallel_sharder.model import Place, Problem
from parallel_sharder.sources.contents import NO_FILES, Contents, FileColumns, stranger, strangers
from parallel_sharder.sources.names import JunkCount, NameKind, NameRule, is_archive
from parallel_sharder.sources.packed import refuse_packed
from parallel_sharder.staging.look import Take
from parallel_sharder.stores.packing import COMPRESSIONS, is_gzip
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.stores.scratch import ScratchAppender
from parallel_sharder.tar.headers import Stream, reader, tar_members
from parallel_sharder.tar.member_header import Read, TarMember, refusal

SPOOLED_AT_A_TIME = 1 << 20

READ_LIMIT_BYTES = 16 << 20
"""The largest annotation that is unpacked. Far smaller ones (over 1 MiB) are already broken when they are stored."""

INNER_LIMIT_BYTES = 64 << 20
"""The largest compressed archive of one class that is read into memory. Real ones have some tens of KB."""

_NAME_ANOTHER = "Name another tree or archive of annotations with --xml-root."

UNPACK = "Unpack it and convert the folder, or make the archive anew without that."
"""The remedy for an archive with a member that it may not hold."""


def inner_archive_patterns(rule: NameRule) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of class archives' names in an archive, plain and compressed. Group 1 is the class."""
    of_class = rule.class_pattern
    return re.compile(rf"(?:\./)?({of_class})\.tar"), re.compile(rf"(?:.*/)?({of_class})\.(?:tar\.gz|tgz)")


def list_images(path: str, name: str, start: int, size: int, rule: NameRule, folders: tuple[str, ...]) -> Contents:
    """Return the images in the tar that has `size` bytes from `start` on in the file at `path`, as `images_in` does."""
    if not start:
        refuse_packed(path)
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        return images_in(reader(file.fileno()), path, name, start, start + size, rule, folders)


def images_in(
    read: Read,
    path: str,
    name: str,
    start: int,
    end: int | None,
    rule: NameRule,
    folders: tuple[str, ...],
    take: Take | None = None,
) -> Contents:
    """Return the images in the tar that is `start` to `end` of the archive at `path`; None if its end is not known.

    `name` is the tar's name, a class or a split. A member may lie in one of `folders`, or in none. Raises SourceError
    for an image that does not belong in the tar, and for a key that occurs twice. Other files are problems. `take` is
    called with the offset and the size of each image, if it is not None.
    """
    archive = f"{path}:{name}.tar" if start else path
    fits, usual = re.compile(rule.key_pattern).fullmatch, rule.image_suffix
    sizes: dict[str, int] = {}
    extents: dict[str, tuple[int]] = {}
    endings: dict[str, str] = {}
    others: list[str] = []
    junk = JunkCount(rule)
    if read(start, 8).startswith(tuple(COMPRESSIONS)):
        raise refusal(archive, start, "it is compressed, and images are read from where they lie in it", UNPACK)
    for member in tar_members(read, start, end, archive):
        folder, base = place_of(member, archive)
        its_kind = junk.kind(folder, base)
        if its_kind is NameKind.JUNK:
            continue
        if its_kind is not NameKind.IMAGE:
            others.append(member.name)
            continue
        key, ending = os.path.splitext(base)
        if (folder and folder not in folders) or not fits(key):
            detail = f"{member.name} does not belong in this archive"
            raise refusal(archive, member.offset, detail, UNPACK)
        if key in sizes:
            raise refusal(archive, member.offset, f"{member.name} occurs twice", UNPACK)
        sizes[key] = member.size
        extents[key] = (member.data,)
        if ending != usual:
            endings[key] = ending
        if take is not None:
            take(member.data, member.size)
    return Contents(
        Place(path, path),
        name,
        FileColumns.of(sizes, usual, extents, endings),
        NO_FILES,
        problems=tuple(strangers(f"{archive}:", others, rule, sizes)),
        junk=junk.counts,
    )


def packed_images(path: str, rule: NameRule) -> list[str] | None:
    """Return the names of the images in a tar and in the archives within it; None unless it is a whole, plain tar."""
    found: list[str] = []
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            read, end = reader(file.fileno()), os.fstat(file.fileno()).st_size
            waiting = [(0, end)]
            while waiting:
                start, end = waiting.pop()
                for member in tar_members(read, start, end, path):
                    if is_archive(member.name):
                        waiting.append((member.data, member.data + member.size))
                    elif rule.kind(os.path.basename(member.name)) is NameKind.IMAGE:
                        found.append(member.name)
    except (OSError, SourceError):
        return None
    return found


def list_annotations(path: str, rule: NameRule, spool_path: str | None) -> Contents:
    """Return the annotations in the archive at `path`. `rule` decides which files are annotations.

    The annotations of a compressed archive, and of compressed archives of classes in it, are unpacked to the file at
    `spool_path`. If that is None, they are listed, and cannot be read. Raises SourceError for a damaged archive, for an
    archive without annotations, and for an annotation of another class than its folder's; DestinationError if the
    spool cannot be written.
    """
    if not is_gzip(path):
        refuse_packed(path)
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            read, end = reader(file.fileno()), os.fstat(file.fileno()).st_size
            lists = _AnnotationLists(rule, None)
            lists.add(tar_members(read, 0, end, path), read, path)
        return lists.contents(Place(path, path))
    with (
        Spool(spool_path) as spool,
        open(path, "rb", opener=open_regular) as packed,
        gzip.GzipFile(fileobj=packed) as stream,
    ):
        lists = _AnnotationLists(rule, spool)
        read = Stream(stream, path)
        lists.add(tar_members(read, 0, None, path), read, path)
    return lists.contents(Place(spool_path or path, path))


class _AnnotationLists:
    """The annotations that were found so far."""

    def __init__(self, rule: NameRule, spool: Spool | None) -> None:
        self._usual = rule.annotation_suffix
        self._fits = re.compile(rule.key_pattern).fullmatch
        self._class = re.compile(rule.class_pattern)
        self._inner, self._inner_packed = inner_archive_patterns(rule)
        self._spool = spool
        self._sizes: dict[str, int] = {}
        self._extents: dict[str, tuple[int]] = {}
        self._endings: dict[str, str] = {}
        self._problems: list[Problem] = []
        self._junk = JunkCount(rule)

    def add(self, members: Iterator[TarMember], read: Read, archive: str) -> None:
        """Add the annotations among the members of `archive`, and in the archives of classes in it."""
        for member in members:
            inner = f"{archive}:{member.name}"
            if self._inner.fullmatch(member.name):
                self.add(tar_members(read, member.data, member.data + member.size, inner), read, inner)
                continue
            if self._inner_packed.fullmatch(member.name):
                self._add_packed(member, read, inner)
                continue
            folder, base = place_of(member, archive)
            its_kind = self._junk.kind(folder, base)
            if its_kind is NameKind.JUNK:
                continue
            if its_kind is not NameKind.ANNOTATION:
                self._problems.append(stranger(f"{archive}:{member.name}"))
                continue
            key, ending = os.path.splitext(base)
            if not self._fits(key) or self._is_of_another_class(key, os.path.basename(folder)):
                detail = f"{member.name} does not belong where it is in this archive"
                raise refusal(archive, member.offset, detail, _NAME_ANOTHER)
            if key in self._sizes:
                raise refusal(archive, member.offset, f"{member.name} occurs twice", _NAME_ANOTHER)
            if ending != self._usual:
                self._endings[key] = ending
            self._sizes[key] = member.size
            self._extents[key] = (self._offset(member, read, archive),)

    def _is_of_another_class(self, key: str, folder: str) -> bool:
        is_class = self._class.fullmatch(folder) and self._class.match(key)
        return bool(is_class) and not key.startswith(folder)

    def _add_packed(self, member: TarMember, read: Read, inner: str) -> None:
        if self._spool is None:
            raise refusal(inner, member.offset, "it is compressed, in an archive that is not", _NAME_ANOTHER)
        if member.size > INNER_LIMIT_BYTES:
            detail = f"it has {member.size:,} bytes; the annotations of a class have at most {INNER_LIMIT_BYTES:,}"
            raise refusal(inner, member.offset, detail)
        with gzip.GzipFile(fileobj=io.BytesIO(read(member.data, member.size))) as stream:
            inner_read = Stream(stream, inner)
            self.add(tar_members(inner_read, 0, None, inner), inner_read, inner)

    def _offset(self, member: TarMember, read: Read, archive: str) -> int:
        """Return the offset at which the annotation can be read, in the archive or, once appended, in the spool."""
        if self._spool is None:
            return member.data
        if member.size > READ_LIMIT_BYTES:  # its size makes the sample a problem before it is read
            return 0
        data = read(member.data, member.size)
        if len(data) < member.size:
            raise refusal(archive, member.offset, f"it is cut short within {member.name}")
        return self._spool.append(data)

    def contents(self, place: Place) -> Contents:
        """Return all annotations as the Contents of `place`. Raises SourceError if there are none."""
        if not self._sizes:
            raise SourceError(f"{place.name} holds no annotation, *{self._usual}. {_NAME_ANOTHER}")
        columns = FileColumns.of(self._sizes, self._usual, self._extents, self._endings)
        return Contents(place, "", NO_FILES, columns, problems=tuple(self._problems), junk=self._junk.counts)


class Spool:
    """The file to which annotations are appended. If `path` is None, offsets are counted and nothing is written."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._size = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._file: ScratchAppender | None = None

    def append(self, data: bytes) -> int:
        """Append `data`, and return its offset."""
        offset, self._size = self._size, self._size + len(data)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= SPOOLED_AT_A_TIME:
            self._write_out()
        return offset

    def __enter__(self) -> Self:
        if self._path is not None:
            self._file = self._tell_errors(ScratchAppender)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            try:
                self._write_out()
            finally:
                self._file.close()

    def _write_out(self) -> None:
        if (file := self._file) is not None:
            data = b"".join(self._waiting)
            self._tell_errors(lambda _: file.append(data))
        self._waiting.clear()
        self._waiting_bytes = 0

    def _tell_errors(self, do: Callable[[str], Any]) -> Any:
        try:
            return do(str(self._path))
        except OSError as error:
            place = f"{self._path}, where annotations are unpacked to,"
            raise unwritable(place, error, "Make room there, or choose another --dest.") from error


def place_of(member: TarMember, archive: str) -> tuple[str, str]:
    """Return the folder and the name of a member. Raises SourceError if it would be unpacked outside of the archive."""
    if "/" not in member.name:
        return "", member.name
    parts = [part for part in member.name.split("/") if part != "."]
    if ".." in parts or member.name.startswith("/"):
        detail = f"{member.name} would lie outside of the archive's folder"
        raise refusal(archive, member.offset, detail, UNPACK)
    return "/".join(parts[:-1]), parts[-1]
