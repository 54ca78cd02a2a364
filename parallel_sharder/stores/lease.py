"""Leases: locks that hold across hosts, and on file systems without flock. A lease is a file that exists while held.

The file is made exclusively, and names its owner. The owner changes a counter in it every ten seconds. Who finds the
file watches it: a counter that changes shows that the owner lives, and one that stays for a minute of the observer's
own monotonic clock makes the lease stale. No two clocks are compared. An owner whose death on this host is proven (see
owner) loses its lease at once.

The owner rewrites its record in place, through the descriptor with which it has made the file, in one write and one
sync. So it can never overwrite another's lease: what it writes after a takeover goes to the file that was moved away. A
rename over the path would not ensure that. On NFS the sync sends the record to the server, and an observer opens the
file anew, which makes its client ask the server. A record has a digest, so one that is read half written is read again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self

from parallel_sharder.errors import DestinationError, DestinationGoneError, HeldError, StaleError, unwritable
from parallel_sharder.stores import durable
from parallel_sharder.stores.lease_file import TICK_SECONDS, TRIES, look, make, remove
from parallel_sharder.stores.lease_record import LeaseState, Told, packed
from parallel_sharder.stores.owner import Owner
from parallel_sharder.stores.store import Waiting

REFRESH_SECONDS = 10.0
"""How often the owner changes the record. More often costs a busy file server; more rarely makes watching longer."""

STALE_SECONDS = 60.0
"""How long a record has to stay unchanged until its owner counts as dead. A server that is restarted, or a host that
swaps, can delay a refresh by half of it; a larger value keeps the work of a dead node waiting."""

_SETTLE_SECONDS = 0.2
"""How long a lease that was taken over has to stay before it counts: another taker that mistook it for the old one puts
it back at once, or another process is faster, and that one's lease counts."""

_REMEDY = "Mend that, or choose another folder with --dest."


class Pace(NamedTuple):
    """How often a lease is refreshed, and how long it has to stay unchanged to be stale."""

    refresh_seconds: float = REFRESH_SECONDS
    stale_seconds: float = STALE_SECONDS


_USUAL = Pace()


def lease_at(path: str) -> LeaseState | None:
    """Return what the lease at `path` says; None if there is none.

    Raises DestinationError if the file is no lease, or cannot be read.
    """
    try:
        return look(path)
    except OSError as error:
        raise DestinationError(f"{path} cannot be read: {error.strerror or error}. {_REMEDY}") from error


def lease(
    path: str,
    *,
    what: str,
    take_over: bool = False,
    waiting: Waiting | None = None,
    watching: Waiting | None = None,
    pace: Pace = _USUAL,
) -> Lease:
    """Hold the lease at `path` for `what`, in words such as "the folder /shards", and return it.

    While a living process holds it, `waiting` is called several times a second; without `waiting`, HeldError is raised
    as soon as it is certain that the owner lives. Until then, `watching` is called. A lease whose owner is dead, which
    only this host can prove, is taken over. A stale one is taken over with `take_over`; without it, StaleError is
    raised. Raises DestinationError if the file is no lease or cannot be written.
    """
    watch = _Watch(path, what, take_over, waiting, watching, pace.stale_seconds)
    has_taken = False
    while True:
        found = lease_at(path)
        if found is None:
            made = _made(path, pace)
            if made is not None and (not has_taken or made.has_settled()):
                return made
        elif watch.may_take(found):
            remove(path, found.nonce, found.beat)
            has_taken = True
            continue
        time.sleep(TICK_SECONDS)


def live_owners(paths: Iterable[str], watching: Waiting | None = None, pace: Pace = _USUAL) -> dict[str, LeaseState]:
    """Return, by path, the leases at these paths whose owners live; all are watched at the same time.

    An owner lives if this host can prove it, or if its lease changes within the time after which it would be stale.
    `watching` is called with each owner that is watched. Raises DestinationError for a file that is no lease.
    """
    begin = time.monotonic()
    first = {path: found for path in paths if (found := lease_at(path)) is not None}
    alive = {path: found for path, found in first.items() if found.owner.is_dead is False}
    unknown = {path: found for path, found in first.items() if found.owner.is_dead is None}
    while unknown and time.monotonic() - begin < pace.stale_seconds:
        for path, before in list(unknown.items()):
            now = lease_at(path)
            if now is None or now.owner.is_dead:
                del unknown[path]
            elif (now.nonce, now.beat) != (before.nonce, before.beat):
                alive[path] = unknown.pop(path)
            elif watching is not None:
                watching(now.owner.words, time.monotonic() - begin)
        time.sleep(TICK_SECONDS if unknown else 0)
    return {path: first[path] for path in first if path in alive}


