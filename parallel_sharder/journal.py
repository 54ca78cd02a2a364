"""The journal: which shards are dealt and done, appended durably; what a resumed run may keep.

    file    = record ...
    record  = length, checksum, payload        length and CRC-32 of the payload as big-endian uint32
    payload = msgpack of a list                ["header", fingerprint], ["dealt", number, name],
                                               or ["done", number, name, ...]; of a number, the last counts

Records are appended some at a time, and synced before that returns. A torn tail, which a crash can leave, is dropped.
Only the coordinator writes a journal. It is the lock of its destination too: the system releases that when the process
ends, however.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shlex
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgpack

from parallel_sharder import durable
from parallel_sharder.errors import DestinationError
from parallel_sharder.model import Kind, Problem, ShardRecord
from parallel_sharder.regular import open_regular

FORMAT = 3
"""Of the journal and of what it promises about the shards, such as which files are stored; part of the fingerprint."""

MANIFEST, PROBLEMS, CLASSES = -1, -2, -3
"""What stands for a shard's number where one of the files beside the shards is dealt."""

LOCK_SECONDS = 1.0
"""How long to wait for the lock: forked workers of a killed run hold it for the moment that they take to notice."""

_REMEDY = "Mend that, or choose another folder with --dest."

_FRAME = struct.Struct(">II")

Fingerprint = Mapping[str, Any]
"""What a set is made from and with, by name; a resumed run must agree in every entry."""


class Journal:
    """The open journal at `path`, locked; `done` holds the record of each finished shard by its number.

    A new one, or one without a whole header, gets `fingerprint` as its header. Raises DestinationError if another run
    holds it, and if its fingerprint is another one, saying what changed; with `overwrite` any will do, and `begin_anew`
    has to follow. `archives` has the path of each file whose time is an entry of the fingerprint, by the entry's name.
    `unread_bytes` are those behind the last whole record.
    """

    def __init__(
        self, path: str, fingerprint: Fingerprint, overwrite: bool = False, archives: Mapping[str, str] | None = None
    ) -> None:
        self._path = path
        self._fingerprint = dict(fingerprint)
        self._archives = dict(archives or {})
        self._dealt: dict[int, str] = {}
        self.done: dict[int, ShardRecord] = {}
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise DestinationError(f"{path} cannot be written: {error.strerror or error}. {_REMEDY}") from error
        try:
            self._lock()
            self._open(overwrite)
        except BaseException:
            self.close()
            raise

    def begin_anew(self) -> None:
        """Forget all records; what was dealt is removed first, and for good."""
        folder = os.path.dirname(self._path) or "."
        try:
            if paths := self.paths_dealt():
                for path in paths:
                    durable.remove(path)
                durable.sync_folder(folder)  # or they could come back, and nobody's
            self._dealt.clear()
            self.done.clear()
            self._end = 0
            self._append(["header", self._fingerprint])
            durable.sync_folder(folder)
        except OSError as error:
            place = os.path.abspath(error.filename or self._path)
            raise DestinationError(f"{place}: {error.strerror or error}. {_REMEDY}") from error

    def record(self, done: Sequence[ShardRecord] = (), dealt: Sequence[tuple[int, str]] = ()) -> None:
        """Record which shards are whole, synced and under their final names, and which files are about to be written.

        Of the latter the number (the shard's, or one of MANIFEST, PROBLEMS and CLASSES) and the path: a file there is
        the tool's own, and not done. All in one write and one sync, of which each costs milliseconds on some disks.
        """
        payloads: list[list[Any]] = []
        for record in done:
            fields = dataclasses.astuple(dataclasses.replace(record, path=os.path.basename(record.path)))
            payloads.append(["done", *fields])
        names = [(number, os.path.basename(path)) for number, path in dealt]
        new = [(number, name) for number, name in names if self._dealt.get(number) != name or number in self.done]
        payloads += [["dealt", number, name] for number, name in new]
        try:
            if payloads:
                self._append(*payloads)
        except OSError as error:
            raise DestinationError(f"{self._path} cannot be written: {error.strerror or error}.") from error
        self.done.update((record.number, record) for record in done)
        self._dealt.update(new)
        for number, _ in new:
            self.done.pop(number, None)

    def paths_dealt(self) -> list[str]:
        """Where the tool has made files, or begun to, finished or not: first those beside the shards, then these.

        So removing them in this order never leaves a manifest without its shards.
        """
        return [os.path.join(os.path.dirname(self._path), self._dealt[number]) for number in sorted(self._dealt)]

    def not_synced(self) -> str:
        """What the file system refuses to sync there: "files", "folders", "files and folders", or "", as is usual.

        Raises OSError if syncing fails.
        """
        are_synced = {
            "files": durable.sync(self._descriptor, self._path),
            "folders": durable.sync_folder(os.path.dirname(self._path) or "."),
        }
        return " and ".join(what for what, is_synced in are_synced.items() if not is_synced)

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

    def _open(self, overwrite: bool) -> None:
        data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        header, self._end = self._replay(data)
        self.unread_bytes = len(data) - self._end
        if header is None:
            self._dealt.clear()  # whatever it is, it is not ours to remove
        if header is None or not (self._dealt or self.done):
            self.begin_anew()
        elif not overwrite:
            refuse_other(self._path, header, self._fingerprint, self._archives)

    def _replay(self, data: bytes) -> tuple[dict[str, Any] | None, int]:
        """Take in the records in `data`; the fingerprint, if there is one, and where the last whole record ends."""
        header, end = None, 0
        for payload, end in records_of(data):  # noqa: B007
            match payload:
                case ["header", dict(fingerprint)]:
                    header = fingerprint
                case ["dealt", int(number), str(name)]:
                    self._dealt[number] = name
                    self.done.pop(number, None)
                case ["done", int(number), str(), int(), int(), int(), str(), list(), list(), str(), bytes(), list()]:
                    self.done[number] = self._record(payload[1:])
                case _:
                    raise self._foreign()
        return header, end

    def _record(self, fields: list[Any]) -> ShardRecord:
        number, name, samples, tar_bytes, file_bytes, digest, left_out, problems, md5, json_bytes, mended = fields
        try:
            listed = tuple(Problem(Kind(kind), *rest) for kind, *rest in problems)
        except (TypeError, ValueError) as error:
            raise self._foreign() from error
        path = os.path.join(os.path.dirname(self._path), name)
        more = tuple(left_out), listed, md5, json_bytes, tuple(mended)
        return ShardRecord(number, path, samples, tar_bytes, file_bytes, digest, *more)

    def _foreign(self) -> DestinationError:
        return DestinationError(
            f"{self._path} holds a record that this version of the tool does not know. Go on with the version that "
            "began the set, or choose another --dest."
        )

    def _append(self, *payloads: list[Any]) -> None:
        packed = [msgpack.packb(payload) for payload in payloads]
        records = b"".join(_FRAME.pack(len(each), zlib.crc32(each)) + each for each in packed)
        # Where the last whole record ends: one that an interrupt or a full disk has torn goes.
        os.ftruncate(self._descriptor, self._end)
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        durable.write_all(self._descriptor, records)
        durable.sync(self._descriptor, self._path, data_only=True)
        self._end += len(records)


