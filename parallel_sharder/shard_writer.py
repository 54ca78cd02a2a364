"""ShardWriter, for use without a conversion: it writes any samples to numbered shards of a limited size or count.

Each sample is a mapping. `encode` checks that readers will return it unchanged, and returns its members; tar/writer.py
writes the shards. The records of finished shards are kept in `records`. One process writes, from any number of threads.
The docstring of ShardWriter says what ends a writer. No manifest, journal or index is written.
"""

from __future__ import annotations

import json
import numbers
import os
import shlex
import threading
import warnings
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self

from parallel_sharder.errors import DestinationError
from parallel_sharder.model import ShardRecord
from parallel_sharder.option_values import is_path, whole, whole_size
from parallel_sharder.pattern import ShardPattern, is_pattern
from parallel_sharder.stores import store_of
from parallel_sharder.tar import ustar
from parallel_sharder.tar.writer import Member, ShardFile, sample_bytes

MAXSIZE_LIMIT_BYTES = 2**60
"""The largest `maxsize`, as for a conversion."""

COMPRESSION_THREADS_LIMIT = 200
"""The most threads that can be asked for. zstd allows 256, and no machine gains by so many."""


class ShardWriter:
    """Writes samples to numbered shards: `with ShardWriter("x-%06d.tar") as shards: shards.write(sample)`.

    `pattern` holds one `%0Nd`; its ending (.tar, .tgz, .tar.gz, .tar.zst) chooses the compression. A shard is closed
    before the sample that would take it past `maxsize` bytes (a number, or text like "1GB"; everything in the tar
    counts, before compression) or past `maxcount` samples. The first number is `start_shard`. `mtime` is the
    modification time of every member, in whole seconds since 1970. Raises ValueError, which names the argument, the
    value and the limit.

    Missing folders are made. A shard that exists already is never overwritten, but raises DestinationError. `records`
    has the records of the finished shards, which stay whatever follows.

    A ValueError of `write` leaves the writer unchanged: the sample is not stored, and others can follow. Any other
    exception ends the writer, and so do `close` and the end of the `with` block; `write` then raises ValueError. An
    exception in `write` or in the block also removes the unfinished shard. Python removes it too, with a
    ResourceWarning, if it ends, or if nothing refers to the writer any more, before `close`.

    Threads may share a writer: samples are stored in the order of the calls. Processes may not: a process that has
    inherited a writer by a fork can neither write nor close (ValueError); it needs its own writer with another pattern.
    """

    def __init__(
        self,
        pattern: str | os.PathLike[str],
        *,
        maxsize: float | str = 1e9,
        maxcount: int | None = None,
        start_shard: int = 0,
        mtime: int = 0,
        compression_threads: int = 1,
    ) -> None:
        self._pattern = _parsed(pattern)
        self._maxsize = _checked("maxsize", _size(maxsize), 1, MAXSIZE_LIMIT_BYTES)
        self._maxcount = None if maxcount is None else _checked("maxcount", maxcount, 1)
        self._number = _checked("start_shard", start_shard, 0, 10**self._pattern.digits - 1)
        self._template = ustar.HeaderTemplate(mtime=_checked("mtime", mtime, 0, ustar.MTIME_LIMIT_SECONDS - 1))
        self._threads = _checked("compression_threads", compression_threads, 1, COMPRESSION_THREADS_LIMIT)
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._shard: ShardFile | None = None
        self._abandonment: weakref.finalize[..., ShardWriter] | None = None
        self._previous_key = ""
        self._end = ""
        self.records: list[ShardRecord] = []

    def write(self, sample: Mapping[str, Any]) -> None:
        """Append one sample: `{"__key__": "n01440764_36", "jpg": b"...", "cls": 0, "json": {...}}`.

        Members are stored in the order of their names; entries that begin with "_" are not stored. Bytes are stored as
        they are, text as UTF-8, an int as ASCII digits, and under a name ending in "json" any value as JSON. Keys must
        be unique in the set; only an immediate repeat is noticed.

        Raises ValueError if readers would not return the sample unchanged; the message names the key, the field and the
        rule. Raises ValueError if the writer has ended. Raises OSError or DestinationError, which end the writer, if
        the shard cannot be written.
        """
        self._refuse_other_process()
        members = encode(sample)
        key = sample["__key__"]
        with self._lock:
            if self._end:
                raise ValueError(f"{key!r} cannot be written to {self._pattern.path(self._number)}: {self._end}")
            try:
                self._append(key, members)
            except ValueError:
                raise
            except BaseException as error:
                self._give_up(f"the writer ended when an earlier call raised {_named(error)}")
                raise

    def close(self) -> None:
        """Finish the last shard, if there is one. A second call does nothing.

        Raises OSError or DestinationError if the shard cannot be finished; the shard is then removed.
        """
        self._refuse_other_process()
        with self._lock:
            if self._end:
                return
            try:
                self._finish_shard()
            except BaseException as error:
                self._give_up(f"the writer ended when close() raised {_named(error)}")
                raise
            self._end = "the writer is closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        elif os.getpid() == self._process:
            with self._lock:
                self._give_up(f"the writer ended when {_named(error)} left its with block")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"the writer of {self._pattern.path(self._number)} cannot be copied or sent to another process")

    def _append(self, key: str, members: Sequence[Member]) -> None:
        size = sample_bytes(members)
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
            self._abandonment = weakref.finalize(self, _abandon, self._shard, self._process)
        self._shard.write(members)
        self._previous_key = key

    def _next_shard(self) -> ShardFile:
        path, digits = self._pattern.path(self._number), self._pattern.digits
        if self._number >= 10**digits:
            raise DestinationError(
                f"{path} needs a number of {len(str(self._number))} digits, and the pattern has {digits}. Write "
                f"%0{len(str(self._number))}d in it."
            )
        store = store_of(path)
        if store.exists(path):
            raise DestinationError(_taken(path))
        store.need_folder(self._pattern.folder)
        return ShardFile(
            store.create(path),
            path,
            self._number,
            compression=self._pattern.compression,
            compression_threads=self._threads,
            template=self._template,
        )

    def _finish_shard(self) -> None:
        if self._shard is None:
            return
        with self._shard as shard:
            self._forget_shard()
            try:
                self.records.append(shard.finish())
            except FileExistsError as error:
                raise DestinationError(_taken(shard.path)) from error
        self._number += 1

    def _give_up(self, reason: str) -> None:
        """Remove the unfinished shard, and keep the reason why nothing can follow; the first reason stays."""
        self._end = self._end or reason
        if self._shard is not None:
            shard = self._shard
            self._forget_shard()
            shard.abort()

    def _forget_shard(self) -> None:
        self._shard = None
        if self._abandonment is not None:
            self._abandonment.detach()

    def _refuse_other_process(self) -> None:
        if os.getpid() != self._process:
            raise ValueError(
                f"{self._pattern.path(self._number)} is written by process {self._process}, from which process "
                f"{os.getpid()} has inherited the writer; make another one there, with another pattern"
            )


