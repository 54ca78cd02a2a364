"""Events: what happened in a run, a line of JSON each, in a hidden file beside the shards, so that it is known later.

    {"event": "run", "started": ...}     a run begins to write: its version, host, workers, engine and options
    {"event": "found", ...}              what the scan has found, and what it left out
    {"event": "planned", ...}            the shards of the plan, and how many are kept and to be written
    {"event": "phase", ...}              a phase that was over before, with its seconds
    {"event": "dealt", "shard": n}       a shard is handed to the engine, which begins it when a worker is free
    {"event": "shard", "shard": n, ...}  a shard is finished: on which host, when it began and was ready, what is in it
    {"event": "died", "shard": n, ...}   a worker has died of a shard, which begins again, and why
    {"event": "load", ...}               how far the run is, and what this host does, every LOAD_SECONDS and at the end
    {"event": "end", ...}                the run is over, and how

`time` and `started` are in seconds since 1970. Each run adds its lines behind those of earlier ones; each node has its
own file. The coordinator writes them, whatever monitor it has. That they cannot be written stops no run.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

import psutil

from parallel_sharder import __version__
from parallel_sharder.engines.engine import Where
from parallel_sharder.model import Chunk, Listing, Plan, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.run import Run
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.stores.disks import disk_of
from parallel_sharder.stores.lines import LineAppender

FORMAT = 1
_BEGIN = b'{"event":'
_NOTED = -1
"""How many shards are left once the load at the end of the last one is noted."""

LOAD_SECONDS = 5.0
"""How often the load is noted: it takes 0.3 ms. A run of ten hours has 7,200 lines of 300 bytes."""


class Events:
    """The events of a run, as a context manager. It is a deal's Witness.

    `path` is the file, which is not opened before `begins`.
    """

    def __init__(self, path: str, run: Run) -> None:
        self._path = path
        self._run = run
        self._file: LineAppender | None = None
        self._load: _Load | None = None
        self._told = {"samples": 0, "tar_bytes": 0}
        self._left = 0
        self._host = socket.gethostname()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._load is not None:
            is_stopped = isinstance(error, KeyboardInterrupt)
            how = "done" if error is None else "stopped" if is_stopped else "failed"
            if self._left > 0 or self._load.is_due():
                self._add("load", **self._told, **self._load.noted())
            words = None if error is None or is_stopped else str(error)
            self._add("end", how=how, error=words, seconds=self._run.seconds, notices=[*self._run.notices])
        if self._file is not None:
            self._file.close()

    def begins(self, listing: Listing, plan: Plan, kept: int, left: int) -> None:
        """As Witness says: the file is opened, and has what is known by then."""
        options, writers = self._run.options, self._run.writers
        try:
            self._file = LineAppender(self._path, _BEGIN, anew=options.overwrite)
        except OSError as error:
            self._give_up(error)
            return
        self._left = left
        self._load = _Load(options.root_folder, options.pattern.folder)
        self._add(
            "run",
            started=round(time.time() - sum(self._run.seconds.values()), 3),
            format=FORMAT,
            version=__version__,
            host=self._host,
            workers=writers.workers,
            engine=options.engine_name,
            cores=os.cpu_count(),
            node=None if options.place is None else str(options.place),
            options=_plain(options),
            places={"ROOT": options.root_folder, "DEST": os.path.abspath(options.pattern.folder)},
            one_disk=self._load.is_one_disk,
        )
        left_out = sum(problem.leaves_out for problem in listing.problems)
        self._add(
            "found", samples=len(listing), left_out=left_out, found=dict(listing.found), notices=[*listing.notices]
        )
        tar_bytes = int(plan.shard_bytes.sum())
        self._add("planned", shards=plan.shard_count, kept=kept, left=left, tar_bytes=tar_bytes)
        for name, seconds in self._run.seconds.items():
            self._add("phase", name=name, seconds=seconds)

    def dealt(self, chunk: Chunk) -> None:
        """As Witness says."""
        self._add("dealt", shard=chunk.number)

    def finished(self, record: ShardRecord, where: Where) -> None:
        """As Witness says."""
        self._add(
            "shard",
            shard=record.number,
            **self._told_of(where),
            samples=record.samples,
            left_out=len(record.left_out),
            problems=len(record.problems),
            tar_bytes=record.tar_bytes,
            file_bytes=record.file_bytes,
        )

        self._left -= 1

    def died(self, chunk: Chunk, where: Where, cause: str) -> None:
        """As Witness says."""
        self._add("died", shard=chunk.number, **self._told_of(where), cause=cause)

    def progress(self, samples: int, tar_bytes: int) -> None:
        """As Witness says: the load is noted from time to time."""
        self._told = {"samples": samples, "tar_bytes": tar_bytes}
        if self._load is not None and (self._load.is_due() or not self._left):
            self._left = self._left or _NOTED  # what comes after the last shard is not writing
            self._add("load", **self._told, **self._load.noted())

    def _told_of(self, where: Where) -> dict[str, Any]:
        return {"host": where.host or self._host, "began": round(where.began, 3), "ended": round(where.ended, 3)}

    def _add(self, event: str, **fields: Any) -> None:
        if self._file is None:
            return
        line = json.dumps({"event": event, "time": round(time.time(), 3), **fields}, ensure_ascii=True)
        try:
            self._file.append(line.encode("ascii"))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Say that the events cannot be written, and write none any more."""
        file, self._file, self._load = self._file, None, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
        self._run.noticed(f"{self._path}, the record of this run for reports, cannot be written: {error.strerror}")


