"""Owner: the process that holds a lock, in a form that other processes can read, on this host and on others.

`Owner.of_this_process` describes this process, and `is_dead` returns what can be proven of another one. Proof is
possible only on the same boot of the same kernel and in the same namespace of process numbers: elsewhere the number of
a process means nothing. Names of hosts prove nothing, because two hosts can have one name. This module changes nothing.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from dataclasses import dataclass

from parallel_sharder.text import printable

_COMMAND_BYTES = 800
"""How much of a command line is kept. It is a third of a lease, even if half of its characters are escaped."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its host, number and command, and what identifies it. Text that is not known is "".

    `boot_id` identifies the boot of the kernel, and `namespace` the namespace of process numbers. `started` is when the
    process started, in clock ticks since the boot: it tells processes apart that have had the same number.
    """

    host: str
    pid: int
    boot_id: str
    namespace: str
    started: str
    command: str

    @classmethod
    def of_this_process(cls) -> Owner:
        """Return the Owner that describes this process."""
        command = printable(shlex.join(sys.argv)).encode()[:_COMMAND_BYTES].decode("utf-8", "ignore")
        _, started = _state_and_start(os.getpid())
        return cls(socket.gethostname(), os.getpid(), _boot_id(), _namespace(), started, command)

    @property
    def words(self) -> str:
        """The process, for people."""
        return f"process {self.pid} on {self.host} ({self.command})"

    @property
    def is_dead(self) -> bool | None:
        """Whether the process has ended: True and False are proven, None is not known."""
        is_here = "" not in (self.boot_id, self.namespace, self.started)
        if not is_here or (self.boot_id, self.namespace) != (_boot_id(), _namespace()):
            return None
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:  # the process is another user's
            pass
        state, started = _state_and_start(self.pid)
        if not started:  # /proc hides processes of other users
            return None
        return state in "ZX" or started != self.started  # a zombie has ended, and only its parent has not noticed


def _boot_id() -> str:
    return _text_at("/proc/sys/kernel/random/boot_id").strip()


def _namespace() -> str:
    """Return the namespace of this process's number; "" if /proc is not there, or is that of another namespace."""
    try:
        return os.readlink("/proc/self/ns/pid") if os.readlink("/proc/self") == str(os.getpid()) else ""
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return the third and the twenty-second field of /proc/PID/stat, see proc(5); ("", "") if they cannot be read."""
    fields = _text_at(f"/proc/{pid}/stat").rpartition(") ")[2].split()  # the second field can hold anything
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def _text_at(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