def _abandon(shard: ShardFile, process: int) -> None:
    """Remove a shard whose writer no longer exists, or whose interpreter ends."""
    if os.getpid() == process:
        shard.abandon()
        warnings.warn(f"{shard.path} is not made, because its writer was not closed", ResourceWarning, stacklevel=2)


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__} ({text})" if text else type(error).__name__


def _taken(path: str) -> str:
    return f"{path} is already there, and nothing is overwritten. Remove it, or choose another pattern."


def _parsed(pattern: str | os.PathLike[str]) -> ShardPattern:
    """Return the pattern with an absolute folder, because the process may change its working folder."""
    if not is_path(pattern):
        raise ValueError(f"pattern {pattern!r} is not a path")
    text = os.fspath(pattern)
    if not is_pattern(text):
        suggested = shlex.quote(os.path.join(text, "mine-%06d.tar"))
        raise ValueError(f"pattern {text!r} has no place for the shard number; write {suggested} or the like")
    parsed = ShardPattern.parse(text)
    return ShardPattern(os.path.abspath(parsed.folder), parsed.prefix, parsed.digits, parsed.suffix)


def _size(maxsize: float | str) -> Any:
    try:
        return whole_size(maxsize)
    except ValueError as error:
        raise ValueError(f"maxsize {error}") from error


def _checked(name: str, value: Any, lowest: int, highest: int | None = None) -> int:
    """Return the argument as an int. Raises ValueError if it is no whole number, or is outside the limits."""
    number = whole(value)
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"{name} {value!r} is not a whole number")
    if number < lowest:
        raise ValueError(f"{name} {number} must be {'positive' if lowest else '0 or more'}")
    if highest is not None and number > highest:
        raise ValueError(f"{name} {number:,} must be at most {highest:,}")
    return number


def encode(sample: Mapping[str, Any]) -> list[Member]:
    """Return the members of a WebDataset sample. Raises ValueError as ShardWriter.write does."""
    if not isinstance(sample, Mapping):
        raise ValueError(f"a sample is a mapping from names to values, not {type(sample).__name__}")
    key = sample.get("__key__")
    if not isinstance(key, str) or not key:
        raise ValueError(f"a sample needs a '__key__' that is text, not {key!r}")
    _refuse_key(key)
    names = [*sample]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key!r}: the names of its fields are not all text: {names!r}")
    fields = sorted(field for field in names if not field.startswith("_"))
    if not fields:
        raise ValueError(f"{key!r}: a sample needs at least one field")
    return [Member(_member_name(key, field), _encode(key, field, sample[field])) for field in fields]


def _refuse_key(key: str) -> None:
    """Raise ValueError for a key that unpacks outside its folder, or that readers split or skip."""
    if not _is_plain(key):
        raise ValueError(f"{key!r}: a key is ASCII without white space and control characters")
    *folders, base = key.split("/")
    if any(folder in ("", ".", "..") for folder in folders):
        raise ValueError(f"{key!r}: a key is a relative path, and none of its folders is empty, '.' or '..'")
    if not base or "." in base or base.startswith("__") or key.startswith("__"):
        raise ValueError(f"{key!r}: a key's last part holds no dot, and neither it nor the whole begins with '__'")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _member_name(key: str, field: str) -> str:
    if not field or not _is_plain(field) or field != field.lower() or "/" in field:
        raise ValueError(
            f"{key!r}: field {field!r} is not lower-case ASCII without white space, control characters and slash"
        )
    if "" in field.split("."):
        raise ValueError(f"{key!r}: field {field!r} has a dot without a name on each side, where readers split it")
    name = f"{key}.{field}"
    if len(name) > ustar.NAME_LIMIT_BYTES:
        raise ValueError(f"{name!r} has {len(name)} bytes; a member's name has at most {ustar.NAME_LIMIT_BYTES}")
    return name


def _encode(key: str, field: str, value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"{key!r}: field {field!r} is text that UTF-8 cannot hold: {error.reason}") from error
    if field.rpartition(".")[2] == "json":
        try:
            return json.dumps(value).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{key!r}: field {field!r} is not JSON: {error}") from error
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):  # numpy's integers too
        return b"%d" % int(value)
    raise ValueError(f"{key!r}: field {field!r} holds {type(value).__name__}; store bytes, text, an int, or JSON")
