"""ShardWriter, for use by itself: samples of anybody's in, a row of shards out that rotates at a size or a count."""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from parallel_sharder import ustar
from parallel_sharder.destination import ShardPattern
from parallel_sharder.errors import DestinationError
from parallel_sharder.members import Member
from parallel_sharder.model import ShardRecord
from parallel_sharder.tarwriter import ShardFile, sample_bytes


class ShardWriter:
    """Writes samples to numbered shards: `with ShardWriter("x-%06d.tar") as shards: shards.write(sample)`.

    `pattern` holds one `%0Nd`; its ending (.tar, .tgz, .tar.gz, .tar.zst) chooses the compression. A shard is closed
    before the sample that would take it past `maxsize` bytes (everything in the tar counted, before compression) or
    `maxcount` samples. `mtime`, in seconds since 1970, is every member's.

    Missing folders are made. Leaving the `with` block by an exception removes the shard that is being written; the
    finished ones, in `records`, stay. A shard that exists already is an error (DestinationError), never overwritten.
    """

    def __init__(
        self,
        pattern: str,
        *,
        maxsize: float = 1e9,
        maxcount: int | None = None,
        start_shard: int = 0,
        mtime: int = 0,
        compression_threads: int = 1,
    ) -> None:
        self._pattern = ShardPattern.parse(pattern)
        if maxsize <= 0 or (maxcount is not None and maxcount < 1):
            raise ValueError(f"maxsize {maxsize} and maxcount {maxcount} must be positive")
        self._maxsize = int(maxsize)
        self._maxcount = maxcount
        self._template = ustar.HeaderTemplate(mtime=mtime)
        self._compression_threads = compression_threads
        self._number = start_shard
        self._shard: ShardFile | None = None
        self._previous_key = ""
        self.records: list[ShardRecord] = []

    def write(self, sample: Mapping[str, Any]) -> None:
        """Append one sample: `{"__key__": "n01440764_36", "jpg": b"...", "cls": 0, "json": {...}}`.

        Members are stored in the order of their names; entries that begin with "_" are not stored. Bytes are stored as
        they are, text as UTF-8, an int as ASCII digits, and under a name ending in "json" any value as JSON. Keys must
        be unique in the set; only an immediate repeat is noticed.

        Raises ValueError naming the key, the field and the rule for what readers would not give back as it was.
        """
        members = encode(sample)
        size = sample_bytes(members)
        key = sample["__key__"]
        if key == self._previous_key:
            raise ValueError(f"{key!r}: the sample before has the same key, and readers would merge the two")
        if size + len(ustar.END) > self._maxsize:
            raise ValueError(f"{key!r} needs {size + len(ustar.END):,} bytes, more than maxsize {self._maxsize:,}")
        shard = self._shard
        if shard is not None and (
            shard.tar_bytes + size + len(ustar.END) > self._maxsize or shard.samples == self._maxcount
        ):
            self._finish_shard()
        if self._shard is None:
            self._shard = self._next_shard()
        self._shard.write(members)
        self._previous_key = key

    def close(self) -> None:
        """Finish the last shard. Writing nothing makes no shard."""
        self._finish_shard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._shard is not None:
            self._shard.abort()
            self._shard = None

    def _next_shard(self) -> ShardFile:
        path = self._pattern.path(self._number)
        if os.path.exists(path):
            raise DestinationError(f"{path} is already there, and nothing is overwritten; remove it or rename the set")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return ShardFile(
            path,
            self._number,
            compression=self._pattern.compression,
            compression_threads=self._compression_threads,
            template=self._template,
        )

    def _finish_shard(self) -> None:
        if self._shard is None:
            return
        with self._shard as shard:
            self._shard = None
            self.records.append(shard.finish())
        self._number += 1


def encode(sample: Mapping[str, Any]) -> list[Member]:
    """The members of a WebDataset sample, checked against what the readers can give back; see ShardWriter.write."""
    key = sample.get("__key__")
    if not isinstance(key, str) or not key:
        raise ValueError(f"a sample needs a '__key__' that is text, not {key!r}")
    base = key.rpartition("/")[2]
    if not key.isascii() or any(c.isspace() or c == "\0" for c in key):
        raise ValueError(f"{key!r}: a key is ASCII without white space")
    if not base or "." in base or base.startswith("__") or key.startswith(("/", "__")):
        raise ValueError(f"{key!r}: a key's last part holds no dot, and neither it nor the whole begins with '__'")
    fields = sorted(field for field in sample if not field.startswith("_"))
    if not fields:
        raise ValueError(f"{key!r}: a sample needs at least one field")
    return [Member(_member_name(key, field), _encode(key, field, sample[field])) for field in fields]


def _member_name(key: str, field: str) -> str:
    if not field or not field.isascii() or field != field.lower() or any(c.isspace() or c in "/\0" for c in field):
        raise ValueError(f"{key!r}: field {field!r} is not lower-case ASCII without white space or slash")
    name = f"{key}.{field}"
    if len(name) > ustar.NAME_LIMIT_BYTES:
        raise ValueError(f"{name!r} has {len(name)} bytes; a member's name has at most {ustar.NAME_LIMIT_BYTES}")
    return name


def _encode(key: str, field: str, value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8")
    if field.rpartition(".")[2] == "json":
        try:
            return json.dumps(value).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{key!r}: field {field!r} is not JSON: {error}") from error
    if isinstance(value, numbers.Integral):  # numpy's integers too
        return b"%d" % int(value)
    raise ValueError(f"{key!r}: field {field!r} holds {type(value).__name__}; store bytes, text, an int, or JSON")
