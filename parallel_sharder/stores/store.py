"""Store: the interface of every kind of storage for finished files. Each kind is one more module that answers to it.

A path selects its store (see `stores.store_of`). Nothing is visible under a final name unless it is whole and safe:
`create`, `build` and `put` give a file its name at the end, and `log` appends durably. All methods raise OSError if the
storage refuses, and FileExistsError if a file that the caller does not own has the name.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from io import FileIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from parallel_sharder.stores.lease_record import LeaseState

Identity = tuple[int, ...]
"""The identity of the file at a path; it changes when another file gets the name, or the file gets another content."""

IsOwn = Callable[[str], bool]
"""Returns whether the file at a path is the caller's own, and so can be replaced."""

Waiting = Callable[[str, float], None]
"""Called with the process that holds the lock, in words, and with the seconds waited so far."""


class Writer(Protocol):
    """A new file, written from front to back; `finish` or `abort` ends it."""

    size: int
    """How many bytes were written so far."""

    @property
    def xxh3_128(self) -> str:
        """The digest of the bytes so far, in hex."""

    @property
    def md5(self) -> str:
        """The MD5 of the bytes so far, in hex; "" if it was not asked for."""

    def reserve(self, size: int) -> memoryview | None:
        """Return room for the next `size` bytes, to be filled and then `advance`d over; None if it is too much."""

    def advance(self, size: int) -> None:
        """Append the first `size` of the reserved bytes to the file."""

    def write(self, data: bytes | memoryview) -> None:
        """Append a copy of the data, of any length."""

    def finish(self) -> None:
        """Make the file safe, and give it its name.

        After an error the new file is removed, unless only the folder's sync failed.
        """

    def abort(self) -> None:
        """Remove the file."""

    def abandon(self) -> None:
        """Remove the file's name and leave it open, because another thread may still be writing to it."""


class Building(Protocol):
    """A new file that another library builds in a local file at `local_path`; it gets its name at the end."""

    local_path: str

    def finish(self, is_own: IsOwn) -> None:
        """Make the file safe, and give it its name."""

    def abort(self) -> None:
        """Remove the local file."""


class Log(Protocol):
    """A file that is appended to durably, and that no other process can open as a log until it is closed."""

    def read(self) -> bytes:
        """Return all bytes of the log."""

    def append(self, data: bytes, position: int) -> None:
        """Cut the file off at this position, and append the data, in one write and one sync."""

    def replace(self, data: bytes) -> None:
        """Replace the file by one that holds this data, atomically and durably."""

    @property
    def has_its_folder(self) -> bool:
        """Whether the folder is the one in which the file was opened."""

    @property
    def has_its_name(self) -> bool:
        """Whether the file at the path is the one that was opened."""

    def not_synced(self) -> str:
        """Return what the storage cannot sync: "files", "folders", "files and folders", or usually ""."""

    def close(self) -> None:
        """Release the lock."""


