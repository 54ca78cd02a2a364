"""The journal: which files of a set are dealt and done, so that a resumed run knows which it may keep.

Each record is an entry (see `entries`); of the entries of one file, the last counts. `file` has the file and its lock,
`records` the bytes. A foreign file with the journal's name is never changed, and a copy of a damaged journal is kept.

Only the coordinator writes a journal. The journal's lock is also the lock of the set.
"""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from parallel_sharder.errors import DestinationError, DestinationGoneError, unwritable
from parallel_sharder.journal import entries, records
from parallel_sharder.journal.entries import Dealt, Done
from parallel_sharder.journal.file import REMEDY, JournalFile, unopenable
from parallel_sharder.journal.fingerprint import FORMAT, Fingerprint, fingerprint_digest, refuse_other
from parallel_sharder.journal.records import Contents, Payload, State
from parallel_sharder.model import ShardRecord
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.stores.traces import Trace


class Damage(NamedTuple):
    """A damaged journal: the path of its copy, how many bytes of it are lost, and how many shards it still has."""

    kept_as: str
    lost_bytes: int
    done: int


class Taken(NamedTuple):
    """A file that the tool has written or was about to write: its path, and its number if it is a shard."""

    path: str
    number: int | None


class Journal:
    """The open journal at `path`, locked; `done` holds the record of each finished shard by its number.

    A new journal gets `fingerprint` as its header; the entries "names of shards" and "shard count" determine which
    names its records can have. Raises DestinationError if another run holds the journal, if the file is no journal or
    has a record that is not valid, and, with what changed, if its fingerprint is another one; nothing is written then.
    With `overwrite`, another fingerprint is accepted (`is_same` is false then), and `begin_anew` has to follow.
    `archives` has the path of each archive whose modification time is an entry of the fingerprint, by the entry's name.
    `unread_bytes` is the size of what follows the last whole record. `damage` is None unless the journal has more
    faults than that.
    """

    def __init__(
        self, path: str, fingerprint: Fingerprint, overwrite: bool = False, archives: Mapping[str, str] | None = None
    ) -> None:
        self._path = path
        self._folder = os.path.dirname(path) or "."
        self._files = SetFiles.at_journal(path)
        self._fingerprint = dict(fingerprint)
        self._of = fingerprint_digest(fingerprint)
        self._archives = dict(archives or {})
        self._dealt: dict[str, int | None] = {}
        self._traces: dict[str, set[Trace]] = defaultdict(set)
        self.done: dict[int, ShardRecord] = {}
        self.is_same = True
        self.damage: Damage | None = None
        self._log = JournalFile(path)
        self.unread_bytes = self._log.unread_bytes
        try:
            self._read_past(self._log.contents, overwrite)
        except OSError as error:
            self.close()
            raise unopenable(path, error) from error
        except BaseException:
            self.close()
            raise

    def begin_anew(self) -> None:
        """Forget all records. Their files should have been removed: those that still exist are foreign from now on."""
        try:
            self._dealt.clear()
            self._traces.clear()
            self.done.clear()
            self._log.begin_anew([entries.header(self._fingerprint)])
            self.is_same = True
        except OSError as error:
            place = os.path.abspath(error.filename or self._path)
            raise DestinationError(f"{place}: {error.strerror or error}. {REMEDY}") from error

    def record(self, done: Sequence[ShardRecord] = (), dealt: Sequence[tuple[int, str]] = ()) -> None:
        """Record which shards are whole, synced and under their final names, and which are about to be written.

        `dealt` has the number and the path of each of the latter. All is recorded with one write and one sync, because
        each takes milliseconds on some disks. Raises DestinationGoneError if a shard is done, and the folder or the
        journal is not the one that was opened.
        """
        if done or self.done:
            self.refuse_gone()
        names = [(number, os.path.basename(path)) for number, path in dealt]
        new = [Dealt(name, number) for number, name in names if name not in self._dealt or number in self.done]
        self._write([*map(Done, done), *new])
        for record in done:
            self._note_done(record)
        for entry in new:
            self._note_dealt(entry)

    def record_beside(self, path: str, trace: Trace) -> None:
        """Record that a file beside the shards is about to be written at `path`, and the trace that it will have."""
        self.refuse_gone()
        entry = Dealt(os.path.basename(path), None, trace)
        if trace not in self._traces[entry.name]:
            self._write([entry])
            self._note_dealt(entry)

    def taken(self) -> list[Taken]:
        """Return the files that the tool has written or was about to write: those beside the shards, then the shards.

        Shards are in order of number. Removal in this order never leaves a manifest without its shards.
        """
        beside = [name for path in self._files.beside if (name := os.path.basename(path)) in self._dealt]
        shards = sorted((number, name) for name, number in self._dealt.items() if number is not None)
        names = [*((None, name) for name in beside), *shards]
        return [Taken(os.path.join(self._folder, name), number) for number, name in names]

    def traces(self, path: str) -> Collection[Trace]:
        """Return the recorded traces of all files that the tool has written, or was about to write, at `path`."""
        return self._traces.get(os.path.basename(path), ())

    def refuse_gone(self) -> None:
        """Raise DestinationGoneError if the folder, or the journal in it, is not the one that was opened."""
        if not self._log.has_its_folder:
            raise DestinationGoneError(
                f"{os.path.abspath(self._folder)} is not the folder any more in which this run began: it was removed, "
                "renamed or made anew meanwhile, and the shards that were finished are not there. The same command "
                "begins anew; if the folder was renamed, give it its name back first, and the command continues."
            )
        if not self._log.has_its_name:
            raise DestinationGoneError(
                f"{self._path} was removed or replaced while this run wrote to it, and without it nobody can tell "
                "which shards are finished. Put it back, or remove the shards of this run, and type the same command "
                "again."
            )

    def not_synced(self) -> str:
        """Return what the store cannot sync there: "files", "folders", "files and folders", or usually "".

        Raises OSError if syncing fails.
        """
        return self._log.not_synced()

    def close(self) -> None:
        """Release the lock."""
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_past(self, contents: Contents, overwrite: bool) -> None:
        """Read what the file held. All refusals are raised before anything is written."""
        header = _header_of(contents)
        self.is_same = header is None or header == self._fingerprint
        if header is not None and header.get("format") != FORMAT and not overwrite and len(contents.records) > 1:
            refuse_other(self._path, header, self._fingerprint, self._archives)
        self._replay(contents, self._fingerprint if header is None else header)
        if header is not None and not overwrite and self._dealt:
            refuse_other(self._path, header, self._fingerprint, self._archives)
        if contents.state is State.DAMAGED:
            self.damage = Damage(self._log.keep_aside(), contents.lost_bytes, len(self.done))
            if self.is_same or not self._dealt:
                self._write_anew()
        elif not self._dealt:
            self.begin_anew()

    def _replay(self, contents: Contents, fingerprint: Fingerprint) -> None:
        """Note all records of the set with this fingerprint. Raises DestinationError for a record that is not valid."""
        names = _Names(self._files, fingerprint)
        has_header, of = _header_of(contents) is not None, fingerprint_digest(fingerprint)
        for found in contents.payloads[has_header:]:
            payload = {"of": of, **found} if contents.state is State.OLD else found
            if payload.get("of") != of and not has_header:
                raise DestinationError(
                    f"{self._path} is damaged, and what is whole in it is of a set that was made from or with "
                    "something else. Go on as before, move it out of the way with all files of the set, or choose "
                    "another --dest."
                )
            self._note(payload, names, payload.get("of") == of)

    def _note(self, payload: Payload, names: _Names, is_of_set: bool) -> None:
        match entries.unpacked(payload):
            case Dealt(name, number, trace):
                self._refuse_stray(name, number, is_of_set and names.has(name, number))
                self._note_dealt(Dealt(name, number, trace))
            case Done(record):
                self._refuse_stray(record.path, record.number, is_of_set and names.has(record.path, record.number))
                path = os.path.join(self._folder, record.path)
                self._note_done(dataclasses.replace(record, path=path))
            case None:
                raise DestinationError(
                    f"{self._path} holds a record that this version of the tool does not know. Go on with the version "
                    "that began the set, or choose another --dest."
                )

    def _refuse_stray(self, name: str, number: int | None, is_of_set: bool) -> None:
        """Raise DestinationError for a record of a file that is not the set's: such a file must not be touched."""
        if not is_of_set:
            as_number = "" if number is None else f" as number {number}"
            raise DestinationError(
                f"{self._path} holds a record of {name}{as_number}, which is no file of its set: "
                "something else has written there. Nothing was touched. Move it out of the way with all files of the "
                "set, or choose another --dest."
            )

    def _note_dealt(self, entry: Dealt) -> None:
        self._dealt[entry.name] = entry.number
        if entry.number is not None:
            self.done.pop(entry.number, None)
        if entry.trace is not None:
            self._traces[entry.name].add(entry.trace)

    def _note_done(self, record: ShardRecord) -> None:
        name = os.path.basename(record.path)
        self._dealt[name] = record.number
        self.done[record.number] = record
        self._traces[name].add(Trace(record.file_bytes, record.xxh3_128))

    def _write_anew(self) -> None:
        """Replace the damaged journal by one of its whole records.

        The lost records are not known. So all other names of the set are noted as dealt, and their files are compared.
        """
        for entry in _Names(self._files, self._fingerprint).all:
            if entry.name not in self._dealt:
                self._note_dealt(entry)
        self._log.replace(
            [entries.header(self._fingerprint), *(entries.packed(each, self._of) for each in self._known())]
        )

    def _known(self) -> Iterator[Dealt | Done]:
        """Yield all that is noted, as entries."""
        for name, number in self._dealt.items():
            if number is None:
                for trace in self._traces.get(name) or (None,):
                    yield Dealt(name, None, trace)
            else:
                yield Done(self.done[number]) if number in self.done else Dealt(name, number)

    def _write(self, some: Sequence[Dealt | Done]) -> None:
        try:
            if some:
                self._log.append([entries.packed(each, self._of) for each in some])
        except OSError as error:
            raise unwritable(self._path, error) from error


