"""Leases: one holds it, the dead lose it at once, the silent after a while, and nobody loses one that is fresh."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from parallel_sharder.errors import DestinationError, DestinationGoneError, HeldError, StaleError
from parallel_sharder.stores import durable, lease_file, owner
from parallel_sharder.stores.lease import Lease, Pace, lease, lease_at
from parallel_sharder.stores.lease_record import LeaseState
from tests.made import dangling_link_at, link_at, notes_at

PACE = Pace(refresh_seconds=0.05, stale_seconds=0.5)
SLOW = Pace(refresh_seconds=600, stale_seconds=0.3)
"""Whoever holds a lease at this pace never refreshes it, and whoever watches at this pace soon finds it stale."""


def hold(path: Path, pace: Pace = PACE, *, take_over: bool = False) -> Lease:
    return lease(str(path), what="the folder /x", pace=pace, take_over=take_over)


def state_at(path: Path) -> LeaseState:
    state = lease_at(str(path))
    assert state is not None
    return state


@contextlib.contextmanager
def other_owner(path: Path, before: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease until its standard input ends."""
    script = f"""import sys
from parallel_sharder.stores import owner
from parallel_sharder.stores.lease import Pace, lease
{before}
sys.argv = ["parallel-sharder", "run", "3"]
with lease({str(path)!r}, what="", pace=Pace(0.05, 0.5)):
    print("held", flush=True)
    sys.stdin.read()"""
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "held\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


ELSEWHERE = "owner._boot_id = lambda: ''"
"""What makes an owner one of which nothing can be proven, as if it were on another host."""


def test_it_is_held_once_and_is_gone_afterwards(tmp_path: Path) -> None:
    """Who asks for it is told by whom it is held; after its release nothing is left."""
    path = tmp_path / "lock"
    with hold(path) as held:
        assert held.is_ours
        held.refuse_lost()
        with pytest.raises(
            HeldError, match=rf"^the folder /x is in use: process {os.getpid()} on .* holds {path}. Wai"
        ):
            hold(path)
        assert ["lock"] == os.listdir(tmp_path)
    held.release()
    assert [] == os.listdir(tmp_path)
    assert lease_at(str(path)) is None


def test_refreshing_and_telling(tmp_path: Path) -> None:
    """The count grows by itself, and what is told is there with it, or at once."""
    path = tmp_path / "lock"
    with hold(path) as held:
        held.tell({"samples": 5})
        first = state_at(path).beat
        while state_at(path).beat < first + 2:
            time.sleep(0.01)
        assert {"samples": 5} == state_at(path).told
        held.tell({"samples": 6}, flush=True)
        assert {"samples": 6} == state_at(path).told


def test_killed_owner_on_this_host(tmp_path: Path) -> None:
    """Its death is proven, so its lease is taken over at once, without being asked for."""
    path = tmp_path / "lock"
    with other_owner(path) as other:
        assert state_at(path).is_dead is False
        other.kill()
        other.wait()
        assert state_at(path).is_dead is True
        with hold(path, Pace(600, 600)) as held:
            assert held.is_ours
            assert os.getpid() == state_at(path).owner.pid
    assert [] == os.listdir(tmp_path)


def test_living_owner_elsewhere(tmp_path: Path) -> None:
    """Nothing can be proven, but its count is seen to grow: it is named, and so not taken over."""
    path = tmp_path / "lock"
    with other_owner(path, ELSEWHERE) as other:
        told: list[str] = []
        with pytest.raises(HeldError, match=rf"process {other.pid} on .* \(parallel-sharder run 3\) is at work"):
            lease(str(path), what="", pace=PACE, take_over=True, watching=lambda whom, _: told.append(whom)).release()
        assert {f"process {other.pid} on {state_at(path).host} (parallel-sharder run 3)"} == set(told)


