"""The journal: which shards are dealt and done, appended durably; what a resumed run may keep.

    file    = record ...
    record  = length, checksum, payload        length and CRC-32 of the payload as big-endian uint32
    payload = msgpack of a list                ["header", fingerprint], ["dealt", number, name],
                                               or ["done", number, name, ...]

Every append is synced before it returns. A torn tail, which a crash can leave, is dropped. Only the coordinator writes
a journal. It is the lock of its destination too: the system releases that when the process ends, however.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import msgpack

from parallel_sharder import durable
from parallel_sharder.errors import DestinationError
from parallel_sharder.model import Kind, Problem, ShardRecord

FORMAT = 1
"""Of the journal and of what it promises about the shards; part of the fingerprint."""

LOCK_SECONDS = 1.0
"""How long to wait for the lock: forked workers of a killed run hold it for the moment that they take to notice."""

_FRAME = struct.Struct(">II")

Fingerprint = Mapping[str, Any]
"""What a set is made from and with, by name; a resumed run must agree in every entry."""


class Journal:
    """The open journal at `path`, locked; `done` holds the record of each finished shard by its number.

    A new one, or one without a whole header, gets `fingerprint` as its header. Raises DestinationError if another run
    holds it, and if its fingerprint is another one, saying what changed; with `overwrite`, what the earlier run has
    recorded is removed instead, shards first, and the journal begins anew. `had_run` tells whether there was one.
    """

    def __init__(self, path: str, fingerprint: Fingerprint, overwrite: bool = False) -> None:
        self._path = path
        self._dealt: dict[int, str] = {}
        self.done: dict[int, ShardRecord] = {}
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise DestinationError(f"{path} cannot be written: {error.strerror or error}") from error
        try:
            self._lock()
            self._open(dict(fingerprint), overwrite)
        except BaseException:
            self.close()
            raise

    def deal(self, number: int, path: str) -> None:
        """Record that shard `number` is about to be written: a file at `path` is the tool's own from now on."""
        name = os.path.basename(path)
        if self._dealt.get(number) != name:
            self._append("dealt", number, name)
            self._dealt[number] = name

    def paths_dealt(self) -> list[str]:
        """Where the tool has made shards, or begun to, whether they are finished or not."""
        return [os.path.join(os.path.dirname(self._path), name) for name in self._dealt.values()]

    def finish(self, record: ShardRecord) -> None:
        """Record that a shard is whole, synced and under its final name."""
        fields = dataclasses.astuple(dataclasses.replace(record, path=os.path.basename(record.path)))
        self._append("done", *fields)
        self.done[record.number] = record

    def close(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        give_up = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > give_up:
                    raise DestinationError(
                        f"another run is writing there: it holds {self._path}. Wait for its end, "
                        "or choose another --dest."
                    ) from error
                time.sleep(0.05)
            except OSError as error:
                raise DestinationError(
                    f"{self._path} cannot be locked: {error.strerror or error}. Without a lock two runs could mix "
                    "their shards; choose a --dest on a file system that has flock."
                ) from error
            else:
                return

    def _open(self, fingerprint: dict[str, Any], overwrite: bool) -> None:
        size = os.fstat(self._descriptor).st_size
        header, whole_bytes = self._replay(os.pread(self._descriptor, size, 0))
        self.had_run = header is not None
        if header is not None and overwrite:
            for path in self.paths_dealt():
                durable.remove(path)
            self._dealt.clear()
            self.done.clear()
        elif header is not None:
            changes = _changes(header, fingerprint)
            if changes:
                raise DestinationError(
                    "the shards there were made from or with something else:\n"
                    + "\n".join(f"  {change}" for change in changes)
                    + f"\n({self._path} has the record.) Go on as before, choose another --dest, or remove what that "
                    f"run has made and start anew with --overwrite."
                )
        anew = header is None or overwrite
        self._end = 0 if anew else whole_bytes
        os.ftruncate(self._descriptor, self._end)
        if anew:
            self._append("header", fingerprint)
            durable.sync_folder(os.path.dirname(self._path) or ".")

    def _replay(self, data: bytes) -> tuple[dict[str, Any] | None, int]:
        """Take in the records in `data`; the fingerprint, if there is one, and where the last whole record ends."""
        header, end = None, 0
        for payload, end in records_of(data):  # noqa: B007
            match payload:
                case ["header", fingerprint]:
                    header = fingerprint
                case ["dealt", number, name]:
                    self._dealt[number] = name
                case ["done", *fields]:
                    record = _record(fields, os.path.dirname(self._path))
                    self.done[record.number] = record
        return header, end

    def _append(self, *payload: Any) -> None:
        packed = msgpack.packb(payload)
        record = _FRAME.pack(len(packed), zlib.crc32(packed)) + packed
        try:
            # Where the last whole record ends: one that an interrupt or a full disk has torn is written over.
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
            durable.write_all(self._descriptor, record)
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise DestinationError(f"{self._path} cannot be written: {error.strerror or error}") from error
        self._end += len(record)


def progress_of(path: str) -> tuple[int, int] | None:
    """How many shards the journal at `path` has as done, of how many; None if there is none. Does not want the lock."""
    try:
        with open(path, "rb") as file:
            payloads = [payload for payload, _ in records_of(file.read())]
    except OSError:
        return None
    if not payloads or payloads[0][0] != "header":
        return None
    return len({payload[1] for payload in payloads if payload[0] == "done"}), payloads[0][1]["shards"]


def records_of(data: bytes) -> Iterator[tuple[list[Any], int]]:
    """The whole records at the beginning of a journal's bytes: each payload, and where its record ends.

    Stops at the first that is cut short, fails its checksum, or is not ours.
    """
    start = 0
    while start + _FRAME.size <= len(data):
        size, checksum = _FRAME.unpack_from(data, start)
        end = start + _FRAME.size + size
        packed = data[start + _FRAME.size : end]
        if end > len(data) or zlib.crc32(packed) != checksum:
            return
        try:
            payload = msgpack.unpackb(packed)
        except (ValueError, msgpack.UnpackException):
            return
        if not isinstance(payload, list):
            return
        yield payload, end
        start = end


def _record(fields: list[Any], folder: str) -> ShardRecord:
    number, name, samples, tar_bytes, file_bytes, digest, left_out, problems = fields
    return ShardRecord(
        number,
        os.path.join(folder, name),
        samples,
        tar_bytes,
        file_bytes,
        digest,
        tuple(left_out),
        tuple(Problem(Kind(kind), *rest) for kind, *rest in problems),
    )


def _changes(before: Fingerprint, now: Fingerprint) -> list[str]:
    return [
        f"{name}: {before.get(name)}, now {now.get(name)}"
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name)
    ]
