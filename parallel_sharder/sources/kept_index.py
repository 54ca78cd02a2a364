"""A kept index: what a scan found in archives, in a file beside the journal, so that a resumed run can use it.

    file = head, item ..., digest            msgpack of [mark, of ..., count], then of each item; XXH3-128 of all before

It is used only if `of`, which has the archives with their sizes and times, is the same. Otherwise they are read again.
This module also refuses archives that have changed since the scan.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgpack
import xxhash

from parallel_sharder.errors import SourceError, unwritable
from parallel_sharder.model import Archive
from parallel_sharder.stores import store_of
from parallel_sharder.text import counted

_MARK = "parallel_sharder index of an archive"
_DIGEST_BYTES = 16
_PATHS: dict[str, str] = {"unicode_errors": "surrogateescape"}
"""How msgpack stores paths, which may hold any bytes."""

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


class KeptIndex(Generic[T]):
    """What was found in archives, kept in the file at `path`; it is not kept if that is None.

    `of` names the format, the archives and the choices that it follows from. `packed` makes a list of an item, and
    `unpacked` an item of that. `found` is what the file holds, None if it holds nothing of the same; a scan then sets
    it.
    """

    def __init__(
        self,
        path: str | None,
        of: Sequence[object],
        packed: Callable[[T], Sequence[object]],
        unpacked: Callable[[list[Any]], T],
    ) -> None:
        self._path = path
        self._key = [_MARK, *of]
        self._packed, self._unpacked = packed, unpacked
        self.found: list[T] | None = self._load()
        self._is_saved = self.found is not None

    def save(self) -> None:
        """Write the file, if what was found is new, and drop it. Raises DestinationError if it cannot be written."""
        found, self.found = self.found, None
        if self._is_saved or found is None or self._path is None:
            return
        try:
            store_of(self._path).put(self._path, self._parts(found), is_index)
        except OSError as error:
            raise unwritable(self._path, error, "Mend that, or choose another folder with --dest.") from error
        self._is_saved = True

    def _parts(self, found: list[T]) -> Iterator[bytes]:
        digest = xxhash.xxh3_128()
        for value in ([*self._key, len(found)], *map(self._packed, found)):
            part: bytes = msgpack.packb(value, **_PATHS)
            digest.update(part)
            yield part
        yield digest.digest()

    def _load(self) -> list[T] | None:
        """Return what is in the file; None if it does not exist, is damaged, or is of something else."""
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
            values = msgpack.Unpacker(max_buffer_size=len(data), strict_map_key=False, **_PATHS)
            values.feed(payload)
            *key, count = values.unpack()
            found = [self._unpacked(values.unpack()) for _ in range(count)] if key == self._key else None
            return found if values.tell() == len(payload) else None
        except MemoryError:
            raise
        except Exception:  # the file can hold anything, and reading that raises errors of many kinds
            return None


def is_index(path: str) -> bool:
    """Return whether the file at `path` is a kept index, of any archive and format, also a damaged one.

    Of those that the version before has kept for tables, the digest at the end is known.
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
