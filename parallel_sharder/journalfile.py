"""The journal's file: opened and locked, read once, appended to durably, and known to be still where it was.

What comes in and goes out are payloads (see records); what they mean, this module does not know. A torn tail, which a
crash can leave, is cut off when something is appended. Nothing is changed before that, and nothing that is no journal
is opened. The system releases the lock when the process ends, however.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterable
from itertools import count

from parallel_sharder import records
from parallel_sharder.errors import DestinationError, unwritable
from parallel_sharder.records import Contents, Payload, State
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import durable
from parallel_sharder.stores.lock import open_locked
from parallel_sharder.stores.regular import open_regular, read_regular

LOCK_SECONDS = 1.0
"""How long to wait for the lock: forked workers of a killed run hold it for the moment that they take to notice."""

REMEDY = "Mend that, or choose another folder with --dest."


class AppendLog:
    """The file at `path`, which is made if there is none, and locked until `close`; `contents` is what it held then.

    Raises DestinationError if another process holds it, and if it is something else than a journal. The methods raise
    OSError.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder = os.path.dirname(path) or "."
        self._descriptor = _open_and_lock(path)
        try:
            data = self._read()
            self.contents: Contents = records.contents_of(data)
            refuse_foreign_contents(path, self.contents)
            self._end = self.contents.end
            self.unread_bytes = max(0, len(data) - max(self._end, len(records.MAGIC)))
            self._place = _place(self._folder), _place(path)
        except OSError as error:
            self.close()
            raise unopenable(path, error) from error
        except BaseException:
            self.close()
            raise

    def append(self, payloads: Iterable[Payload]) -> None:
        """Write the payloads behind the last whole record, in one write and one sync."""
        packed = records.pack(payloads)
        if not self._end:
            packed = records.MAGIC + packed
        os.ftruncate(self._descriptor, self._end)  # what an interrupt or a full disk has torn is removed
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        durable.write_all(self._descriptor, packed)
        durable.sync(self._descriptor, self._path, data_only=True)
        self._end += len(packed)

    def begin_anew(self, payloads: Iterable[Payload]) -> None:
        """Have the file hold these payloads and nothing else."""
        self._end = 0
        self.append(payloads)
        durable.sync_folder(self._folder)

    def replace(self, payloads: Iterable[Payload]) -> None:
        """Put another file, which holds these payloads, in the place of this one, at once and for good."""
        replaced, (self._descriptor, temporary) = self._descriptor, durable.create(self._path)
        self._end = 0
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or it has none, as create may leave it
            self.append(payloads)
            os.rename(temporary, self._path)
            durable.sync_folder(self._folder)
        except BaseException:
            durable.remove(temporary)
            raise
        finally:
            os.close(replaced)
        self._place = self._place[0], _place(self._path)

    def keep_aside(self) -> str:
        """Copy the file as it is, and return the path of the copy; the same bytes are kept once."""
        data = self._read()
        files = SetFiles.at_journal(self._path)
        for number in count(1):
            aside = files.damaged_journal(number)
            with contextlib.suppress(FileExistsError):
                durable.write_file(aside, data)
                return aside
        raise AssertionError  # count never ends

    @property
    def has_its_folder(self) -> bool:
        """Whether the folder is the one in which the file was opened."""
        return _place(self._folder) == self._place[0]

    @property
    def has_its_name(self) -> bool:
        """Whether the file at the path is the one that was opened."""
        return _place(self._path) == self._place[1]

    def not_synced(self) -> str:
        """What the file system refuses to sync there: "files", "folders", "files and folders", or "", as is usual."""
        are_synced = {
            "files": durable.sync(self._descriptor, self._path),
            "folders": durable.sync_folder(self._folder),
        }
        return " and ".join(what for what, is_synced in are_synced.items() if not is_synced)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)

    def _read(self) -> bytes:
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)


def _open_and_lock(path: str) -> int:
    def refuse_held(_: int, seconds: float) -> None:
        if seconds > LOCK_SECONDS:
            raise DestinationError(
                f"another run is writing there: it holds {path}. Wait for its end, or choose another --dest."
            )

    try:
        return open_locked(path, refuse_held)
    except OSError as error:
        if error.filename is not None:
            raise unopenable(path, error) from error
        raise DestinationError(
            f"{path} cannot be locked: {error.strerror or error}. Without a lock two runs could mix their shards; "
            "choose a --dest on a file system that has flock."
        ) from error


def _place(path: str) -> tuple[int, int] | None:
    """What tells a file or folder from all others; None if there is none."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


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


def unopenable(path: str, error: OSError) -> DestinationError:
    """The error that a journal cannot be opened at `path`, with the remedy."""
    if error.errno == errno.ELOOP and os.path.islink(path):
        return DestinationError(
            f"{path} is a link, and nothing is written through one. Move it out of the way, or choose another --dest."
        )
    return unwritable(path, error, REMEDY)


def refuse_foreign_journal(path: str) -> None:
    """Raise DestinationError if what is at `path` is something else than a journal. Why it cannot be opened is not said
    here.
    """
    if os.path.islink(path):
        raise unopenable(path, OSError(errno.ELOOP, ""))
    try:
        if not os.path.isdir(path):
            refuse_foreign_contents(path, records.contents_of(read_regular(path)))
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise unopenable(path, error) from error


def refuse_foreign_contents(path: str, contents: Contents) -> None:
    """Raise DestinationError if the file at `path`, which holds that, is no journal."""
    if contents.state is State.FOREIGN:
        raise DestinationError(
            f"{path} is there, and it is no journal of this tool, or nothing in it is whole. Nothing is overwritten: "
            "move it out of the way, or choose another --dest."
        )
