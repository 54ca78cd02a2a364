"""Limits of the machine, explained: which limit an error is due to, what its value is, and what to do.

When a limit is reached, the system says "Resource temporarily unavailable", and Python often says less. This module
takes such an error, and returns or raises a SharderError with a sentence, or adds a sentence to one.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import resource
from collections.abc import Iterator

from parallel_sharder.errors import Death, OptionsError, SharderError, WorkerError

_REMEDY = "Use fewer --workers, or --workers 0, or raise the limit."


@contextlib.contextmanager
def explaining_errors() -> Iterator[None]:
    """Turn an error of the system or a worker's Death, raised inside the block, into a SharderError that says why."""
    try:
        yield
    except SharderError as error:
        explain(error)
        raise
    except Death as error:
        words = f"a worker died ({error.cause}). If memory is short, use fewer --workers."
        raise WorkerError(_limit(error.__cause__) or words) from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        do = "Give this user the right to it and to the folders above it" if isinstance(error, PermissionError) else ""
        remedy = _limit(error) or f"{do or 'Mend that'}, and type the same command again."
        raise SharderError(f"{place}{error.strerror or error}. {remedy}") from error
    except Exception as error:
        if not (limit := _limit(error)):
            raise
        raise SharderError(limit) from error


def explain(error: Exception) -> None:
    """Add to the message of a SharderError the limit that has caused it, if a limit has."""
    if isinstance(error, SharderError) and not isinstance(error, OptionsError):
        cause = error.__cause__
        while isinstance(cause, SharderError | Death):
            cause = cause.__cause__
        limit = _limit(cause)
        *lines, last = error.args
        if limit and limit not in last:
            error.args = (*lines, f"{last.removesuffix('.')}. {limit}")


def unstartable(error: OSError) -> WorkerError:
    """Return the error to raise if `error` keeps a worker process from being started."""
    limit = _processes() if error.errno == errno.EAGAIN else _limit(error) or "Use --workers 0."
    where = f"{error.filename}: " if error.filename else ""
    return WorkerError(f"a worker cannot be started: {where}{error.strerror or error}. {limit}")


def _limit(error: BaseException | None) -> str:
    """Return the limit that has caused an error, and what to do, in sentences; "" if no limit has."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EMFILE:
        return f"The limit on a process's open files is {_value(resource.RLIMIT_NOFILE):,} (ulimit -n). {_REMEDY}"
    if number == errno.ENFILE:
        return f"The limit is that on the open files of all processes (fs.file-max). {_REMEDY}"
    if number == errno.EFBIG:
        return _file_size()
    if number == errno.ENOMEM or isinstance(error, MemoryError) or "failed to map segment" in str(error):  # a library's
        return f"There is not enough memory. {_memory()}"
    if "can't start new thread" in str(error) or "Allocation error" in str(error):  # Python's, zstd's
        limit = _processes() if _value(resource.RLIMIT_AS) == math.inf else _memory()
        return f"No thread can be started. {limit}"
    return ""


def _processes() -> str:
    from parallel_sharder.engines import cores  # only when it is needed: its import takes longer than all others

    user = math.inf if os.geteuid() == 0 else _value(resource.RLIMIT_NPROC)  # the limit does not bind root
    group = cores.cgroup_processes()
    if user < group:
        return f"The limit on a user's processes and threads is {user:,} (ulimit -u). {_REMEDY}"
    if group < math.inf:
        return f"The limit on the control group's processes and threads is {group:,} (pids.max). {_REMEDY}"
    return "Use fewer --workers, or --workers 0."


def _file_size() -> str:
    if (limit := _value(resource.RLIMIT_FSIZE)) < math.inf:
        most = f"{limit // 1024:,} KB (ulimit -f)"
        return f"The limit on the size of a file is {most}. Raise it, or use a smaller --maxsize."
    return "The file system cannot hold a larger file. Use a smaller --maxsize."


def _memory() -> str:
    for kind, option in ((resource.RLIMIT_AS, "-v"), (resource.RLIMIT_DATA, "-d")):
        if (limit := _value(kind)) < math.inf:
            return f"The limit on a process's memory is {limit // 1024:,} KB (ulimit {option}). {_REMEDY}"
    return "Use fewer --workers, or a machine with more."


def _value(kind: int) -> float:
    """Return the value of a limit of this process; infinity if it is not set."""
    value = resource.getrlimit(kind)[0]
    return math.inf if value == resource.RLIM_INFINITY else value
