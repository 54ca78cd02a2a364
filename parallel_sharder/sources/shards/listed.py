"""The listing of one shard: a worker reads its headers, and returns the samples in it as columns.

Members that follow one another under one key are a sample, which is one stretch of the shard: from its first header to
the end of its last member. Members between them that belong to no sample are no part of it. A shard in which data would
be lost is a SourceError, which names the offset: a bad header, a cut, data behind the end, a field twice under a key.
What belongs to no sample is a problem. Nothing is decoded, and only headers are read. Workers use this module.
"""

from __future__ import annotations

import itertools
import os
import re
from array import array
from collections.abc import Mapping
from typing import NamedTuple

from parallel_sharder.errors import unreadable
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Problem
from parallel_sharder.sources.key_rule import key_of
from parallel_sharder.staging.look import Take
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.tar.headers import reader_ahead, tar_entries
from parallel_sharder.tar.member_header import FOLDER, SPARSE, Read, TarMember, no_plain_file, refusal
from parallel_sharder.tar.names import key_and_field
from parallel_sharder.tar.ustar import BLOCK_BYTES, NAME_LIMIT_BYTES, SIZE_LIMIT_BYTES
from parallel_sharder.text import counted

_FIT_KEY = re.compile(r"(?:[!-~]*/)?(?!__)[!-.0-~]+")
_GRAPHIC = re.compile("[!-~]+")
"""ASCII without white space and control characters, which is what all readers take in a name."""

_KEPT_FIELDS = 4096
"""How many names of fields are kept that were found fit. Sets have some tens."""

_MEND = "Unpack the shard, mend that, and pack it again; or name the shards without it."


class ListedShard(NamedTuple):
    """The samples of one shard, in its order, in few bytes: sets have millions, and all are held at once.

    `keys` holds each key with a NUL behind it. `size` has the sizes of the stretches, as native uint32, or int64 if one
    is too large. `offset` (int64) has their offsets, and is empty where each stretch begins at the end of the last, the
    first at 0. `written` has the bytes that the samples take when their headers are written anew, as `size` has its
    numbers, and is empty where they are the same. `shape` (int32) has the number, in `shapes`, of the field names of
    each sample, and is empty where all are shape 0. `renamed` has the keys in the shard of the rows whose key is
    another; `unfit` says of rows what no reader takes in their names.
    """

    path: str
    samples: int
    keys: bytes
    offset: bytes
    size: bytes
    written: bytes
    shape: bytes
    shapes: tuple[tuple[str, ...], ...]
    renamed: Mapping[int, bytes]
    unfit: Mapping[int, str]
    problems: tuple[Problem, ...]

    @property
    def images(self) -> range:
        """One for each sample: whoever counts what was scanned counts these."""
        return range(self.samples)


def list_shard(path: str, *, rename_keys: bool) -> ListedShard:
    """Return the samples of the shard at `path`; with `rename_keys`, keys that no reader takes follow the key rule.

    Raises SourceError as said above, and if the shard cannot be read.
    """
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            size = os.fstat(file.fileno()).st_size
            return list_members(path, rename_keys, reader_ahead(file.fileno()), size)
    except OSError as error:
        raise unreadable(path, error) from error


def list_members(path: str, rename_keys: bool, read: Read, end: int | None, take: Take | None = None) -> ListedShard:
    """Return what `list_shard` does of the shard that `read` reads, and that has `end` bytes; see sources.passage.

    `take` is called for each member of a sample, with its headers.
    """
    listing = _Listing(path, rename_keys)
    for member in tar_entries(read, 0, end, path):
        if listing.add(member) and take is not None:
            take(member.offset, member.data + member.size - member.offset)
    return listing.result()


