"""The journal: which files of a set are dealt and done, so that a resumed run knows which it may keep.

Each record is an entry (see `entries`); of the entries of one file, the last counts. `file` has the file and its lock,
`records` the bytes. A foreign file with the journal's name is never changed, and a copy of a damaged journal is kept.

Only the coordinator writes a journal. The journal's lock is also the lock of the set. A set that an array job writes
has several journals, one a node. Each run writes its own, reads all, and notes their entries in the order of their
epochs: so it knows what is done, whoever did it.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from parallel_sharder.errors import DestinationError, DestinationGoneError, TakenOverError, unwritable
from parallel_sharder.journal import entries, records
from parallel_sharder.journal.entries import Closed, Dealt, Done, Entry, Opened
from parallel_sharder.journal.epochs import anew_of, counts, header_of, last_epoch_of, openings_of, read_last
from parallel_sharder.journal.file import REMEDY, JournalFile, refuse_foreign_contents, unopenable
from parallel_sharder.journal.fingerprint import FORMAT, Fingerprint, fingerprint_digest, refuse_other
from parallel_sharder.journal.names import Names
from parallel_sharder.journal.records import Contents, Payload, State
from parallel_sharder.model import ShardRecord
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.stores.store import Waiting
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
    Where the file system has no locks, `take_over` takes the place of a run on another host that shows no sign of life,
    and `watching` is called while such a run is watched (see Store.lease).
    `unread_bytes` is the size of what follows the last whole record. `damage` is None unless the journal has more
    faults than that. With `is_shared`, the set's other journals are read too; the fingerprint has to be theirs as well.
    """

    def __init__(
        self,
        path: str,
        fingerprint: Fingerprint,
        overwrite: bool = False,
        archives: Mapping[str, str] | None = None,
        *,
        is_shared: bool = False,
        take_over: bool = False,
        watching: Waiting | None = None,
    ) -> None:
        self._path = path
        self._folder = os.path.dirname(path) or "."
        self._files = SetFiles.at_journal(path)
        self.is_shared = is_shared
        self._epoch = self._anew = 0
        self._last_epochs: dict[str, int] = {}
        self._opened_at = time.monotonic()
        self._fingerprint = dict(fingerprint)
        self._of = fingerprint_digest(fingerprint)
        self._archives = dict(archives or {})
        self._dealt: dict[str, int | None] = {}
        self._traces: dict[str, set[Trace]] = defaultdict(set)
        self.done: dict[int, ShardRecord] = {}
        self.is_same = True
        self.damage: Damage | None = None
        self._log = JournalFile(path, take_over=take_over, watching=watching)
        self.unread_bytes = self._log.unread_bytes
        try:
            self._read_past(self._log.contents, overwrite)
            if is_shared:
                self._open_among_others(overwrite)
        except OSError as error:
            self.close()
            raise unopenable(path, error) from error
        except BaseException:
            self.close()
            raise

    def begin_anew(self) -> None:
        """Forget all records. Their files should have been removed: those that still exist are foreign from now on."""
        self._forget()
        self._overwrite([entries.packed(self._opened(anew=True), self._of)] if self._epoch else [])
        self._anew = self._epoch

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

    def read_others(self, overwrite: bool = False) -> None:
        """Note what all journals of the set say by now; those of other runs are only read.

        Raises DestinationError if one of them is no journal, or, unless `overwrite`, if it is of another set.
        """
        read: dict[str, Contents] = {}
        for path in read_last(self._files):
            read[path] = self._log.read() if path == self._path else records.contents_of(store_of(path).read(path))
            refuse_foreign_contents(path, read[path])
        self._anew = max(map(anew_of, read.values()), default=0)
        self._last_epochs = {path: last_epoch_of(contents) for path, contents in read.items()}
        self._epoch = max(self._last_epochs.values(), default=0)
        said: list[tuple[int, Entry]] = []
        for path, contents in read.items():
            header = header_of(contents)
            if header is None:
                continue  # hardly begun
            counting = [each for each in self._said(path, contents, header) if counts(each[0], self._anew)]
            if header != self._fingerprint and any(isinstance(entry, Dealt | Done) for _, entry in counting):
                self.is_same = False
                if not overwrite:
                    refuse_other(path, header, self._fingerprint, self._archives)
            said += counting
        self._forget()
        for _, entry in sorted(said, key=lambda each: each[0]):
            self._note(entry)

    def outdated(self) -> list[str]:
        """Return the paths of the other journals of which nothing counts, because the set was begun anew since."""
        return [
            path for path, epoch in self._last_epochs.items() if path != self._path and not counts(epoch, self._anew)
        ]

    def closed(self, samples: int) -> None:
        """Record, in the journal of an array's set, that this run has ended, and how many samples it has written."""
        self._write([Closed(samples, time.monotonic() - self._opened_at)])

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
        """Raise DestinationGoneError if the folder, or the journal in it, is not the one that was opened.

        Raises TakenOverError instead if the set has several journals, and this one was replaced.
        """
        if not self._log.has_its_folder:
            raise DestinationGoneError(
                f"{os.path.abspath(self._folder)} is not the folder any more in which this run began: it was removed, "
                "renamed or made anew meanwhile, and the shards that were finished are not there. The same command "
                "begins anew; if the folder was renamed, give it its name back first, and the command continues."
            )
        if not self._log.has_its_name and self.is_shared:
            raise TakenOverError(
                f"{self._path} was replaced by another run, which has taken the place of this one. What this run has "
                "finished stays, and that run goes on."
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
        header = header_of(contents)
        self.is_same = header is None or header == self._fingerprint
        if header is not None and header.get("format") != FORMAT and not overwrite and len(contents.records) > 1:
            refuse_other(self._path, header, self._fingerprint, self._archives)
        for _, entry in self._said(self._path, contents, self._fingerprint if header is None else header):
            self._note(entry)
        if header is not None and not overwrite and self._dealt:
            refuse_other(self._path, header, self._fingerprint, self._archives)
        if contents.state is State.DAMAGED:
            self.damage = Damage(self._log.keep_aside(), contents.lost_bytes, len(self.done))
            if self.is_same or not self._dealt:
                self._write_anew(openings_of(contents))
        elif not self._dealt:  # how often it was opened, and begun anew, counts for other journals
            self._forget()
            self._overwrite(openings_of(contents))

    def _open_among_others(self, overwrite: bool) -> None:
        """Read the set's other journals, and begin an epoch of this one.

        The journal gets a new file. So if a run on another host, whose place this run has taken, is not dead after all,
        it cannot cut off what this run records: it finds that the file at the path is not its own any more, and stops.
        """
        self.read_others(overwrite)
        self._epoch += 1
        payloads: list[Payload] = [*self._log.read().payloads] or [entries.header(self._fingerprint)]
        self._log.replace([*payloads, entries.packed(self._opened(), self._of)])

    def _overwrite(self, opened: Sequence[Payload]) -> None:
        """Overwrite the journal with its header, and with the epochs that it was `opened` in."""
        try:
            self._log.begin_anew([entries.header(self._fingerprint), *opened])
            self.is_same = True
        except OSError as error:
            place = os.path.abspath(error.filename or self._path)
            raise DestinationError(f"{place}: {error.strerror or error}. {REMEDY}") from error

    def _opened(self, *, anew: bool = False) -> Opened:
        return Opened(self._epoch, socket.gethostname(), os.getpid(), time.time(), anew)

    def _forget(self) -> None:
        self._dealt.clear()
        self._traces.clear()
        self.done.clear()

    def _said(self, path: str, contents: Contents, fingerprint: Fingerprint) -> Iterator[tuple[int, Entry]]:
        """Yield the entries of the journal at `path`, of a set with this fingerprint, each with its epoch.

        Raises DestinationError for a record that is not valid.
        """
        names = Names(self._files, fingerprint)
        has_header, of = header_of(contents) is not None, fingerprint_digest(fingerprint)
        epoch = 0
        for found in contents.payloads[has_header:]:
            payload = {"of": of, **found} if contents.state is State.OLD else found
            if payload.get("of") != of and not has_header:
                raise DestinationError(
                    f"{path} is damaged, and what is whole in it is of a set that was made from or with "
                    "something else. Go on as before, move it out of the way with all files of the set, or choose "
                    "another --dest."
                )
            entry = _valid(path, payload, names, payload.get("of") == of)
            epoch = entry.epoch if isinstance(entry, Opened) else epoch
            yield epoch, entry

    def _note(self, entry: Entry) -> None:
        match entry:
            case Dealt():
                self._note_dealt(entry)
            case Done(record):
                path = os.path.join(self._folder, record.path)
                self._note_done(dataclasses.replace(record, path=path))

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

    def _write_anew(self, opened: Sequence[Payload]) -> None:
        """Replace the damaged journal by one of its whole records, of the last of the epochs that it was `opened` in.

        The lost records are not known. So all other names of the set are noted as dealt, and their files are compared.
        These come before all epochs, because other journals of the set can have the records of their files.
        """
        lost = [each for each in Names(self._files, self._fingerprint).all if each.name not in self._dealt]
        packed = [[entries.packed(each, self._of) for each in some] for some in (lost, self._known())]
        self._log.replace([entries.header(self._fingerprint), *packed[0], *opened, *packed[1]])
        for entry in lost:
            self._note_dealt(entry)

    def _known(self) -> Iterator[Dealt | Done]:
        """Yield all that is noted, as entries."""
        for name, number in self._dealt.items():
            if number is None:
                for trace in self._traces.get(name) or (None,):
                    yield Dealt(name, None, trace)
            else:
                yield Done(self.done[number]) if number in self.done else Dealt(name, number)

    def _write(self, some: Sequence[Entry]) -> None:
        try:
            if some:
                self._log.append([entries.packed(each, self._of) for each in some])
        except OSError as error:
            raise unwritable(self._path, error) from error


def _valid(path: str, payload: Payload, names: Names, is_of_set: bool) -> Entry:
    """Return the entry of a record in the journal at `path`. Raises DestinationError if its file is not the set's."""
    entry = entries.unpacked(payload)
    match entry:
        case Dealt(name, number) | Done(ShardRecord(path=name, number=number)):
            if not (is_of_set and names.has(name, number)):
                as_number = "" if number is None else f" as number {number}"
                raise DestinationError(
                    f"{path} holds a record of {name}{as_number}, which is no file of its set: "
                    "something else has written there. Nothing was touched. Move it out of the way with all files of "
                    "the set, or choose another --dest."
                )
        case None:
            raise DestinationError(
                f"{path} holds a record that this version of the tool does not know. Go on with the version "
                "that began the set, or choose another --dest."
            )
    return entry
