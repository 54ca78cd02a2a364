"""The store's interface: where finished files are and go. Each kind of storage is one more file that answers to it.

A path says which store has it (see `stores.store_of`). Nothing is visible under a final name unless it is whole and
safe: `create`, `build` and `put` give a file its name at the end, `log` appends durably. All methods raise OSError for
what the storage refuses, and FileExistsError for a name that is taken by what the caller does not call its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from io import FileIO
from typing import Protocol

Mark = tuple[int, ...]
"""What changes when another file gets a name, or the file gets another content."""

IsOwn = Callable[[str], bool]
"""Says of a path whether what is there is the caller's own, and so can be replaced."""

Waiting = Callable[[str, float], None]
"""Told who holds the lock that is waited for, and for how many seconds already."""


class Writer(Protocol):
    """A new file, written from front to back; `finish` or `abort` ends it."""

    size: int
    """How many bytes it has been given."""

    @property
    def xxh3_128(self) -> str:
        """The digest of the bytes so far, in hex."""

    @property
    def md5(self) -> str:
        """The MD5 of the bytes so far, in hex; "" if it was not asked for."""

    def reserve(self, size: int) -> memoryview | None:
        """Returns room for the next `size` bytes, to be filled and then advanced over; None if that is too much."""

    def advance(self, size: int) -> None:
        """Take the first `size` bytes of what was reserved as the next of the file."""

    def write(self, data: bytes | memoryview) -> None:
        """Append any bytes, copied."""

    def finish(self) -> None:
        """Make the file safe, and give it its name. After an OSError the file is gone."""

    def abort(self) -> None:
        """Remove the file."""

    def abandon(self) -> None:
        """Remove the file's name alone, where another thread may still be writing to it."""


class Building(Protocol):
    """A new file that another library builds: in a local one at `local_path`, which gets its name at the end."""

    local_path: str

    def finish(self, is_own: IsOwn) -> None:
        """Make the file safe, and give it its name."""

    def abort(self) -> None:
        """Remove the local file."""


class Log(Protocol):
    """A file that is appended to durably, and that no other process has open as a log until it is closed."""

    def read(self) -> bytes:
        """Returns all that it holds."""

    def append(self, data: bytes, position: int) -> None:
        """Cut the file off at this position, and write the data behind it, in one write and one sync."""

    def replace(self, data: bytes) -> None:
        """Put another file, which holds this data, in the place of this one, at once and for good."""

    @property
    def has_its_folder(self) -> bool:
        """Whether the folder is the one in which the file was opened."""

    @property
    def has_its_name(self) -> bool:
        """Whether the file at the path is the one that was opened."""

    def not_synced(self) -> str:
        """Returns what the storage refuses to sync: "files", "folders", "files and folders", or "", as is usual."""

    def close(self) -> None:
        """Release the lock."""


class Store(Protocol):
    """One kind of storage."""

    def names(self, folder: str) -> list[str]:
        """Returns the names of all that is in a folder."""

    def exists(self, path: str) -> bool:
        """Whether anything has that name."""

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder at `path`."""

    def is_file(self, path: str) -> bool:
        """Whether there is a file at `path`, which can be read like any other."""

    def kind(self, path: str) -> str:
        """Returns what is at `path` if it is neither a file nor a folder, for people; "" else."""

    def open(self, path: str) -> FileIO:
        """Returns the file at `path`, open for reading and unbuffered; what is no regular file is refused."""

    def read(self, path: str) -> bytes:
        """Returns all bytes of the file at `path`."""

    def mark(self, path: str) -> Mark | None:
        """Returns the mark of the file at `path`; None if there is none."""

    def size(self, path: str) -> int:
        """Returns the size of the file at `path`, in bytes."""

    def create(self, path: str, *, md5: bool = False, mends: bool = False) -> Writer:
        """Returns a new file that will be `path`; with `mends` a damaged copy of it, which has the name, is replaced.

        `md5` asks for the file's MD5. A file of the same bytes that has the name is kept, and is the new file.
        """

    def build(self, path: str) -> Building:
        """Returns a new file that will be `path`, to be built by another library."""

    def put(self, path: str, data: bytes | Iterable[bytes], is_own: IsOwn | None = None) -> None:
        """Make `path` hold exactly `data`, at once and for good; what has the name is replaced if it `is_own`."""

    def remove(self, path: str) -> None:
        """Remove the file at `path`, if there is one."""

    def remove_marked(self, path: str, mark: Mark | None) -> None:
        """Remove the file at `path` if it still has this mark."""

    def remove_partials(self, folder: str, names: str) -> None:
        """Remove the unfinished files that dead writers have left, of files in `folder` whose names match `names`."""

    def make_folder(self, folder: str) -> list[str]:
        """Make a folder and those above it that are missing; returns the paths of those that were made."""

    def remove_folders(self, made: Sequence[str]) -> None:
        """Remove folders that `make_folder` has made, if they are empty."""

    def sync_folder(self, folder: str) -> None:
        """Make safe which names are in a folder, and which are not."""

    def refuse_unwritable(self, folder: str) -> None:
        """Raise OSError unless files can be made in the folder, or in the nearest above it that is there.

        Nothing is made that stays.
        """

    def refuse_unappendable(self, path: str) -> None:
        """Raise OSError unless the file at `path` can be appended to: FileNotFoundError if there is none."""

    def log(self, path: str, held: Callable[[float], None]) -> Log:
        """Open the log at `path`, which is made if there is none.

        While another process has it open, `held` is told for how many seconds, and what it raises ends the waiting.
        Raises OSError: with a filename if it cannot be opened, without one if it cannot be locked.
        """

    def is_held(self, path: str) -> bool:
        """Whether a process has the log at `path` open."""

    def lock(self, folder: str, waiting: Waiting) -> AbstractContextManager[None]:
        """Hold the folder's lock inside the block; wait for it. Raises DestinationError if there can be no lock."""

    def free_bytes(self, folder: str) -> int:
        """Returns how many bytes can be written in `folder`, or where it will be made."""

    def keeps_names(self, folder: str) -> bool:
        """Whether a file can get a name without replacing what somebody else gives it in the same moment."""
