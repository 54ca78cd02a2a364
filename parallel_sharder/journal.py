"""The journal: which shards are dealt and done, appended durably; what a resumed run may keep.

    header   ["header", fingerprint]                  once, first
    dealt    ["dealt", number, name, trace, of]       the name is about to be taken; trace, of a file beside the shards,
                                                      is what it will hold: [size, XXH3-128], else None
    done     ["done", number, name, ..., of]          the shard is whole, synced, and has its name

`of` is the digest of the fingerprint, so that a record proves whose it is even where the header is lost. Of a number,
the last record counts. Records are appended some at a time, and synced before that returns; a torn tail, which a crash
can leave, is cut off. For the bytes see `records`. A file of that name that is not ours is never changed; of a damaged
journal a copy is kept.

Only the coordinator writes a journal. It is the lock of its destination too: the system releases that when the process
ends, however.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgpack
import xxhash

from parallel_sharder import durable, records
from parallel_sharder.errors import DestinationError, DestinationGoneError, unwritable
from parallel_sharder.kinds import Kind
from parallel_sharder.lock import open_locked
from parallel_sharder.model import Problem, ShardRecord
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.records import Contents, State
from parallel_sharder.regular import open_regular, read_regular
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.traces import Trace

FORMAT = 4
"""Of the journal and of what it promises about the shards, such as which files are stored; part of the fingerprint."""

MANIFEST, PROBLEMS, CLASSES = -1, -2, -3
"""What stands for a shard's number where one of the files beside the shards is dealt."""

LOCK_SECONDS = 1.0
"""How long to wait for the lock: forked workers of a killed run hold it for the moment that they take to notice."""

_REMEDY = "Mend that, or choose another folder with --dest."

Fingerprint = Mapping[str, Any]
"""What a set is made from and with, by name; a resumed run must agree in every entry."""


class Damage(NamedTuple):
    """What has become of a damaged journal: where it is kept, how much of it is lost, how many shards it still has."""

    kept_as: str
    lost_bytes: int
    done: int