class Lease(Protocol):
    """A lock that holds across hosts: a file that names its owner, who refreshes it while it is held."""

    @property
    def is_ours(self) -> bool:
        """Whether the file is still this lease; it is read now. Raises OSError if it cannot be read."""

    def refuse_lost(self) -> None:
        """Raise DestinationGoneError if another process has taken the lease over, or the file was removed."""

    def tell(self, told: Mapping[str, Any], *, flush: bool = False) -> None:
        """Have the file say `told`, a small dict for JSON, from the next refresh on; with `flush`, from now on."""

    def release(self) -> None:
        """Remove the file if it is still this lease. Errors are ignored."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    """One kind of storage."""

    def names(self, folder: str) -> list[str]:
        """Return the names of all entries of a folder."""

    def exists(self, path: str) -> bool:
        """Return whether anything exists at `path`."""

    def is_folder(self, path: str) -> bool:
        """Return whether there is a folder at `path`."""

    def is_file(self, path: str) -> bool:
        """Return whether there is a regular file at `path`."""

    def kind(self, path: str) -> str:
        """Return the kind of what is at `path` if it is neither a file nor a folder, for people; else ""."""

    def open(self, path: str) -> FileIO:
        """Return the regular file at `path`, open for reading and unbuffered. Raises OSError for other kinds."""

    def read(self, path: str) -> bytes:
        """Return all bytes of the file at `path`."""

    def identity(self, path: str) -> Identity | None:
        """Return the identity of the file at `path`; None if there is none."""

    def size(self, path: str) -> int:
        """Return the size of the file at `path`, in bytes."""

    def create(self, path: str, *, md5: bool = False, replaces_damaged: bool = False) -> Writer:
        """Return a new file that will be `path`; `md5` asks for its MD5.

        If a file of the same bytes has the name, that file is kept instead of the new one. With `replaces_damaged`, a
        file that has the name is replaced if it is a damaged copy of the new one.
        """

    def build(self, path: str) -> Building:
        """Return a new file that will be `path`, to be built by another library."""

    def put(self, path: str, data: bytes | Iterable[bytes], is_own: IsOwn | None = None) -> None:
        """Make `path` hold exactly `data`, atomically and durably; a file that has the name is replaced if `is_own`."""

    def remove(self, path: str) -> None:
        """Remove the file at `path`, if there is one."""

    def remove_identified(self, path: str, identity: Identity | None) -> None:
        """Remove the file at `path` if it still has this identity."""

    def remove_partials(self, folder: str, names: str, among: Container[str] | None = None) -> None:
        """Remove unfinished files of dead writers in `folder` whose final names match `names`, a regular expression.

        With `among`, only files with these final names are removed.
        """

    def need_folder(self, folder: str) -> None:
        """Make a folder and those above it that are missing, without making sure that a power cut spares them."""

    def make_folder(self, folder: str) -> list[str]:
        """Make a folder and the missing folders above it, and return the paths of those that were made."""

    def remove_folders(self, made: Sequence[str]) -> None:
        """Remove the folders that `make_folder` has made, if they are empty."""

    def sync_folder(self, folder: str) -> None:
        """Make the additions and removals of names in a folder durable."""

    def refuse_unwritable(self, folder: str) -> None:
        """Raise OSError unless files can be created in the folder, or in the nearest existing folder above it.

        Nothing stays behind.
        """

    def refuse_unappendable(self, path: str) -> None:
        """Raise OSError unless the file at `path` can be appended to; FileNotFoundError if there is none."""

    def log(
        self,
        path: str,
        held: Callable[[float], None],
        *,
        take_over: bool = False,
        watching: Waiting | None = None,
    ) -> Log:
        """Open the log at `path`, which is created if missing, and return it.

        While another process has it open, `held` is called with the seconds waited so far; an exception that it raises
        ends the waiting. Where there are no locks, it is locked by a lease, without `held`; `take_over` and `watching`
        are those of `lease`. Raises OSError: with a filename if the log cannot be opened, without one if it cannot be
        locked; and as `lease` does.
        """

    def is_held(self, path: str, watching: Waiting | None = None) -> bool:
        """Return whether a process has the log at `path` open.

        Where there are no locks, and its last owner was on another host, this watches for up to a minute whether that
        lives; `watching` is called meanwhile.
        """

    def seems_held(self, path: str) -> bool:
        """Return what `is_held` does, at once and by the clocks of hosts: it is for people, and decides nothing."""

    def lock(
        self, folder: str, waiting: Waiting, *, take_over: bool = False, across_hosts: bool = False
    ) -> AbstractContextManager[None]:
        """Hold the folder's lock inside the block; wait for it. Raises DestinationError if it cannot be locked.

        With `across_hosts`, and where there are no locks, it is a lease too, for which `take_over` is that of `lease`.
        """

    def lease(
        self,
        path: str,
        *,
        what: str,
        take_over: bool = False,
        waiting: Waiting | None = None,
        watching: Waiting | None = None,
    ) -> Lease:
        """Hold the lease at `path` for `what`, in words such as "the folder /shards", and return it.

        While a living process holds it, `waiting` is called several times a second; without `waiting`, HeldError is
        raised as soon as it is certain that the owner lives. Until then, `watching` is called. A lease whose owner is
        dead, which only its host can prove, is taken over. One that stays unchanged for a minute is taken over with
        `take_over`; without it, StaleError is raised. Raises DestinationError if the file is no lease or cannot be
        written.
        """

    def live_owners(self, paths: Iterable[str], watching: Waiting | None = None) -> dict[str, LeaseState]:
        """Return, by path, the leases at these paths whose owners live; for others this watches them for a minute."""

    def lease_at(self, path: str) -> LeaseState | None:
        """Return what the lease at `path` says; None if there is none. Raises DestinationError if it is no lease."""

    def free_bytes(self, folder: str) -> int:
        """Return how many bytes can be written in `folder`, or in the nearest existing folder above it."""

    def is_same_disk(self, folder: str, other: str) -> bool:
        """Return whether two folders, or the nearest existing folders above them, share their free space."""

    def keeps_names(self, path: str) -> bool:
        """Return whether a file can get a name without replacing a file that gets the name at the same moment."""
