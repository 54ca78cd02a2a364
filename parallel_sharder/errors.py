"""Errors: what can stop a run, one class a kind of failure, each with its exit code.

A message names the path, key or shard, the value, the limit, and what to do next. A single bad sample is no error: it
is a `model.Problem` in the record, and the run goes on.

Messages are written with options as they are typed, `--on-bad`. A caller of the library reads the field's name instead,
`on_bad` (see `worded`). Each line of a message is an argument of its own. A newline within an argument comes from a
name in the data, and is escaped (see text).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

from parallel_sharder.kinds import Kind
from parallel_sharder.text import printable

_OPTION = re.compile(r"(?<![\w/=.'\"-])(?:--([a-z][a-z0-9-]*)|DEST\b)")
_FIELDS = {None: "dest", "for": "readers", "no-shuffle": "shuffle=False"}
"""The fields whose names are not the option's; None stands for DEST, the argument of verify and of index."""

_typed = ContextVar("typed", default=False)


@contextlib.contextmanager
def options_as_typed() -> Iterator[None]:
    """Have messages name options as they are typed, inside the block; the command line enters it."""
    token = _typed.set(True)
    try:
        yield
    finally:
        _typed.reset(token)


def worded(message: str) -> str:
    """Return the message with options named as its reader types them: on the command line `--on-bad`, else `on_bad`."""
    if _typed.get():
        return message
    return _OPTION.sub(lambda match: _FIELDS.get(match[1]) or match[1].replace("-", "_"), message)


NO_MEMORY_STATUS = 71
"""The exit code of a worker process that has run out of memory; 71 means "system error" in sysexits.h."""

_OUT_OF_MEMORY = "out of memory"


class SharderError(Exception):
    """A run that cannot go on. Its arguments are lines for the user, in whole sentences, with the remedy."""

    exit_code = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of the message, with options named as their reader types them, and printable."""
        return tuple(printable(worded(line)) for line in self.args)

    @property
    def in_one_line(self) -> str:
        """The message in one line, to be a part of another message or of a note."""
        return " ".join(map(str.strip, self.lines))

    def __str__(self) -> str:
        return "\n".join(self.lines)


class OptionsError(SharderError):
    """Options that are not valid: every complaint at once, one a line."""

    exit_code = 2

    def __init__(self, complaints: Sequence[str]) -> None:
        super().__init__(tuple(complaints))

    @property
    def complaints(self) -> tuple[str, ...]:
        """Each complaint, with the name of its option or field."""
        return self.lines

    @property
    def lines(self) -> tuple[str, ...]:
        """The complaints."""
        return tuple(printable(worded(complaint)) for complaint in self.args[0])


class SourceError(SharderError):
    """A data set that was not found, that cannot be read, or that contradicts itself."""


def unreadable(path: object, error: OSError, remedy: str = "") -> SourceError:
    """Return the error for a file of the source that cannot be read; `remedy` serves all causes but permissions.

    Without a `remedy`, a file that does not exist is to be named rightly, and others are to be copied again.
    """
    cause = error.strerror or str(error)
    is_missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    if is_missing and os.path.islink(str(path)):
        cause = f"it is a broken link to {os.readlink(str(path))}"
        remedy = remedy or "Mend the link, or remove it."
    remedy = remedy or ("Name a file that exists." if is_missing else "Download or copy it again.")
    if isinstance(error, PermissionError):
        remedy = "Give this user the right to read it, and to search the folders above it (chmod u+rX for the owner)."
    return SourceError(f"{path} cannot be read: {cause}. {remedy}")


class PlanError(SharderError):
    """Samples and limits that do not fit together."""


class DestinationError(SharderError):
    """A destination that is taken, too small, or cannot be written."""


def unwritable(what: object, cause: OSError | str, remedy: str = "") -> DestinationError:
    """Return the error that `what`, mostly a path, cannot be written, with the cause; `remedy` is whole sentences."""
    reason = cause if isinstance(cause, str) else cause.strerror or cause
    return DestinationError(f"{what} cannot be written: {reason}.{' ' if remedy else ''}{remedy}")


class DestinationGoneError(DestinationError):
    """A destination whose folder or journal was removed or replaced since the run began."""


class TakenOverError(DestinationError):
    """A node's journal that another run on the same node has taken; that run lists what this one has finished."""


class HeldError(DestinationError):
    """A lock that another process holds, which is at work."""


class StaleError(DestinationError):
    """A lock that was left by a process that shows no sign of life, on another host; `--take-over` takes it."""


class ManifestError(SharderError):
    """A manifest that is missing, cannot be read, or is damaged."""


class MissingPackageError(SharderError):
    """An option that needs a package which is not installed; the message has the command that installs it."""


def missing_package(need: str, extra: str) -> MissingPackageError:
    """Return the error that a package is missing. `need` says what needs it, and the `extra` of that name brings it."""
    return MissingPackageError(
        f"{need}: pip install 'parallel_sharder[{extra}]', or, in a clone of it, pip install '.[{extra}]'"
    )


class WorkerError(SharderError):
    """A task that cannot be done, because the workers that try it die, or because no worker can be had."""


class Death(Exception):  # noqa: N818 - it stops a run only if the task is not done by another worker
    """The error of one task whose worker has died, or has run out of memory.

    `cause` is the reason, for people: "killed by SIGKILL", "out of memory", or "exit status 1". On a cluster it has the
    host: "lost with its node on node7".
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause

    @classmethod
    def of_process(cls, exit_code: int) -> Death:
        """Return the death of a process with this exit code, negative for a signal."""
        if exit_code == NO_MEMORY_STATUS:
            return cls(_OUT_OF_MEMORY)
        return cls(f"killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"exit status {exit_code}")

    @classmethod
    def without_memory(cls, error: MemoryError) -> Death:
        """Return the death of a task whose function has raised `error`, which becomes the death's __cause__."""
        death = cls(_OUT_OF_MEMORY)
        death.__cause__ = error
        return death


class SampleError(Exception):
    """One sample that cannot be stored as it should be; it becomes a `model.Problem`, and does not stop the run.

    `kind` is a Kind that leaves a sample out.
    """

    def __init__(self, kind: Kind, path: str, detail: str) -> None:
        super().__init__(kind, path, detail)
        self.kind = kind
        self.path = path
        self.detail = detail


class StoppedError(Exception):
    """Raised in a worker that was told to stop; the process that told it knows the reason."""