def test_waiting_until_it_is_free(tmp_path: Path) -> None:
    """Who waits is told for whom, again and again, and then goes on."""
    path = tmp_path / "lock"
    with other_owner(path, ELSEWHERE) as other:
        seconds: list[float] = []

        def waiting(whom: str, waited: float) -> None:
            assert whom.startswith(f"process {other.pid} on ")
            seconds.append(waited)
            if len(seconds) == 8 and other.stdin is not None:  # longer than what is stale
                other.stdin.close()

        with lease(str(path), what="", pace=PACE, waiting=waiting) as held:
            assert held.is_ours
        assert seconds == sorted(seconds)
        assert seconds[-1] > PACE.stale_seconds


def test_frozen_owner_elsewhere(tmp_path: Path) -> None:
    """Its lease gets stale: it stops who comes, and is taken over if that is asked for; thawed, its owner stops."""
    path = tmp_path / "lock"
    with other_owner(path, ELSEWHERE) as other:
        os.kill(other.pid, signal.SIGSTOP)
        message = rf"^the folder /x is locked by process {other.pid} on .*: {path} has not .* for \d s, .* take_over "
        with pytest.raises(StaleError, match=message):
            hold(path)
        with hold(path, take_over=True) as held:
            os.kill(other.pid, signal.SIGCONT)
            assert other.stdin is not None
            other.stdin.close()
            other.wait()
            assert held.is_ours
            held.refuse_lost()
    assert [] == os.listdir(tmp_path)


