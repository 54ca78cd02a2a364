"""The owner of a lock: what can be proven of it, and what cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from parallel_sharder.stores import owner
from parallel_sharder.stores.owner import Owner


def test_this_process_lives() -> None:
    """It is here, and so that is proven."""
    here = Owner.of_this_process()
    assert (os.getpid(), False) == (here.pid, here.is_dead)
    assert here.words.startswith(f"process {os.getpid()} on {here.host} (")


def test_ended_process_is_dead_before_its_parent_notices() -> None:
    """A process that was killed and not yet waited for has ended; afterwards its number is nobody's."""
    here = Owner.of_this_process()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        _, started = owner._state_and_start(other.pid)
        there = replace(here, pid=other.pid, started=started)
        assert there.is_dead is False
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert there.is_dead is True
    assert there.is_dead is True


def test_number_that_another_process_got() -> None:
    """A process of the same number that started at another time is another one."""
    assert replace(Owner.of_this_process(), started="1").is_dead is True


@pytest.mark.parametrize("unknown", ["boot_id", "namespace", "started"])
@pytest.mark.parametrize("value", ["", "another"])
def test_nothing_is_proven_elsewhere(unknown: str, value: str) -> None:
    """On another boot, in another namespace, or where either is not known, a number proves neither life nor death."""
    there = replace(Owner.of_this_process(), pid=2**22 + 1, **{unknown: value})
    assert (True if (unknown, value) == ("started", "another") else None) is there.is_dead


def test_process_that_cannot_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc hides the processes of other users, nothing is proven of one that exists."""
    here = Owner.of_this_process()
    monkeypatch.setattr(owner, "_state_and_start", lambda _: ("", ""))
    assert here.is_dead is None


def test_command_is_printable_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is, and whatever is in it."""
    monkeypatch.setattr(sys, "argv", ["x\x1b[31m", "äöü" * 2000])
    command = Owner.of_this_process().command
    assert command.isprintable()
    assert 799 == len(command.encode())
