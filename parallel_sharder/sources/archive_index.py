"""The index of an archive: its Contents, kept in a file beside the journal, so that a resumed run can use them.

    file = head, contents ..., digest        msgpack of [mark, format, archive, split, count], then of each Contents,
                                             as lists; XXH3-128 of all bytes before it

It is used only if the archive still has the same size and modification time, and if the archive can hold every file in
it. Otherwise the archive is listed again. This module also refuses archives that have changed since the scan.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgpack
import xxhash

from parallel_sharder.errors import SourceError, unwritable
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Archive, Place, Problem
from parallel_sharder.sources.contents import Contents, FileColumns
from parallel_sharder.stores import store_of
from parallel_sharder.stores.packing import packing_of
from parallel_sharder.text import counted

FORMAT = 3
_MARK = "parallel_sharder index of an archive"
_DIGEST_BYTES = 16
_PATHS: dict[str, str] = {"unicode_errors": "surrogateescape"}
"""How msgpack stores paths, which may hold any bytes."""

_KEY = re.compile("[A-Za-z0-9_-]+")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}")

T = TypeVar("T")


def archive_at(path: str) -> Archive:
    """Return the archive at `path` with its size and modification time now. Raises SourceError if it has none."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}. Mend that, and type the same command again."
        ) from error
    return Archive(path, status.st_size, status.st_mtime_ns)


def refuse_changed_archives(archives: Iterable[Archive]) -> None:
    """Raise SourceError if an archive has changed since it was listed: what was read from it may be wrong."""
    for archive in archives:
        now = archive_at(archive.path)
        if now != archive:
            raise SourceError(
                f"{archive.path} has changed while it was read: it had {counted(archive.size, 'byte')}, now "
                f"{now.size:,}, or its modification time has changed. When nobody writes to it any more, start anew "
                "with --overwrite."
            )


class ArchiveIndex:
    """The index of `archives` for `split`, kept in the file at `path`; it is not kept if that is None.

    `contents` is what the file holds, None if it holds nothing for these archives; a scan then sets it.
    """

    def __init__(self, path: str | None, archives: Sequence[Archive], split: str) -> None:
        self.archives = {archive.path: archive for archive in archives}
        self._path = path
        key = [*map(list, archives)]
        self._key = [_MARK, FORMAT, key[0] if len(key) == 1 else key, split]
        self.contents: list[Contents] | None = self._load()
        self._is_saved = self.contents is not None

    def save(self) -> None:
        """Write the file, if the contents are new, and drop them. Raises DestinationError if it cannot be written."""
        contents, self.contents = self.contents, None
        if self._is_saved or contents is None or self._path is None:
            return
        try:
            store_of(self._path).put(self._path, self._parts(contents), is_index)
        except OSError as error:
            raise unwritable(self._path, error, "Mend that, or choose another folder with --dest.") from error
        self._is_saved = True

    def _parts(self, contents: list[Contents]) -> Iterator[bytes]:
        digest = xxhash.xxh3_128()
        for value in ([*self._key, len(contents)], *map(dataclasses.astuple, contents)):
            part: bytes = msgpack.packb(value, **_PATHS)
            digest.update(part)
            yield part
        yield digest.digest()

    def _load(self) -> list[Contents] | None:
        """Return the contents in the file; None if it does not exist, is damaged, or is of other archives."""
        if self._path is None:
            return None
        try:
            data = store_of(self._path).read(self._path)
        except OSError:
            return None
        payload = memoryview(data)[:-_DIGEST_BYTES]
        if len(data) < _DIGEST_BYTES or xxhash.xxh3_128_digest(payload) != data[-_DIGEST_BYTES:]:
            return None
        try:
            values = msgpack.Unpacker(max_buffer_size=len(data), **_PATHS)
            values.feed(payload)
            *key, count = values.unpack()
            limits = {path: _limit(archive) for path, archive in self.archives.items()}
            contents = [_contents(values.unpack(), limits) for _ in range(count)] if key == self._key else None
            return contents if values.tell() == len(payload) else None
        except MemoryError:
            raise
        except Exception:  # the file can hold anything, and reading that raises errors of many kinds
            return None


def is_index(path: str) -> bool:
    """Return whether the file at `path` is an index, of any archive and format, also a damaged one.

    Of indexes that other modules keep in such a file, their digest at the end is known.
    """
    try:
        data = store_of(path).read(path)
    except OSError:
        return False
    if os.path.islink(path):
        return False
    head: bytes = msgpack.packb(_MARK)  # behind one byte
    is_begun = data[1:].startswith(head) or head.startswith(data[1:])
    return is_begun or xxhash.xxh3_128_digest(memoryview(data)[:-_DIGEST_BYTES]) == data[-_DIGEST_BYTES:]


def _limit(archive: Archive) -> int:
    """Return an offset behind all that the archive can hold; of a compressed one, this is not known."""
    return archive.size if packing_of(archive.path) is None else sys.maxsize


def _contents(value: Any, limits: Mapping[str, int]) -> Contents:
    """Return the Contents of `value`. Raises ValueError, among others, if its archive cannot have these contents.

    `limits` has an offset behind all that each archive can hold.
    """
    place, name, images, xmls, folders, problems, junk = value
    limit = limits.get(place[0])
    if limit is None:
        raise ValueError("it is of another file")
    columns = _columns(limit, *images), _columns(limit, *xmls)
    listed = tuple(
        Problem(Kind(kind), _text(path), _text(key), _text(detail), _a(bool, kept))
        for kind, path, key, detail, kept in problems
    )
    counts = tuple((_text(word), _a(int, count)) for word, count in junk)
    return Contents(Place(*map(_text, place)), _text(name), *columns, tuple(map(_text, folders)), listed, counts)


def _columns(limit: int, keys: str, sizes: bytes, extents: bytes, endings: str, classes: bytes = b"") -> FileColumns:
    all_sizes, all_extents = array("q", sizes), array("q", extents)
    count, names, suffixes = len(all_sizes), keys.split("\n") if keys else [], endings.split("\n") if endings else []
    width = len(all_extents) // count if count else 0
    is_sound = (
        len(names) == count
        and all(map(_KEY.fullmatch, names))
        and min(all_sizes, default=0) >= 0
        and len(all_extents) == count * width
        and width in ((1, 3) if count else (0,))  # see columns.Extents
        and all(0 <= offset <= limit for offset in all_extents[:: width or 1])
        and len(suffixes) in (0, count)
        and all(map(_ENDING.fullmatch, suffixes))
        and len(classes) in (0, 2 * count)
    )
    if not is_sound:
        raise ValueError("its columns are not those of files in the archive")
    return FileColumns(keys, sizes, extents, endings, classes)


def _text(value: object) -> str:
    return _a(str, value)


def _a(kind: type[T], value: object) -> T:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
