"""What can stop a run.

Each class knows its exit code, so the command line maps an error to a status without a table of its own. A message
names the path, key or shard, the value, the limit, and what to do next. A single bad sample is no error: it is a
`model.Problem` in the record, and the run goes on.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence


class SharderError(Exception):
    """A run that cannot go on. The text is for the user, whole sentences and remedy included."""

    exit_code = 1


class OptionsError(SharderError):
    """Choices that cannot be: every complaint at once, one a line."""

    exit_code = 2

    def __init__(self, complaints: Sequence[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(self.complaints))


class SourceError(SharderError):
    """A data set that was not found, or that contradicts itself."""


class PlanError(SharderError):
    """Samples and limits that do not fit together."""


class DestinationError(SharderError):
    """A destination that is taken, too small, or cannot be written."""


class ManifestError(SharderError):
    """A manifest that cannot be read, or is damaged."""


class WorkerError(SharderError):
    """Work that cannot be done, because the worker processes that try it die."""


class WorkerDiedError(Exception):
    """One task whose worker process ended without an answer; `exit_code` is the process's, negative for a signal."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    @property
    def cause(self) -> str:
        """How it ended, for people: "killed by SIGKILL", or "exit status 1"."""
        if self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        return f"exit status {self.exit_code}"


class SampleError(Exception):
    """One sample that cannot be stored as it should be; becomes a `model.Problem`, never stops a run by itself.

    `kind` is one of the `model.Kind` values that leave a sample out.
    """

    def __init__(self, kind: str, path: str, detail: str) -> None:
        super().__init__(kind, path, detail)
        self.kind = kind
        self.path = path
        self.detail = detail


class StoppedError(Exception):
    """Raised in a worker that was told to stop; whoever told it knows why."""