class Journal:
    """The open journal at `path`, locked; `done` holds the record of each finished shard by its number.

    A new one gets `fingerprint` as its header, of which "names of shards" and "shard count" say which names a record
    can have. Raises DestinationError if another run holds it, if it is something else or holds what it cannot, and if
    its fingerprint is another one, saying what changed; nothing is written then. With `overwrite` another fingerprint
    will do (`is_same` tells), and `begin_anew` has to follow. `archives` has the path of each file whose time is an
    entry of the fingerprint, by the entry's name. `unread_bytes` are those behind the last whole record; `damage` is
    None unless more is wrong than that.
    """

    def __init__(
        self, path: str, fingerprint: Fingerprint, overwrite: bool = False, archives: Mapping[str, str] | None = None
    ) -> None:
        self._path = path
        self._folder = os.path.dirname(path) or "."
        self._fingerprint = dict(fingerprint)
        self._of = _digest(fingerprint)
        self._archives = dict(archives or {})
        self._dealt: dict[int, str] = {}
        self._traces: dict[int, set[Trace]] = defaultdict(set)
        self._end = 0
        self.done: dict[int, ShardRecord] = {}
        self.is_same = True
        self.unread_bytes = 0
        self.damage: Damage | None = None
        self._descriptor = self._open_and_lock()
        try:
            self._take_up(overwrite)
            self._place = _place(self._folder), _place(path)
        except OSError as error:
            self.close()
            raise _unopenable(path, error) from error
        except BaseException:
            self.close()
            raise

    def begin_anew(self) -> None:
        """Forget all records. The files that they tell of should be gone, or are nobody's from now on."""
        try:
            self._dealt.clear()
            self._traces.clear()
            self.done.clear()
            self._end = 0
            self._append(["header", self._fingerprint])
            self.is_same = True
            durable.sync_folder(self._folder)
        except OSError as error:
            place = os.path.abspath(error.filename or self._path)
            raise DestinationError(f"{place}: {error.strerror or error}. {_REMEDY}") from error

    def record(self, done: Sequence[ShardRecord] = (), dealt: Sequence[tuple[int, str]] = ()) -> None:
        """Record which shards are whole, synced and under their final names, and which are about to be written.

        Of the latter the number and the path. All in one write and one sync, of which each costs milliseconds on some
        disks. Raises DestinationGoneError if something is done, and the folder or the journal is not the one that was
        opened.
        """
        if done or self.done:
            self.refuse_gone()
        payloads: list[list[Any]] = []
        for record in done:
            fields = dataclasses.astuple(dataclasses.replace(record, path=os.path.basename(record.path)))
            payloads.append(["done", *fields, self._of])
        names = [(number, os.path.basename(path)) for number, path in dealt]
        new = [(number, name) for number, name in names if self._dealt.get(number) != name or number in self.done]
        payloads += [["dealt", number, name, None, self._of] for number, name in new]
        self._write(payloads)
        for record in done:
            self._note_done(record)
        for number, name in new:
            self._note_dealt(number, name)

    def record_beside(self, number: int, path: str, trace: Trace) -> None:
        """Record that a file beside the shards, MANIFEST, PROBLEMS or CLASSES, is about to be written at `path`."""
        self.refuse_gone()
        if trace not in self._traces[number]:
            self._write([["dealt", number, os.path.basename(path), list(trace), self._of]])
            self._note_dealt(number, os.path.basename(path), trace)

    def files(self) -> list[tuple[int, str]]:
        """Which names the tool has taken, or was about to: numbers and paths, those beside the shards first.

        So removing them in this order never leaves a manifest without its shards.
        """
        return [(number, os.path.join(self._folder, self._dealt[number])) for number in sorted(self._dealt)]

    def traces(self, number: int) -> Collection[Trace]:
        """All that the tool has ever written, or was about to write, under the name of this number, as recorded."""
        return self._traces.get(number, ())

    def refuse_gone(self) -> None:
        """Raise DestinationGoneError if the folder, or the journal in it, is not the one that was opened."""
        folder, path = _place(self._folder), _place(self._path)
        if folder != self._place[0]:
            raise DestinationGoneError(
                f"{os.path.abspath(self._folder)} is not the folder any more in which this run began: it was removed, "
                "renamed or made anew meanwhile, and the shards that were finished are not there. The same command "
                "begins anew; if the folder was renamed, give it its name back first, and the command continues."
            )
        if path != self._place[1]:
            raise DestinationGoneError(
                f"{self._path} was removed or replaced while this run wrote to it, and without it nobody can tell "
                "which shards are finished. Put it back, or remove the shards of this run, and type the same command "
                "again."
            )

    def not_synced(self) -> str:
        """What the file system refuses to sync there: "files", "folders", "files and folders", or "", as is usual.

        Raises OSError if syncing fails.
        """
        are_synced = {
            "files": durable.sync(self._descriptor, self._path),
            "folders": durable.sync_folder(self._folder),
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

    def _open_and_lock(self) -> int:
        try:
            return open_locked(self._path, self._refuse_held)
        except OSError as error:
            if error.filename is not None:
                raise _unopenable(self._path, error) from error
            raise DestinationError(
                f"{self._path} cannot be locked: {error.strerror or error}. Without a lock two runs could mix "
                "their shards; choose a --dest on a file system that has flock."
            ) from error

    def _refuse_held(self, _: int, seconds: float) -> None:
        if seconds > LOCK_SECONDS:
            raise DestinationError(
                f"another run is writing there: it holds {self._path}. Wait for its end, or choose another --dest."
            )

    def _take_up(self, overwrite: bool) -> None:
        """Take in what the file holds; nothing is written before all that can be refused has been."""
        data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        contents = records.contents_of(data)
        refuse_foreign_contents(self._path, contents)
        header = _header_of(contents)
        self.is_same = header is None or header == self._fingerprint
        if header is not None and header.get("format") != FORMAT and not overwrite and len(contents.records) > 1:
            refuse_other(self._path, header, self._fingerprint, self._archives)
        self._replay(contents, self._fingerprint if header is None else header)
        if header is not None and not overwrite and self._dealt:
            refuse_other(self._path, header, self._fingerprint, self._archives)
        self._end = contents.end
        self.unread_bytes = max(0, len(data) - max(self._end, len(records.MAGIC)))
        if contents.state is State.DAMAGED:
            self.damage = Damage(_kept_aside(self._path, data), contents.lost_bytes, len(self.done))
            if self.is_same or not self._dealt:
                self._write_anew()
        elif not self._dealt:
            self.begin_anew()

    def _replay(self, contents: Contents, fingerprint: Fingerprint) -> None:
        """Take in the records, which are of a set with this fingerprint. Raises DestinationError if one cannot be."""
        names = _Names(self._path, fingerprint)
        is_old, of = contents.state is State.OLD, _digest(fingerprint)
        for payload in contents.payloads[_header_of(contents) is not None :]:
            *fields, its_of = [*payload, of] if is_old else payload or [None]
            if its_of != of and _header_of(contents) is None:
                raise DestinationError(
                    f"{self._path} is damaged, and what is whole in it is of a set that was made from or with "
                    "something else. Go on as before, move it out of the way with all files of the set, or choose "
                    "another --dest."
                )
            match fields:
                case ["dealt", int(number), str(name), *trace]:
                    trace = trace or [None]
                    if len(trace) > 1 or not (trace[0] is None or _is_trace(trace[0])):
                        raise self._foreign()
                    self._refuse_stray(names, number, name, its_of == of)
                    self._note_dealt(number, name, Trace(*trace[0]) if trace[0] else None)
                case [
                    "done",
                    int(number),
                    str(name),
                    int(),
                    int(),
                    int(),
                    str(),
                    list(),
                    list(),
                    str(),
                    bytes(),
                    list(),
                ]:
                    self._refuse_stray(names, number, name, its_of == of and number >= 0)
                    self._note_done(self._record(fields[1:]))
                case _:
                    raise self._foreign()

    def _refuse_stray(self, names: _Names, number: int, name: str, is_of_set: bool) -> None:
        """Raise DestinationError for a record of a file that is none of the set's: it is nobody's to touch."""
        if not is_of_set or name != names.of(number):
            raise DestinationError(
                f"{self._path} holds a record of {name} as number {number}, which is no file of its set: "
                "something else has written there. Nothing was touched. Move it out of the way with all files of the "
                "set, or choose another --dest."
            )

    def _note_dealt(self, number: int, name: str, trace: Trace | None = None) -> None:
        self._dealt[number] = name
        self.done.pop(number, None)
        if trace is not None:
            self._traces[number].add(trace)

    def _note_done(self, record: ShardRecord) -> None:
        self._dealt[record.number] = os.path.basename(record.path)
        self.done[record.number] = record
        self._traces[record.number].add(Trace(record.file_bytes, record.xxh3_128))

    def _record(self, fields: list[Any]) -> ShardRecord:
        number, name, samples, tar_bytes, file_bytes, digest, left_out, problems, md5, json_bytes, mended = fields
        try:
            listed = tuple(Problem(Kind(kind), *rest) for kind, *rest in problems)
        except (TypeError, ValueError) as error:
            raise self._foreign() from error
        path = os.path.join(self._folder, name)
        more = tuple(left_out), listed, md5, json_bytes, tuple(mended)
        return ShardRecord(number, path, samples, tar_bytes, file_bytes, digest, *more)

    def _foreign(self) -> DestinationError:
        return DestinationError(
            f"{self._path} holds a record that this version of the tool does not know. Go on with the version that "
            "began the set, or choose another --dest."
        )

    def _write_anew(self) -> None:
        """Put a journal of what was whole in the place of the damaged one, at once and for good.

        What that had besides is not known, so all other names of the set are as dealt: what they have is compared.
        """
        names = _Names(self._path, self._fingerprint)
        for number in names.numbers:
            if number not in self._dealt:
                self._note_dealt(number, names.of(number))
        damaged, (self._descriptor, temporary) = self._descriptor, durable.create(self._path)
        self._end = 0
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or it has none, as create may leave it
            self._append(["header", self._fingerprint], *self._payloads())
            os.rename(temporary, self._path)
            durable.sync_folder(self._folder)
        except BaseException:
            durable.remove(temporary)
            raise
        finally:
            os.close(damaged)

    def _payloads(self) -> Iterator[list[Any]]:
        """All that is known, as records."""
        for number, name in self._dealt.items():
            for trace in self._traces.get(number, ()) if number < 0 else ():
                yield ["dealt", number, name, list(trace), self._of]
            if number in self.done:
                fields = dataclasses.astuple(dataclasses.replace(self.done[number], path=name))
                yield ["done", *fields, self._of]
            elif number >= 0 or not self._traces.get(number):
                yield ["dealt", number, name, None, self._of]

    def _write(self, payloads: Sequence[list[Any]]) -> None:
        try:
            if payloads:
                self._append(*payloads)
        except OSError as error:
            raise unwritable(self._path, error) from error

    def _append(self, *payloads: list[Any]) -> None:
        packed = records.pack(payloads)
        if not self._end:
            packed = records.MAGIC + packed
        # Where the last whole record ends: one that an interrupt or a full disk has torn goes.
        os.ftruncate(self._descriptor, self._end)
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        durable.write_all(self._descriptor, packed)
        durable.sync(self._descriptor, self._path, data_only=True)
        self._end += len(packed)


class _Names:
    """The base names that the files of a set can have, by number: of shards from 0, of files beside them negative."""

    def __init__(self, journal_path: str, fingerprint: Fingerprint) -> None:
        name = SetFiles.at_journal(journal_path).name
        files = SetFiles("", name)
        self._beside = {MANIFEST: files.manifest, PROBLEMS: files.problems, CLASSES: files.classes}
        first, shard_count = fingerprint.get("names of shards"), fingerprint.get("shard count")
        self._pattern = ShardPattern.of_set(name, first) if isinstance(first, str) and "/" not in first else None
        self._shard_count = shard_count if isinstance(shard_count, int) and self._pattern else 0

    @property
    def numbers(self) -> list[int]:
        """All of them."""
        return [*self._beside, *range(self._shard_count)]

    def of(self, number: int) -> str:
        """The name of the file with this number; "" if there is none."""
        if self._pattern and 0 <= number < self._shard_count:
            return self._pattern.path(number)
        return self._beside.get(number, "")


def _digest(fingerprint: Fingerprint) -> bytes:
    """What stands for a fingerprint in the records; empty for what no fingerprint of ours is."""
    try:
        return xxhash.xxh3_128_digest(msgpack.packb(sorted(fingerprint.items(), key=lambda item: str(item[0]))))
    except (TypeError, ValueError):  # nested too deeply, say
        return b""


def _is_trace(value: Any) -> bool:
    return isinstance(value, list) and [type(each) for each in value] == [int, str]


def _header_of(contents: Contents) -> Fingerprint | None:
    match contents.payloads[:1]:
        case [["header", dict(fingerprint)]]:
            return fingerprint
    return None


def _place(path: str) -> tuple[int, int] | None:
    """What tells a file or folder from all others; None if there is none."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _kept_aside(path: str, data: bytes) -> str:
    """Where a copy of the damaged journal at `path` has been written to."""
    for number in count(1):
        aside = f"{path}.damaged-{number}"
        with contextlib.suppress(FileExistsError):
            durable.write_file(aside, data)
            return aside
    raise AssertionError  # count never ends


def _unopenable(path: str, error: OSError) -> DestinationError:
    if error.errno == errno.ELOOP and os.path.islink(path):
        return DestinationError(
            f"{path} is a link, and nothing is written through one. Move it out of the way, or choose another --dest."
        )
    return unwritable(path, error, _REMEDY)


def refuse_foreign_journal(path: str) -> None:
    """Raise DestinationError if what is at `path` is something else than a journal. Why it cannot be opened is not said
    here.
    """
    if os.path.islink(path):
        raise _unopenable(path, OSError(errno.ELOOP, ""))
    try:
        if not os.path.isdir(path):
            refuse_foreign_contents(path, records.contents_of(read_regular(path)))
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise _unopenable(path, error) from error


def refuse_foreign_contents(path: str, contents: Contents) -> None:
    """Raise DestinationError if the file at `path`, which holds that, is no journal."""
    if contents.state is State.FOREIGN:
        raise DestinationError(
            f"{path} is there, and it is no journal of this tool, or nothing in it is whole. Nothing is overwritten: "
            "move it out of the way, or choose another --dest."
        )


def refuse_other(path: str, before: Fingerprint, now: Fingerprint, archives: Mapping[str, str]) -> None:
    """Raise DestinationError if the journal at `path` is of another set, saying what changed.

    `archives` are the paths of the source's archives, by the entries of their times in the fingerprint.
    """
    formats = [each if isinstance(each, int) else 0 for each in (before.get("format"), now.get("format"))]
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
            *(
                f"  {name}: {_in_words(name, was)}, now {_in_words(name, is_now)}"
                for name, (was, is_now) in changes.items()
            ),
            *_lost_times(changes, archives),
            f"({path} has the record.) Go on as before, choose another --dest, or remove what that run has made and "
            "start anew with --overwrite.",
        )


def _in_words(name: str, value: Any) -> str:
    """The value of an entry of the fingerprint; an archive that is not of the set has no time."""
    return str(value) if value is not None else "not used" if name.startswith("time of ") else "none"


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
        contents = records.contents_of(read_regular(path))
    except OSError:
        return None
    fingerprint = _header_of(contents)
    names, last = {}, {}
    for payload in contents.payloads:
        match payload:
            case ["dealt" | "done" as word, int(number), str(name), *_]:
                names[number], last[number] = name, word
    if fingerprint is None or not names:
        return None
    allowed = _Names(path, fingerprint)
    return Past(
        fingerprint,
        frozenset(name for number, name in names.items() if name == allowed.of(number)),
        frozenset(number for number, word in last.items() if word == "done" and names[number] == allowed.of(number)),
    )


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


def _changes(before: Fingerprint, now: Fingerprint) -> dict[str, tuple[Any, Any]]:
    """What each entry that differs was, and is now."""
    names = dict.fromkeys((*before, *now))
    return {name: (before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)}
