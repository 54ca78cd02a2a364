"""Reading ahead: while reads wait, the system is told which files are read next, so that it begins to read them.

A worker that waits for one file after the other leaves the storage idle in between. So the files of further samples are
announced: opened, named to the system, and closed. If already the opens are late, because inodes come from a disk or
from another host, several threads open the files, and their opens wait at the same time; the files stay open until they
are read (see openings). Otherwise the worker announces by itself, because threads take more time then. For files in
memory, announcing would only take a tenth more CPU time.

Which of these is done is decided for STRETCH samples, by the time that the announcement of the first of them takes.
"""

from __future__ import annotations

import contextlib
import resource
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from time import perf_counter

from parallel_sharder.stores.blob import Blob
from parallel_sharder.stores.openings import Key, Opening, drop, registered

THREADS = 8
"""How many threads of a chunk open files. With 4, opens that take 1 ms are waited for; with 16 nothing is faster."""

SAMPLES_AHEAD = 32
"""How far announcements are ahead, when the worker looks. With 64 or 128 nothing is faster, and more memory is used."""

MOST_OPEN = 128
"""How many files a chunk keeps open ahead, and at most a quarter of those that the process may have, which on macOS are
256. Further ones are announced and closed."""

CHECK_EVERY = 16
"""How many samples there are between two looks."""

STRETCH = 256
"""How many samples a decision is for, a multiple of CHECK_EVERY. The first of them is waited for: with fewer, more are.
With more, a change of the storage is noticed later."""

LATE_SECONDS = 100e-6
"""An announcement that takes longer has waited. It takes 5 microseconds if the file is in memory, 20 if only its inode
is, and at least 200 if neither is."""


class ReadAhead:
    """Announces the files of `samples`, from the first to the last, shortly before they are read, if reads wait.

    It is a context, and its threads end with it. What they have not announced by then is not announced any more.
    """

    def __init__(self, samples: Iterable[Sequence[Blob]]) -> None:
        self._upcoming = enumerate(samples)
        self._end = 0  # of the stretch: the first sample after it
        self._last = 0  # the last sample that was handed on
        self._hand_on: Callable[[int, Sequence[Blob]], None] | None = None
        self._handed: SimpleQueue[tuple[Blob, Opening | None] | None] = SimpleQueue()
        self._openings: deque[tuple[int, Key, Opening]] = deque()
        self._threads: list[threading.Thread] = []
        self._ended = False
        soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most_open = min(MOST_OPEN, soft_limit // 4) if soft_limit > 0 else MOST_OPEN

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        for _thread in self._threads:
            self._handed.put(None)
        for thread in self._threads:
            thread.join()
        for entry in self._openings:
            entry[-1].abandon()
        self._drop_before(None)

    def look(self, position: int, blobs: Sequence[Blob]) -> None:
        """Announce samples after `position`, if reads wait. The sample there has these `blobs` and is read next.

        The caller calls it at each position that is a multiple of CHECK_EVERY.
        """
        if position >= self._end:
            self._end = position + STRETCH
            self._hand_on = self._decide(blobs)
        self._drop_before(position)
        # The first sample of the next stretch is not announced ahead, because it decides.
        last = min(position + SAMPLES_AHEAD, self._end - 1)
        if self._hand_on is None or last <= self._last:
            return
        for number, upcoming in self._upcoming:
            if number > position:
                self._hand_on(number, upcoming)
            if number == last:
                break
        self._last = last

    def _decide(self, blobs: Sequence[Blob]) -> Callable[[int, Sequence[Blob]], None] | None:
        """Announce the first of these, and return what announces others; None if nothing should."""
        blocks, start = blocks_read(), perf_counter()
        _announce(0, blobs[:1])
        if perf_counter() - start > LATE_SECONDS:
            return self._put if self._threads or self._start_threads() else _announce
        return _announce if blocks_read() > blocks else None

    def _put(self, number: int, blobs: Sequence[Blob]) -> None:
        """Have a thread open these files, of the sample at `number`, for the worker."""
        for blob in blobs:
            if len(self._openings) >= self._most_open:
                self._handed.put((blob, None))
                continue
            key, opening = blob.opens, Opening()
            self._openings.append((number, key, opening))  # first, so that the end knows of all that is registered
            if registered.setdefault(key, opening) is opening:  # rows of a table may share a file
                self._handed.put((blob, opening))

    def _drop_before(self, position: int | None) -> None:
        """Close files of samples before this one that were not read, because the sample was left out; None: all."""
        while self._openings and (position is None or self._openings[0][0] < position):
            _, key, opening = self._openings.popleft()
            drop(key, opening)

    def _start_threads(self) -> bool:
        """Start the threads, and return whether there are any: the limit on threads may be reached."""
        for _ in range(THREADS):
            thread = threading.Thread(target=self._open_handed, name="read ahead", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                break
            self._threads.append(thread)
        return bool(self._threads)

    def _open_handed(self) -> None:
        while (handed := self._handed.get()) is not None:
            blob, opening = handed
            if not self._ended:
                with contextlib.suppress(Exception):  # reading raises it again
                    blob.announce(opening)
            if opening is not None:
                opening.abandon()


def _announce(_: int, blobs: Sequence[Blob]) -> None:
    """Announce each of these files to the system."""
    for blob in blobs:
        blob.announce()


def blocks_read() -> int:
    """Return how many blocks the system has read from disks for this thread so far, announced files included.

    It is 0 where the system does not count by thread (macOS).
    """
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock if hasattr(resource, "RUSAGE_THREAD") else 0