class Lease:
    """A lease that is held, as `store.Lease` describes it. It is released at the end of a `with` block.

    `error` is the error of the last refresh, None if that succeeded. `pace` is as for `lease`.
    """

    def __init__(self, path: str, descriptor: int, state: LeaseState, pace: Pace) -> None:
        self.path = path
        self.error: OSError | None = None
        self._descriptor = descriptor
        self._state = state
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._refresher = threading.Thread(target=self._refresh, args=(pace.refresh_seconds,), daemon=True)
        self._refresher.start()

    @property
    def is_ours(self) -> bool:
        """Whether the file at the path is still this lease; it is read now. Raises OSError if it cannot be read."""
        found = self._found()
        return found is not None and found.nonce == self._state.nonce

    def refuse_lost(self) -> None:
        """Raise DestinationGoneError if another process has taken the lease over, or the file was removed."""
        try:
            found = self._found()
        except OSError as error:
            raise DestinationError(f"{self.path} cannot be read: {error.strerror or error}. {_REMEDY}") from error
        if found is None:
            raise DestinationGoneError(
                f"{self.path}, the lock of this process, was removed or replaced by something else. Another process "
                "can have begun the same work, so this one stops. Look whether one is at work, and else type the same "
                "command again."
            )
        if found.nonce != self._state.nonce:
            raise DestinationGoneError(
                f"{self.path}, the lock of this process, is held by {found.owner.words}, which took it over. So this "
                "process stops. What is recorded stays, and that process goes on."
            )

    def tell(self, told: Told, *, flush: bool = False) -> None:
        """Have the file say `told`, a small dict for JSON, from the next refresh on; with `flush`, from now on."""
        packed(self._state.but(told=told))
        with self._writing:
            self._state = self._state.but(told=told)
        if flush:
            self._beat()

    def has_settled(self) -> bool:
        """Return whether the lease is still there after a moment; if it is not, it is released."""
        try:
            time.sleep(_SETTLE_SECONDS)
            has_settled = self.is_ours
        except BaseException:
            self.release()
            raise
        if not has_settled:
            self.release()
        return has_settled

    def release(self) -> None:
        """End the refreshing, and remove the file if it is still this lease. A forked copy of the process does nothing.

        Errors are ignored: what stays is the lease of a process that is dead, or does not refresh it.
        """
        if self._ended.is_set() or self._state.owner.pid != os.getpid():
            return
        self._ended.set()
        with self._writing:  # a refresh that has begun comes to its end
            with contextlib.suppress(OSError, DestinationError):
                remove(self.path, self._state.nonce)
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _found(self) -> LeaseState | None:
        """Return what is at the path; None if it is no lease, or nothing is there for longer than a moment."""
        with contextlib.suppress(DestinationError):
            for _ in range(TRIES):
                if (found := look(self.path)) is not None:
                    return found
                time.sleep(TICK_SECONDS)  # a taker that was mistaken has it, and puts it back
        return None

    def _refresh(self, seconds: float) -> None:
        while not self._ended.wait(seconds) and self._beat():
            pass

    def _beat(self) -> bool:
        """Write the record with the next count, and return whether the lease is still ours, as far as is known."""
        with self._writing:
            if self._ended.is_set():
                return False
            try:
                if not self.is_ours:
                    return False
                self._state = self._state.but(beat=self._state.beat + 1)
                os.pwrite(self._descriptor, packed(self._state), 0)
                durable.sync(self._descriptor, self.path)
                self.error = None
            except OSError as error:  # the disk can recover, and if it does not, other writes stop the run
                self.error = error
        return True


class _Watch:
    """Watches the lease at a path, and decides when it may be taken; see `lease` for the parameters."""

    def __init__(
        self,
        path: str,
        what: str,
        take_over: bool,
        waiting: Waiting | None,
        watching: Waiting | None,
        stale_seconds: float,
    ) -> None:
        self._path, self._what = path, what
        self._take_over = take_over
        self._waits, self._tell = waiting is not None, waiting or watching
        self._stale_seconds = stale_seconds
        self._seen: tuple[str, int] | None = None
        self._begin = self._since = time.monotonic()

    def may_take(self, found: LeaseState) -> bool:
        """Return whether this lease may be taken over now. Raises HeldError and StaleError as `lease` does."""
        now, seen = time.monotonic(), (found.nonce, found.beat)
        has_changed = self._seen not in (None, seen)
        if self._seen != seen:
            self._seen, self._since = seen, now
        is_dead = found.owner.is_dead
        if is_dead:
            return True
        if not self._waits and (has_changed or is_dead is False):
            raise HeldError(
                f"{self._what} is in use: {found.owner.words} is at work there, and holds {self._path}. Wait for its "
                "end, or choose another folder."
            )
        if is_dead is None and now - self._since >= self._stale_seconds:
            return self._take_over or self._refuse_stale(found, now - self._since)
        if self._tell is not None:
            self._tell(found.owner.words, now - self._begin)
        return False

    def _refuse_stale(self, found: LeaseState, seconds: float) -> bool:
        raise StaleError(
            f"{self._what} is locked by {found.owner.words}, which shows no sign of life: {self._path} has not changed "
            f"for {seconds:.0f} s, as long as this process has watched it. If that process is dead, --take-over takes "
            "its place; removing the file does the same."
        )


def _made(path: str, pace: Pace) -> Lease | None:
    """Make the file at `path`, and return its lease; None if another process was faster."""
    state = LeaseState(Owner.of_this_process(), time.time(), 0, {}, secrets.token_hex(8), 0.0)
    try:
        descriptor = make(path, packed(state))
    except OSError as error:
        raise unwritable(path, error, _REMEDY) from error
    return None if descriptor is None else Lease(path, descriptor, state, pace)