class _Names:
    """The names that the files of a set can have: shards with their numbers, and files beside them without."""

    def __init__(self, files: SetFiles, fingerprint: Fingerprint) -> None:
        self._beside = [os.path.basename(path) for path in files.beside]
        first, shard_count = fingerprint.get("names of shards"), fingerprint.get("shard count")
        self._pattern = ShardPattern.of_set(files.name, first) if isinstance(first, str) and "/" not in first else None
        self._shard_count = shard_count if isinstance(shard_count, int) and self._pattern else 0

    @property
    def all(self) -> Iterator[Dealt]:
        """All names, each as an entry that it was dealt."""
        yield from map(Dealt, self._beside)
        if self._pattern is not None:
            yield from (Dealt(self._pattern.path(number), number) for number in range(self._shard_count))

    def has(self, name: str, number: int | None) -> bool:
        """Return whether `name` is that of shard `number`, or, if that is None, of a file beside the shards."""
        if number is None:
            return name in self._beside
        return self._pattern is not None and 0 <= number < self._shard_count and name == self._pattern.path(number)


def _header_of(contents: Contents) -> Fingerprint | None:
    first = contents.payloads[:1]
    return first[0]["fingerprint"] if first and records.is_header(first[0]) else None


class Past(NamedTuple):
    """What a journal has of the run that began it: its fingerprint, the names that were dealt, and the shards done."""

    fingerprint: Fingerprint
    names: frozenset[str]
    done: frozenset[int]


def past_of(path: str) -> Past | None:
    """Return what the journal at `path` has, without its lock; None if there is no journal, or nothing was dealt."""
    try:
        contents = records.contents_of(store_of(path).read(path))
    except OSError:
        return None
    fingerprint = _header_of(contents)
    last: dict[str, tuple[str, int | None]] = {}
    for payload in contents.payloads:
        match payload:
            case {"what": "dealt" | "done" as what, "path": str(name), **rest}:
                number = rest.get("number")
                last[name] = what, number if isinstance(number, int) else None
    if fingerprint is None or not last:
        return None
    names = _Names(SetFiles.at_journal(path), fingerprint)
    of_set = {name: each for name, each in last.items() if names.has(name, each[1])}
    done = frozenset(number for what, number in of_set.values() if what == "done" and number is not None)
    return Past(fingerprint, frozenset(of_set), done)


def progress_of(path: str) -> tuple[int, int] | None:
    """Return how many shards are done by the journal at `path`, and how many there are; None without a journal."""
    past = past_of(path)
    shards = past and past.fingerprint.get("shard count")
    return (len(past.done), shards) if past and isinstance(shards, int) else None