def refuse_other(path: str, before: Fingerprint, now: Fingerprint, archives: Mapping[str, str]) -> None:
    """Raise DestinationError if the journal at `path` is of another set, saying what changed.

    `archives` are the paths of the source's archives, by the entries of their times in the fingerprint.
    """
    formats = before.get("format", 0), now.get("format", 0)
    if formats[0] != formats[1]:
        which = "an earlier" if formats[0] < formats[1] else "a later"
        raise DestinationError(
            f"the shards there were begun by {which} version of parallel_sharder (format {formats[0]} in {path}, and "
            f"this version's is {formats[1]}), and what it stores can differ. Go on with that version, choose another "
            "--dest, or remove what it has made and start anew with --overwrite."
        )
    if changes := _changes(before, now):
        raise DestinationError(
            "the shards there were made from or with something else:",
            *(f"  {name}: {was}, now {is_now}" for name, (was, is_now) in changes.items()),
            *_lost_times(changes, archives),
            f"({path} has the record.) Go on as before, choose another --dest, or remove what that run has made and "
            "start anew with --overwrite.",
        )


def _lost_times(changes: Mapping[str, tuple[Any, Any]], archives: Mapping[str, str]) -> list[str]:
    """The lines that say how the set continues if times of archives are all that changed, which copying loses."""
    if not all(name in archives and was for name, (was, _) in changes.items()):
        return []
    one = len(changes) == 1
    return [
        f"If {'this is the same archive' if one else 'these are the same archives'}, copied without "
        f"{'its time' if one else 'their times'} (cp -p keeps {'it' if one else 'them'}), run",
        *(f"  touch -d {was} {shlex.quote(archives[name])}" for name, (was, _) in changes.items()),
        "and then the same command again, which continues.",
    ]


class Past(NamedTuple):
    """What a journal says of the run that began it: the names of what was dealt, and the numbers of shards done."""

    fingerprint: Fingerprint
    names: frozenset[str]
    done: frozenset[int]


def past_of(path: str) -> Past | None:
    """What the journal at `path` says; None if there is none, or nothing was begun. Does not want the lock."""
    try:
        with open(path, "rb") as file:
            payloads = [payload for payload, _ in records_of(file.read())]
    except OSError:
        return None
    fingerprint, names, last = None, {}, {}
    for payload in payloads:
        match payload:
            case ["header", dict(header)]:
                fingerprint = header
            case ["dealt" | "done" as word, int(number), str(name), *_]:
                names[number], last[number] = name, word
    if fingerprint is None or not names:
        return None
    done = frozenset(number for number, word in last.items() if word == "done")
    return Past(fingerprint, frozenset(names.values()), done)


def is_held(path: str) -> bool:
    """Whether a run holds the journal at `path`, and so is writing there."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # not there, or not to be locked
        return False
    return False


def progress_of(path: str) -> tuple[int, int] | None:
    """How many shards the journal at `path` has as done, of how many; None if there is none."""
    past = past_of(path)
    shards = past and past.fingerprint.get("shard count")
    return (len(past.done), shards) if past and isinstance(shards, int) else None


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


def _changes(before: Fingerprint, now: Fingerprint) -> dict[str, tuple[Any, Any]]:
    """What each entry that differs was, and is now."""
    names = dict.fromkeys((*before, *now))
    return {name: (before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)}
