"""The journal's file: it is opened and locked, read once, and appended to durably, in the store of the set.

Payloads come in and go out (see records); this module does not know what they mean. A torn record at the end, which a
crash can leave, is cut off when something is appended; before that, nothing is changed. A file that is no journal is
refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from itertools import count

from parallel_sharder.errors import DestinationError, unwritable
from parallel_sharder.journal import records
from parallel_sharder.journal.records import Contents, Payload, State
from parallel_sharder.setfiles import damaged_copy
from parallel_sharder.stores import store_of
from parallel_sharder.stores.store import Log, Waiting

LOCK_SECONDS = 1.0
"""How long to wait for the lock: forked workers of a killed run hold it until they notice that the run is dead."""

REMEDY = "Mend that, or choose another folder with --dest."


class JournalFile:
    """The file at `path`, which is created if missing, and locked until `close`.

    `contents` is what the file held when it was opened; `unread_bytes` is the size of what follows its last whole
    record. Raises DestinationError if another process holds the file, and if it is no journal. `take_over` and
    `watching` are for file systems without locks (see Store.log). The methods raise OSError.
    """

    def __init__(self, path: str, *, take_over: bool = False, watching: Waiting | None = None) -> None:
        self._path = path
        self._folder = os.path.dirname(path) or "."
        self._log = _open_and_lock(path, take_over, watching)
        try:
            data = self._log.read()
            self.contents: Contents = records.contents_of(data)
            refuse_foreign_contents(path, self.contents)
            self._end = self.contents.end
            self.unread_bytes = max(0, len(data) - max(self._end, len(records.MAGIC)))
        except OSError as error:
            self.close()
            raise unopenable(path, error) from error
        except BaseException:
            self.close()
            raise

    def read(self) -> Contents:
        """Return what the file holds now."""
        return records.contents_of(self._log.read())

    def append(self, payloads: Iterable[Payload]) -> None:
        """Write the payloads after the last whole record, in one write and one sync."""
        data = _packed(payloads, is_new=not self._end)
        self._log.append(data, self._end)
        self._end += len(data)

    def begin_anew(self, payloads: Iterable[Payload]) -> None:
        """Overwrite the file with these payloads."""
        self._end = 0
        self.append(payloads)
        store_of(self._folder).sync_folder(self._folder)

    def replace(self, payloads: Iterable[Payload]) -> None:
        """Replace the file by one that holds these payloads, atomically and durably."""
        data = _packed(payloads, is_new=True)
        self._log.replace(data)
        self._end = len(data)

    def keep_aside(self) -> str:
        """Copy the file as it is, and return the path of the copy; the same bytes are copied only once."""
        data = self._log.read()
        for number in count(1):
            aside = damaged_copy(self._path, number)
            with contextlib.suppress(FileExistsError):
                store_of(aside).put(aside, data)
                return aside
        raise AssertionError  # not reached: count is infinite

    @property
    def has_its_folder(self) -> bool:
        """Whether the folder is the one in which the file was opened."""
        return self._log.has_its_folder

    @property
    def has_its_name(self) -> bool:
        """Whether the file at the path is the one that was opened."""
        return self._log.has_its_name

    def not_synced(self) -> str:
        """Return what the store cannot sync there: "files", "folders", "files and folders", or usually ""."""
        return self._log.not_synced()

    def close(self) -> None:
        """Release the lock."""
        self._log.close()


def _packed(payloads: Iterable[Payload], *, is_new: bool) -> bytes:
    return (records.MAGIC if is_new else b"") + records.pack(payloads)


def _open_and_lock(path: str, take_over: bool, watching: Waiting | None) -> Log:
    def refuse_held(seconds: float) -> None:
        if seconds > LOCK_SECONDS:
            raise DestinationError(
                f"another run is writing there: it holds {path}. Wait for its end, or choose another --dest."
            )

    try:
        return store_of(path).log(path, refuse_held, take_over=take_over, watching=watching)
    except OSError as error:
        if error.filename is not None:
            raise unopenable(path, error) from error
        raise DestinationError(
            f"{path} cannot be locked: {error.strerror or error}. Without a lock two runs could mix their shards. "
            f"{REMEDY}"
        ) from error


def unopenable(path: str, error: OSError) -> DestinationError:
    """Return the error that a journal cannot be opened at `path`, with the remedy."""
    if error.errno == errno.ELOOP and os.path.islink(path):
        return DestinationError(
            f"{path} is a link, and nothing is written through one. Move it out of the way, or choose another --dest."
        )
    return unwritable(path, error, REMEDY)


def refuse_foreign_journal(path: str) -> None:
    """Raise DestinationError if `path` is a link, or a file that is no journal.

    Other reasons why the journal cannot be opened are left to JournalFile.
    """
    if os.path.islink(path):
        raise unopenable(path, OSError(errno.ELOOP, ""))
    try:
        if not os.path.isdir(path):
            refuse_foreign_contents(path, records.contents_of(store_of(path).read(path)))
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise unopenable(path, error) from error


def refuse_foreign_contents(path: str, contents: Contents) -> None:
    """Raise DestinationError if the file at `path`, which has these contents, is no journal."""
    if contents.state is State.FOREIGN:
        raise DestinationError(
            f"{path} is there, and it is no journal of this tool, or nothing in it is whole. Nothing is overwritten: "
            "move it out of the way, or choose another --dest."
        )