class _Listing:
    """The samples of a shard while its members are read."""

    def __init__(self, path: str, rename_keys: bool) -> None:
        self._path = path
        self._rename_keys = rename_keys
        self._keys = bytearray()
        self._offset, self._size, self._written, self._shape = array("q"), array("q"), array("q"), array("i")
        self._shapes: dict[tuple[str, ...], int] = {}
        self._renamed: dict[int, bytes] = {}
        self._unfit: dict[int, str] = {}
        self._links: list[Problem] = []
        self._passed_over: dict[bool, tuple[int, TarMember]] = {}
        self._key, self._begin = "", "\0"
        self._start = self._end = self._bytes = 0
        self._fields: dict[str, TarMember] = {}
        self._folded: set[str] = set()
        self._folds: dict[str, str] = {}

    def add(self, member: TarMember) -> bool:
        """Take the next member; return whether it is in a sample. Raises SourceError for one that would be lost."""
        name = member.name
        if not member.kind and name.startswith(self._begin):
            field = name[len(self._begin) :]
            if "/" not in field:
                self._take(field, member)
                return True
        if member.kind == SPARSE:
            raise no_plain_file(self._path, member)
        parts = None if member.kind == FOLDER else key_and_field(member.name)
        if parts is None:
            is_folder = member.kind == FOLDER
            count, first = self._passed_over.get(is_folder, (0, member))
            self._passed_over[is_folder] = count + 1, first
            return False
        if member.kind:
            detail = f"at offset {member.offset:,}: a {member.kind}, which no reader follows"
            # Without a key, because its sample may have other members, which are stored.
            self._links.append(Problem(Kind.LINKED_MEMBER, f"{self._path}:{member.name}", "", detail))
            return False
        self._close()
        self._key, self._begin, self._start = parts[0], f"{parts[0]}.", member.offset
        self._take(parts[1], member)
        return True

    def result(self) -> ListedShard:
        """Return what was read."""
        self._close()
        count, shapes = len(self._size), tuple(self._shapes)
        return ListedShard(
            self._path,
            count,
            bytes(self._keys),
            b"" if self._is_gapless() else self._offset.tobytes(),
            _packed(self._size),
            b"" if self._written == self._size else _packed(self._written),
            b"" if len(shapes) < 2 else self._shape.tobytes(),
            shapes,
            self._renamed,
            self._unfit,
            (*self._passed_over_problems(), *self._links),
        )

    def _is_gapless(self) -> bool:
        """Return whether each stretch begins where the last one ends, the first at 0."""
        return self._offset == array("q", itertools.accumulate(self._size, initial=0))[: len(self._offset)]

    def _take(self, field: str, member: TarMember) -> None:
        """Make the member a part of the sample."""
        folded = self._folds.get(field) or self._fold(field, member)
        if folded in self._folded:
            first = next(each for name, each in self._fields.items() if name.lower() == folded)
            detail = f"the key {self._key} has the field {folded} twice, the first at offset {first.offset:,}"
            raise refusal(self._path, member.offset, detail, _MEND)
        if member.size >= SIZE_LIMIT_BYTES:
            detail = f"{member.name} has {member.size:,} bytes; readers take members below {SIZE_LIMIT_BYTES:,}"
            raise refusal(self._path, member.offset, detail, _MEND)
        self._folded.add(folded)
        self._fields[field] = member
        padded = member.size + -member.size % BLOCK_BYTES
        self._bytes += BLOCK_BYTES + padded
        self._end = member.data + padded

    def _fold(self, field: str, member: TarMember) -> str:
        """Return the field's name in lower case, as webdataset compares it. Raises SourceError for an unfit one."""
        if not _GRAPHIC.fullmatch(field):
            detail = f"{member.name} has a field name that is not ASCII without white space, or is empty"
            raise refusal(self._path, member.offset, detail, _MEND)
        if len(self._folds) < _KEPT_FIELDS:
            self._folds[field] = field.lower()
        return field.lower()

    def _close(self) -> None:
        """Make the sample that was taken a row."""
        if not self._fields:
            return
        self._keys += self._stored_key()
        self._keys.append(0)
        self._offset.append(self._start)
        self._size.append(self._end - self._start)
        self._written.append(self._bytes)
        self._shape.append(self._shapes.setdefault(tuple(self._fields), len(self._shapes)))
        self._fields, self._folded, self._bytes = {}, set(), 0

    def _stored_key(self) -> bytes:
        """Return the key of the sample that was taken, renamed if need be, and note if it is unfit."""
        key, longest = self._key, max(map(len, self._fields))
        raw = key.encode("utf-8", "surrogateescape")
        fault = _fault(key, longest)
        if not fault:
            return raw
        if b"\0" in raw:
            raise refusal(self._path, self._start, f"the key {key} has a zero byte", _MEND)
        row = len(self._offset)
        if not self._rename_keys:
            self._unfit[row] = fault
            return raw
        self._renamed[row] = raw
        named = key_of(raw)
        if _fault(named.decode(), longest):
            name = f"{named.decode()}.{max(self._fields, key=len)}"
            detail = f"{name} has {len(name)} bytes even with the key renamed, and readers take {NAME_LIMIT_BYTES}"
            raise refusal(self._path, self._start, detail, _MEND)
        return named

    def _passed_over_problems(self) -> list[Problem]:
        """Return a problem for the folders, and one for the members without a key."""
        found = []
        for is_folder, (count, first) in self._passed_over.items():
            words = ("folder",) if is_folder else ("member without a key", "members without a key")
            detail = f"{counted(count, *words)}, the first at offset {first.offset:,}"
            found.append(Problem(Kind.NO_SAMPLE, f"{self._path}:{first.name}", "", detail))
        return found


def _packed(sizes: array[int]) -> bytes:
    """Return sizes as ListedShard has them."""
    return (array("I", sizes) if max(sizes, default=0) < 1 << 32 else sizes).tobytes()


def _fault(key: str, longest_field: int) -> str:
    """Return what no reader takes in the names of a sample with this key; "" if nothing is wrong."""
    if not _FIT_KEY.fullmatch(key):
        is_graphic = _GRAPHIC.fullmatch(key)
        return "has a base name that begins with two underscores" if is_graphic else "is not ASCII without white space"
    if len(key) + 1 + longest_field > NAME_LIMIT_BYTES:
        return f"has a name of {len(key) + 1 + longest_field} bytes, and the limit is {NAME_LIMIT_BYTES}"
    return ""
