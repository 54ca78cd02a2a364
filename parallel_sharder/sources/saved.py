"""The saved index: what an archive of images holds, kept beside the journal, so that a resumed run need not look again.

    file = head, contents ..., digest        msgpack of [format, archive, split, count] and of each Contents, as lists;
                                             XXH3-128 of all that

It counts only while the archive has the size and the time that it had.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import msgpack
import xxhash

from parallel_sharder import durable
from parallel_sharder.errors import DestinationError, SourceError
from parallel_sharder.model import Archive, Kind, Place, Problem
from parallel_sharder.sources.contents import Contents, FileColumns
from parallel_sharder.sources.layout import Layout

FORMAT = 2
_DIGEST_BYTES = 16
_PATHS: dict[str, str] = {"unicode_errors": "surrogateescape"}
"""Paths are any bytes."""


def archive_at(path: str) -> Archive:
    """The archive as it is now. Raises SourceError if it cannot be looked at."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}. Mend that, and type the same command again."
        ) from error
    return Archive(path, status.st_size, status.st_mtime_ns)


class SavedIndex:
    """The index at `path` of `archive`, for `split`: `contents` is None until it is known, by the file or by a scan."""

    def __init__(self, path: str, archive: Archive, split: str) -> None:
        self.archive = archive
        self._path = path
        self._key = [FORMAT, list(archive), split]
        self.contents: list[Contents] | None = self._load()
        self._is_saved = self.contents is not None

    @classmethod
    def of(cls, layout: Layout, path: str) -> SavedIndex | None:
        """The index at `path` of the archive of the layout's images; None if they are in folders."""
        return None if layout.images.is_dir() else cls(path, archive_at(str(layout.images)), layout.split)

    def save(self) -> None:
        """Write it, if it is new, and forget the contents. Raises DestinationError if it cannot be written."""
        contents, self.contents = self.contents, None
        if self._is_saved or contents is None:
            return
        try:
            durable.write_file(self._path, self._parts(contents))
        except OSError as error:
            raise DestinationError(
                f"{self._path} cannot be written: {error.strerror or error}. Mend that, or choose another folder with "
                "--dest."
            ) from error
        self._is_saved = True

    def _parts(self, contents: list[Contents]) -> Iterator[bytes]:
        digest = xxhash.xxh3_128()
        for value in ([*self._key, len(contents)], *map(dataclasses.astuple, contents)):
            part: bytes = msgpack.packb(value, **_PATHS)
            digest.update(part)
            yield part
        yield digest.digest()

    def _load(self) -> list[Contents] | None:
        """What the file holds; None if there is none, or it is of another archive, or damaged: it can be made again."""
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        payload = memoryview(data)[:-_DIGEST_BYTES]
        if len(data) < _DIGEST_BYTES or xxhash.xxh3_128_digest(payload) != data[-_DIGEST_BYTES:]:
            return None
        values = msgpack.Unpacker(max_buffer_size=len(data), **_PATHS)
        values.feed(payload)
        *key, count = values.unpack()
        return [_contents(*values.unpack()) for _ in range(count)] if key == self._key else None


def _contents(
    place: list[Any],
    name: str,
    images: list[Any],
    xmls: list[Any],
    folders: list[str],
    problems: list[list[Any]],
    junk: list[tuple[str, int]],
) -> Contents:
    listed = tuple(Problem(Kind(kind), *rest) for kind, *rest in problems)
    columns = FileColumns(*images), FileColumns(*xmls)
    return Contents(Place(*place), name, *columns, tuple(folders), listed, tuple((word, count) for word, count in junk))
