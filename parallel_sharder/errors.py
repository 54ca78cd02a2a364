"""What can stop a run.

Each class knows its exit code, so the command line maps an error to a status without a table of its own. A message
names the path, key or shard, the value, the limit, and what to do next. A single bad sample is no error: it is a
`model.Problem` in the record, and the run goes on.

Messages are written with options as they are typed, `--on-bad`. Who calls the library reads the field instead,
`on_bad`: see `worded`. Each line of a message is an argument of its own: what is a newline within one has come with a
name from the data, and is escaped (see text).
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

from parallel_sharder.kinds import Kind
from parallel_sharder.text import printable

_OPTION = re.compile(r"(?<![\w/=.'\"-])(?:--([a-z][a-z0-9-]*)|DEST\b)")
_FIELDS = {None: "dest", "for": "readers", "no-shuffle": "shuffle=False"}
"""The fields whose names are not the option's; DEST is verify's and index's."""

_typed = ContextVar("typed", default=False)


@contextlib.contextmanager
def options_as_typed() -> Iterator[None]:
    """Within, messages name options as they are typed; it is entered by the command line."""
    token = _typed.set(True)
    try:
        yield
    finally:
        _typed.reset(token)


def worded(message: str) -> str:
    """The message with the names its reader knows: `--on-bad` on the command line, `on_bad` in the library."""
    if _typed.get():
        return message
    return _OPTION.sub(lambda match: _FIELDS.get(match[1]) or match[1].replace("-", "_"), message)


NO_MEMORY_STATUS = 71
"""The exit code of a worker process that has no memory to go on; 71 is "system error" among those of sysexits.h."""

_OUT_OF_MEMORY = "out of memory"


class SharderError(Exception):
    """A run that cannot go on. Its arguments are lines for the user, whole sentences and remedy included."""

    exit_code = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of the message, with the names that its reader knows, and printable."""
        return tuple(printable(worded(line)) for line in self.args)

    @property
    def in_one_line(self) -> str:
        """The message where it becomes a part of another, or of a note."""
        return " ".join(map(str.strip, self.lines))

    def __str__(self) -> str:
        return "\n".join(self.lines)


class OptionsError(SharderError):
    """Choices that cannot be: every complaint at once, one a line."""

    exit_code = 2

    def __init__(self, complaints: Sequence[str]) -> None:
        super().__init__(tuple(complaints))

    @property
    def complaints(self) -> tuple[str, ...]:
        """Each complaint, with the option or field that it is about."""
        return self.lines

    @property
    def lines(self) -> tuple[str, ...]:
        """The complaints."""
        return tuple(printable(worded(complaint)) for complaint in self.args[0])


class SourceError(SharderError):
    """A data set that was not found, or that contradicts itself."""


def unreadable(path: object, error: OSError, remedy: str = "Download or copy it again.") -> SourceError:
    """The error that the file at `path` of the source cannot be read; `remedy` is for all causes but permissions."""
    cause = error.strerror or str(error)
    if isinstance(error, PermissionError):
        remedy = "Give this user the right to read it, and to search the folders above it (chmod u+rX for the owner)."
    return SourceError(f"{path} cannot be read: {cause}. {remedy}")


class PlanError(SharderError):
    """Samples and limits that do not fit together."""


class DestinationError(SharderError):
    """A destination that is taken, too small, or cannot be written."""


def unwritable(what: object, cause: OSError | str, remedy: str = "") -> DestinationError:
    """The error that `what`, a path mostly, cannot be written, with the cause; `remedy` is what to do, in sentences."""
    reason = cause if isinstance(cause, str) else cause.strerror or cause
    return DestinationError(f"{what} cannot be written: {reason}.{' ' if remedy else ''}{remedy}")


class DestinationGoneError(DestinationError):
    """A destination that is not there any more as it was when the run began."""


class ManifestError(SharderError):
    """A manifest that cannot be read, or is damaged."""


class WorkerError(SharderError):
    """Work that cannot be done, because the worker processes that try it die."""


class Death(Exception):  # noqa: N818 - it stops a run only if the task is not done by another worker
    """The error of one task whose worker has died, or had no memory to go on.

    `cause` says why, for people: "killed by SIGKILL", "out of memory", or "exit status 1".
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause

    @classmethod
    def of_process(cls, exit_code: int) -> Death:
        """The death of a process with this exit code, negative for a signal."""
        if exit_code == NO_MEMORY_STATUS:
            return cls(_OUT_OF_MEMORY)
        return cls(f"killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"exit status {exit_code}")

    @classmethod
    def without_memory(cls, error: MemoryError) -> Death:
        """What counts as one: the function has raised `error`, which is the cause that Python knows."""
        death = cls(_OUT_OF_MEMORY)
        death.__cause__ = error
        return death


class SampleError(Exception):
    """One sample that cannot be stored as it should be; becomes a `model.Problem`, never stops a run by itself.

    `kind` is one of those that leave a sample out.
    """

    def __init__(self, kind: Kind, path: str, detail: str) -> None:
        super().__init__(kind, path, detail)
        self.kind = kind
        self.path = path
        self.detail = detail


class StoppedError(Exception):
    """Raised in a worker that was told to stop; whoever told it knows why."""
