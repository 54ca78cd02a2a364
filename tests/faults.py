"""The command line with a fault at a moment: python -m tests.faults FAULT MOMENT MARKER WORD ...

Workers are to be started by fork, so that they inherit what is patched here. A fault strikes once, in the first
process that comes to its moment; MARKER is the file that says that it has. For what lasts (a full disk, an unreadable
file) it is that process that sees it from then on.
"""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from parallel_sharder import coordinator, worker
from parallel_sharder.cli.main import main as command_line
from parallel_sharder.engines.progress import Progress
from parallel_sharder.journal import journal
from parallel_sharder.model import Chunk, ShardRecord
from parallel_sharder.monitor import monitor
from parallel_sharder.stores import durable

FAULTS = (
    "kill coordinator", "kill worker", "SIGINT", "SIGTERM", "disk full", "read error", "torn journal", "lost shard",
    "cut shard", "changed source",
)  # fmt: skip
MOMENTS = ("scan", "first shard", "middle", "between rename and journal", "manifest")
NUMBERS = {"first shard": 0, "middle": 5, "between rename and journal": 5}
"""Which shard the moment is in."""

COORDINATOR = os.getpid()


def changed_image(root: Path) -> Path:
    """The image that changes, which belongs to whatever shard the order puts it in; or an archive of images."""
    of_patterns = ([*root.glob(pattern)] for pattern in ("train/*/*.JPEG", "**/*.jpg", "*.tar"))
    return next(max(paths) for paths in of_patterns if paths)


def main(fault: str, moment: str, marker: str, *words: str) -> int:
    root = Path(words[words.index("--root") + 1].removesuffix("/*.tar"))

    def strike() -> None:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        _strike(fault, root)

    _at(moment, strike, in_worker=fault in ("kill worker", "read error"))
    return command_line(words)


def _strike(fault: str, root: Path) -> None:
    match fault:
        case "kill coordinator" | "torn journal" | "lost shard" | "cut shard":  # the test goes on with the damage
            os.kill(COORDINATOR, signal.SIGKILL)
            time.sleep(10)
        case "kill worker":
            (psutil.Process().children()[0] if os.getpid() == COORDINATOR else psutil.Process()).kill()
        case "SIGINT" | "SIGTERM":
            os.kill(COORDINATOR, signal.Signals[fault])
        case "disk full":
            _fail(durable, "write_all", errno.ENOSPC)
        case "read error":
            for name in ("scandir", "pread", "preadv"):
                _fail(os, name, errno.EIO)
        case "changed source":
            path = changed_image(root)
            if path.suffix == ".tar":
                os.utime(path)  # as if it were written again
            else:
                with path.open("ab") as file:
                    file.write(b"more\xff\xd9")
        case _:
            raise ValueError(fault)


def _fail(owner: Any, name: str, number: int) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    setattr(owner, name, fail)


def _at(moment: str, strike: Callable[[], None], *, in_worker: bool) -> None:
    """Have `strike` called at the moment."""
    number = NUMBERS.get(moment)
    match moment:
        case "scan" if in_worker:
            for name in ("scandir", "pread"):
                _before(os, name, strike, lambda *_: os.getpid() != COORDINATOR)
        case "scan":
            _before(monitor.Silent, "scanning", strike)
        case "first shard" | "middle":
            _while_writing(lambda chunk, samples: strike() if (chunk.number, samples) == (number, 2) else None)
        case "between rename and journal" if in_worker:
            _while_writing(lambda chunk, samples: strike() if (chunk.number, samples) == (number, None) else None)
        case "between rename and journal":
            _before(
                journal.Journal,
                "record",
                strike,
                lambda _, done=(), dealt=(): number in [record.number for record in done],
            )
        case "manifest":
            _before(durable, "finish", strike, lambda _, __, path, *___: path.endswith(".json"))
        case _:
            raise ValueError(moment)


def _while_writing(call: Callable[[Chunk, int | None], None]) -> None:
    """Have `call` called in the worker, with the chunk and how many of its samples are begun; None when all is done."""
    write = worker.write_chunk

    class Told:
        """The Progress of one chunk, listened to."""

        def __init__(self, chunk: Chunk, progress: Progress) -> None:
            self._chunk, self._progress, self._begun = chunk, progress, 0
            self.tell = progress.tell

        @property
        def stopped(self) -> bool:
            """Asked for before each sample."""
            call(self._chunk, self._begun)
            self._begun += 1
            return self._progress.stopped

    @functools.wraps(write)  # under whose name workers find this one
    def wrapped(chunk: Chunk, progress: Progress) -> ShardRecord:
        record = write(chunk, Told(chunk, progress))
        call(chunk, None)
        return record

    for module in (worker, coordinator):
        module.write_chunk = wrapped  # type: ignore[attr-defined]


def _before(
    owner: Any, name: str, strike: Callable[[], None], is_now: Callable[..., bool] = lambda *_, **__: True
) -> None:
    """Have `strike` called before `owner.name` is, if that is called with what makes it the moment."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*arguments: Any, **more: Any) -> Any:
        if is_now(*arguments, **more):
            strike()
        return function(*arguments, **more)

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