def test_lease_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its old owner learns by whom it was taken, writes no more, and removes nothing."""
    path = tmp_path / "lock"
    monkeypatch.setattr(owner, "_boot_id", lambda: "")
    old = hold(path, SLOW)
    with hold(path, SLOW, take_over=True) as new:
        before = path.read_bytes()
        assert not old.is_ours
        with pytest.raises(
            DestinationGoneError, match=rf"{path}, the lock .* held by process {os.getpid()} on .* took"
        ):
            old.refuse_lost()
        old.tell({"old": 1}, flush=True)
        old.release()
        assert (before, True) == (path.read_bytes(), new.is_ours)


def test_lease_that_was_removed(tmp_path: Path) -> None:
    """Its owner learns that too, and does not make it anew."""
    path = tmp_path / "lock"
    held = hold(path)
    path.unlink()
    with pytest.raises(DestinationGoneError, match=f"{path}, the lock of this process, was removed or replaced"):
        held.refuse_lost()
    held.release()
    assert [] == os.listdir(tmp_path)


def test_takers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that take a stale lease over at the same time, one has it; the others see that it is held.

    On a busy machine, one may have had it for a moment before another took it from it; it is told so.
    """
    path = tmp_path / "lock"
    monkeypatch.setattr(owner, "_boot_id", lambda: "")
    hold(path, SLOW)
    got: list[Lease] = []
    refused: list[HeldError] = []

    def take() -> None:
        try:
            got.append(hold(path, PACE, take_over=True))
        except HeldError as error:
            refused.append(error)

    takers = [threading.Thread(target=take) for _ in range(8)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    owners = [taken for taken in got if taken.is_ours]
    assert (1, 8) == (len(owners), len(got) + len(refused))
    for taken in got:
        if taken not in owners:
            with pytest.raises(DestinationGoneError):
                taken.refuse_lost()
        taken.release()
    assert [] == os.listdir(tmp_path)


def test_taker_that_comes_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another was faster between its look and its step, the fresh lease is put back, and its owner keeps it."""
    path = tmp_path / "lock"
    monkeypatch.setattr(owner, "_boot_id", lambda: "")
    hold(path, SLOW)
    stale = state_at(path)
    rename = os.rename
    fresh: list[Lease] = []

    def late(old: str, new: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        fresh.append(hold(path, SLOW, take_over=True))
        rename(old, new)

    monkeypatch.setattr(os, "rename", late)
    lease_file.remove(str(path), stale.nonce, stale.beat)
    assert fresh[0].is_ours
    fresh[0].release()
    assert [] == os.listdir(tmp_path)


def test_file_that_is_no_lease_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If something else gets the name between the look and the removal, it keeps the name."""
    path = tmp_path / "lock"
    monkeypatch.setattr(lease_file, "TRIES", 1)
    rename = os.rename

    def late(old: str, new: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        path.unlink()
        path.write_text("another's")
        rename(old, new)

    held = hold(path, SLOW)
    monkeypatch.setattr(os, "rename", late)
    held.release()
    assert {"lock": "another's"} == {each.name: each.read_text() for each in tmp_path.iterdir()}


def test_lease_that_vanishes_while_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where flock holds on one host only, another run can take the file that was moved away for a killed writer's."""
    path = tmp_path / "lock"
    rename = os.rename

    def swept(old: str, new: str) -> None:
        rename(old, new)
        os.unlink(new)

    held = hold(path, SLOW)
    monkeypatch.setattr(os, "rename", swept)
    lease_file.remove(str(path), state_at(path).nonce)
    assert [] == os.listdir(tmp_path)
    held.release()


def test_clocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a clock that is a day off nor a file's time from the future makes a lease stale, or keeps it fresh."""
    path = tmp_path / "lock"
    monkeypatch.setattr(owner, "_boot_id", lambda: "")
    now = time.time
    for days_off in (-1, 1):
        with hold(path, PACE):
            monkeypatch.setattr(time, "time", lambda off=days_off: now() + off * 86_400)
            with pytest.raises(HeldError):
                hold(path)
        silent = hold(path, SLOW)
        os.utime(path, (now() + days_off * 86_400,) * 2)
        with pytest.raises(StaleError):
            hold(path)
        silent.release()


@pytest.mark.parametrize("make", [notes_at, link_at, dangling_link_at, os.mkfifo, Path.mkdir, Path.touch])
def test_what_is_no_lease(tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, named, and stays."""
    assert callable(make)
    monkeypatch.setattr(lease_file, "TRIES", 2)
    make(tmp_path / "lock")
    before = sorted((path.name, path.lstat().st_size) for path in tmp_path.iterdir())
    for call in (lambda: hold(tmp_path / "lock"), lambda: lease_at(str(tmp_path / "lock"))):
        with pytest.raises(
            DestinationError, match=r"/lock has the name of a lock, and it is .* move it out of the way"
        ):
            call()
    assert before == sorted((path.name, path.lstat().st_size) for path in tmp_path.iterdir())


def test_half_written_lease_is_read_again(tmp_path: Path) -> None:
    """What is not whole at the first look can be whole at the next."""
    path = tmp_path / "lock"
    with hold(path, SLOW):
        whole = path.read_bytes()
        path.write_bytes(whole[:100])
        threading.Timer(0.2, path.write_bytes, [whole]).start()
        assert os.getpid() == state_at(path).owner.pid


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The file is made exclusively under its own name."""

    def link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    with hold(tmp_path / "lock"), pytest.raises(HeldError):
        hold(tmp_path / "lock")
    assert lease_file._make_exclusively(str(tmp_path / "new"), b"") is not None
    assert lease_file._make_exclusively(str(tmp_path / "new"), b"") is None


def test_disk_that_fails_while_refreshing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is kept and nothing stops; when the disk has recovered, the refreshing goes on."""
    path = tmp_path / "lock"
    sync = durable.sync
    with hold(path) as held:

        def fail(*_: object, **__: object) -> bool:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(durable, "sync", fail)
        while held.error is None:
            time.sleep(0.01)
        monkeypatch.setattr(durable, "sync", sync)
        while held.error is not None:
            time.sleep(0.01)
        assert held.is_ours


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The path, the cause and the remedy are named."""
    with pytest.raises(DestinationError, match=r"/none/lock cannot be written: No such file .* dest\."):
        hold(tmp_path / "none" / "lock")


def test_forked_copy_releases_nothing(tmp_path: Path) -> None:
    """The lease is its owner's, whatever a copy of the process does."""
    with hold(tmp_path / "lock", SLOW) as held:
        copy = multiprocessing.get_context("fork").Process(target=held.release)
        copy.start()
        copy.join()
        assert (0, True) == (copy.exitcode, held.is_ours)