def forget_events(files: SetFiles) -> None:
    """Remove the events of all earlier runs of the set, because it is made anew; what is no such file stays."""
    for path in files.events():
        with contextlib.suppress(OSError):  # that they cannot be removed stops no run
            if store_of(path).read(path).startswith(_BEGIN):
                store_of(path).remove(path)


class _Load:
    """What this host does: percentages and rates are since the last call. What the system does not tell is None.

    The disks of `source` and `dest` are asked how busy they are.
    """

    def __init__(self, source: str, dest: str) -> None:
        self._source, self._dest = disk_of(source), disk_of(dest)
        self.is_one_disk = bool(self._source) and self._source == self._dest
        self._at = time.monotonic()
        self._next = self._at + LOAD_SECONDS
        self._disks = _told(partial(psutil.disk_io_counters, perdisk=True)) or {}
        self._all = _told(psutil.disk_io_counters)
        self._process = _told(psutil.Process)
        _told(psutil.cpu_times_percent)
        self._own()

    def is_due(self) -> bool:
        """Return whether it is time to note it again."""
        return time.monotonic() >= self._next

    def noted(self) -> dict[str, Any]:
        """Return per cent of processors, used memory in bytes, and what disks do, in bytes a second and per cent.

        `cpu_percent` is how busy all cores were, `wait_percent` how idle because reads or writes were waited for, and
        `own_percent` how much of one core this process took.
        """
        now = time.monotonic()
        seconds = max(now - self._at, 1e-3)
        self._at, self._next = now, now + LOAD_SECONDS
        before, self._all = self._all, _told(psutil.disk_io_counters)
        each_before, self._disks = self._disks, _told(partial(psutil.disk_io_counters, perdisk=True)) or {}
        cpu, memory = _told(psutil.cpu_times_percent), _told(psutil.virtual_memory)
        wait = getattr(cpu, "iowait", None)
        is_known = before is not None and self._all is not None
        return {
            "cpu_percent": None if cpu is None else round(max(0.0, 100.0 - cpu.idle - (wait or 0.0)), 1),
            "wait_percent": wait,
            "own_percent": self._own(),
            "memory_bytes": None if memory is None else memory.used,
            "read_bytes_s": round((self._all.read_bytes - before.read_bytes) / seconds) if is_known else None,
            "written_bytes_s": round((self._all.write_bytes - before.write_bytes) / seconds) if is_known else None,
            "source_busy_percent": self._busy(self._source, each_before, seconds),
            "dest_busy_percent": self._busy(self._dest, each_before, seconds),
        }

    def _own(self) -> Any:
        return None if self._process is None else _told(self._process.cpu_percent)

    def _busy(self, disk: str, before: Mapping[str, Any], seconds: float) -> float | None:
        """Return in how much of the time this disk had something to do, in per cent."""
        then, now = (getattr(counts.get(disk), "busy_time", None) for counts in (before, self._disks))
        if then is None or now is None:
            return None
        return float(round(min(100.0, (now - then) / 10 / seconds), 1))  # milliseconds, of seconds, in per cent


def _told(ask: Callable[[], Any]) -> Any:
    """Return what psutil tells; None where it cannot, as where /proc is hidden, which raises errors of many kinds."""
    with contextlib.suppress(Exception):
        return ask()
    return None


def _plain(options: Options) -> dict[str, Any]:
    """Return the choices, for JSON."""
    values = {name: value for name, value in vars(options).items() if not name.startswith("_") and value is not None}
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [*map(_plain_value, value)]
    return value if isinstance(value, int | float | bool) else str(value)
