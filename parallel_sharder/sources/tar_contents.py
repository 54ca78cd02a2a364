"""The contents of tars of images and of annotations, each task of a worker: one archive, or one within another.

Images stay where they are: their offsets are listed. Annotations are in compressed archives, which can only be read
from the front; they are written to a spool, one behind the other, and their offsets in it are listed.
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
from parallel_sharder.sources.tars import (
    COMPRESSIONS,
    Read,
    Stream,
    TarMember,
    is_gzip,
    reader,
    refusal,
    refuse_packed,
    tar_members,
)
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.stores.scratch import ScratchAppender

SPOOLED_AT_A_TIME = 1 << 20

READ_LIMIT_BYTES = 16 << 20
"""The largest annotation that is unpacked; what is far smaller is refused already when it is to be stored."""

INNER_LIMIT_BYTES = 64 << 20
"""The largest compressed archive of one class that is read into memory; real ones have some tens of KB."""

_NAME_ANOTHER = "Name another tree or archive of annotations with --xml-root."

UNPACK = "Unpack it and convert the folder, or make the archive anew without that."
"""The remedy for what no archive that is read here may hold."""


def inner_archive_patterns(rule: NameRule) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The names of the archives of classes within an archive, plain and compressed; the first group is the class."""
    of_class = rule.class_pattern
    return re.compile(rf"(?:\./)?({of_class})\.tar"), re.compile(rf"(?:.*/)?({of_class})\.(?:tar\.gz|tgz)")


def list_images(path: str, name: str, start: int, size: int, rule: NameRule, folders: tuple[str, ...]) -> Contents:
    """The images in the tar that lies at `start` in the file at `path`; `name` is its own: a class, or a split.

    `folders` are those that a member's name may begin with. Raises SourceError for an image whose key does not belong
    there and one that is there twice; other files are problems.
    """
    archive = f"{path}:{name}.tar" if start else path
    fits, usual = re.compile(rule.key_pattern).fullmatch, rule.image_suffix
    sizes: dict[str, int] = {}
    extents: dict[str, tuple[int]] = {}
    endings: dict[str, str] = {}
    others: list[str] = []
    junk = JunkCount(rule)
    if not start:
        refuse_packed(path)
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        if os.pread(file.fileno(), 8, start).startswith(tuple(COMPRESSIONS)):
            raise refusal(archive, start, "it is compressed, and images are read from where they lie in it", UNPACK)
        for member in tar_members(reader(file.fileno()), start, start + size, archive):
            folder, base = place_of(member, archive)
            its_kind = junk.kind(folder, base)
            if its_kind is NameKind.JUNK:
                continue
            if its_kind is not NameKind.IMAGE:
                others.append(member.name)
                continue
            key, ending = os.path.splitext(base)
            if (folder and folder not in folders) or not fits(key):
                detail = f"{member.name} does not belong into this archive"
                raise refusal(archive, member.offset, detail, UNPACK)
            if key in sizes:
                raise refusal(archive, member.offset, f"{member.name} is there twice", UNPACK)
            sizes[key] = member.size
            extents[key] = (member.data,)
            if ending != usual:
                endings[key] = ending
    return Contents(
        Place(path, path),
        name,
        FileColumns.of(sizes, usual, extents, endings),
        NO_FILES,
        problems=tuple(strangers(f"{archive}:", others, rule, sizes)),
        junk=junk.counts,
    )


def packed_images(path: str, rule: NameRule) -> list[str] | None:
    """The names of the images in a tar, those in archives within it included; None for what is no whole plain tar."""
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
    """The annotations in the archive at `path`, whose files `rule` tells apart.

    A compressed one, and those of single classes in it, are decompressed to the file at `spool_path`; with None they
    are counted, and cannot be read. Raises SourceError for a damaged archive, for one without annotations, and for an
    annotation outside its class; DestinationError if the spool cannot be written.
    """
    if not is_gzip(path):
        refuse_packed(path)
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            read, end = reader(file.fileno()), os.fstat(file.fileno()).st_size
            index = _AnnotationLists(rule, None)
            index.take(tar_members(read, 0, end, path), read, path)
        return index.contents(Place(path, path))
    with (
        _Spool(spool_path) as spool,
        open(path, "rb", opener=open_regular) as packed,
        gzip.GzipFile(fileobj=packed) as stream,
    ):
        index = _AnnotationLists(rule, spool)
        read = Stream(stream, path)
        index.take(tar_members(read, 0, None, path), read, path)
    return index.contents(Place(spool_path or path, path))


class _AnnotationLists:
    """What was found of the annotations so far."""

    def __init__(self, rule: NameRule, spool: _Spool | None) -> None:
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

    def take(self, members: Iterator[TarMember], read: Read, archive: str) -> None:
        """Take in the members of `archive`, and those of the classes' archives in it."""
        for member in members:
            inner = f"{archive}:{member.name}"
            if self._inner.fullmatch(member.name):
                self.take(tar_members(read, member.data, member.data + member.size, inner), read, inner)
                continue
            if self._inner_packed.fullmatch(member.name):
                self._take_packed(member, read, inner)
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
                raise refusal(archive, member.offset, f"{member.name} is there twice", _NAME_ANOTHER)
            if ending != self._usual:
                self._endings[key] = ending
            self._sizes[key] = member.size
            self._extents[key] = (self._offset(member, read, archive),)

    def _is_of_another_class(self, key: str, folder: str) -> bool:
        is_class = self._class.fullmatch(folder) and self._class.match(key)
        return bool(is_class) and not key.startswith(folder)

    def _take_packed(self, member: TarMember, read: Read, inner: str) -> None:
        if self._spool is None:
            raise refusal(inner, member.offset, "it is compressed, in an archive that is not", _NAME_ANOTHER)
        if member.size > INNER_LIMIT_BYTES:
            detail = f"it has {member.size:,} bytes; the annotations of a class have at most {INNER_LIMIT_BYTES:,}"
            raise refusal(inner, member.offset, detail)
        with gzip.GzipFile(fileobj=io.BytesIO(read(member.data, member.size))) as stream:
            inner_read = Stream(stream, inner)
            self.take(tar_members(inner_read, 0, None, inner), inner_read, inner)

    def _offset(self, member: TarMember, read: Read, archive: str) -> int:
        """Where the annotation can be read, in the archive or the spool."""
        if self._spool is None:
            return member.data
        if member.size > READ_LIMIT_BYTES:  # it is refused before it would be read
            return 0
        data = read(member.data, member.size)
        if len(data) < member.size:
            raise refusal(archive, member.offset, f"it is cut short within {member.name}")
        return self._spool.append(data)

    def contents(self, place: Place) -> Contents:
        """All of it."""
        if not self._sizes:
            raise SourceError(f"{place.name} holds no annotation, *{self._usual}. {_NAME_ANOTHER}")
        columns = FileColumns.of(self._sizes, self._usual, self._extents, self._endings)
        return Contents(place, "", NO_FILES, columns, problems=tuple(self._problems), junk=self._junk.counts)


class _Spool:
    """A file that annotations are appended to; nothing but a counter where `path` is None."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._size = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._file: ScratchAppender | None = None

    def append(self, data: bytes) -> int:
        """Append, and say at which offset."""
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
    """The folder and the name of a member. Raises SourceError for one that would lie elsewhere."""
    if "/" not in member.name:
        return "", member.name
    parts = [part for part in member.name.split("/") if part != "."]
    if ".." in parts or member.name.startswith("/"):
        detail = f"{member.name} would lie outside of the archive's folder"
        raise refusal(archive, member.offset, detail, UNPACK)
    return "/".join(parts[:-1]), parts[-1]
