"""Three hosts of a made network on one machine: `login`, and `one` and `two`, whose cables can be cut.

Each host is a process with namespaces of its own: network, host name, processes and mounts. So no host sees another's
processes, its /proc has its own alone, and what is mounted on one is not seen on the others. The file system is shared,
as on a cluster, but for /dev/shm and Ray's folder of sockets. Names are found by /etc/hosts, which each host has as a
mount of its own. The switch between them is a bridge in `login`'s network, so that nothing is added to the machine's
own network, and two test runs on one machine cannot meet.

A host ends when its first process does. That process reads from a pipe of ours until it is closed; so all of it ends
with the test run, also if that is killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

PROGRAMS = ("ip", "nsenter", "unshare")

NAMESPACES = ("--net", "--uts", "--pid", "--mount")

FIRST_PROCESS = """
set -e
hostname "$1"
mount --bind "$2" /etc/hosts
mount -t tmpfs tmpfs /dev/shm
mkdir -p /tmp/ray
mount -t tmpfs tmpfs /tmp/ray
ip link set lo up
trap '' CHLD
echo ready
exec cat
"""
"""What the first process of a host does: `cat` waits for the end of the pipe. Daemons become its children once those
that began them have ended; with SIGCHLD ignored none of them stays a zombie.
"""

START_SECONDS = 20

Found = TypeVar("Found")


@dataclass(frozen=True)
class Host:
    """A host that runs: its name and address, its first process as the machine sees it, and its cable at the switch."""

    name: str
    address: str
    first: int
    cable: str = ""
    switch: int = 0
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def popen(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        output: int | None = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Starts a command on this host, in the root folder, so that Python finds what is installed and nothing else.

        What `env` has is added to our own variables. See `inside` for signals. The parent of the command is a shell:
        only its children are among the host's processes. (nsenter as the parent stops with the command, and stays so.)
        """
        wait = ["--no-fork", "--", "sh", "-c", 'env --chdir=/ "$@"; exit $?', "sh"]
        enter = ["nsenter", f"--target={self.first}", *NAMESPACES, *wait]
        process = subprocess.Popen(
            [*enter, *command],
            env=variables(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output == subprocess.PIPE else output,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        status: int = 0,
    ) -> str:
        """What a command on this host prints; the test fails if it does not end with this status, as shells give it."""
        process = self.popen(command, env=env)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            end(process)
            pytest.fail(
                f"{command} on {self.name} has not ended after {timeout} s:\n{process.communicate()[0][-6000:]}"
            )
        if process.returncode != status:
            pytest.fail(f"{command} on {self.name} ended with {process.returncode}, not {status}:\n{output[-6000:]}")
        return output

    def processes(self) -> list[psutil.Process]:
        """All processes of this host but its first, as the machine sees them."""
        mine = _namespace(self.first)
        return [psutil.Process(pid) for pid in psutil.pids() if pid != self.first and _namespace(pid) == mine]

    def signal_all(self, number: int, only: str = "") -> None:
        """Sends a signal to all processes of this host in whose command `only` stands.

        The host itself stays, as one whose daemons have died.
        """
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if only in " ".join(process.cmdline()):
                    process.send_signal(number)

    def freeze_in_mid_chunk(self, seconds: float = 60, only: str = "") -> None:
        """Stops these processes of this host at a moment at which one of the host has an unfinished shard open."""
        stop = time.monotonic() + seconds
        while time.monotonic() < stop:
            self.signal_all(signal.SIGSTOP, only)
            if any(_writes(process) for process in self.processes()):
                return
            self.signal_all(signal.SIGCONT, only)
            time.sleep(0.005)
        pytest.fail(f"nothing on {self.name} has written a shard within {seconds} s")

    def cut(self) -> None:
        """Pulls the host's cable: packets are lost, and nobody is told."""
        _in_network(self.switch, "link", "set", self.cable, "down")

    def mend(self) -> None:
        """Puts the cable back."""
        _in_network(self.switch, "link", "set", self.cable, "up")


@dataclass(frozen=True)
class Network:
    """The hosts: `login` is at the switch itself and has no cable."""

    login: Host
    one: Host
    two: Host

    @property
    def all(self) -> tuple[Host, Host, Host]:
        """The three of them."""
        return self.login, self.one, self.two


@pytest.fixture
def two_hosts(tmp_path: Path) -> Iterator[Network]:
    """The hosts `one` and `two`, and `login` between them; all that runs on them ends with the test."""
    require_hosts()
    with network(tmp_path) as made:
        yield made


@contextlib.contextmanager
def network(folder: Path) -> Iterator[Network]:
    """The hosts, with a file of their names in `folder`; all that runs on them is killed at the end."""
    names = {"login": "10.77.0.1", "one": "10.77.0.2", "two": "10.77.0.3"}
    hosts_file = folder / "hosts"
    hosts_file.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items()))
    with contextlib.ExitStack() as stack:
        first = {name: stack.enter_context(_first_process(name, hosts_file)) for name in names}
        switch = first["login"]
        _in_network(switch, "link", "add", "switch", "type", "bridge")
        _in_network(switch, "address", "add", f"{names['login']}/24", "dev", "switch")
        _in_network(switch, "link", "set", "switch", "up")
        hosts = [Host("login", names["login"], switch)]
        for name in ("one", "two"):
            cable = f"cable-{name}"
            pair = ("type", "veth", "peer", "name", "eth0", "netns", str(first[name]))
            _in_network(switch, "link", "add", cable, *pair)
            _in_network(switch, "link", "set", cable, "master", "switch", "up")
            _in_network(first[name], "address", "add", f"{names[name]}/24", "dev", "eth0")
            _in_network(first[name], "link", "set", "eth0", "up")
            hosts.append(Host(name, names[name], first[name], cable, switch))
        for host in hosts:
            stack.callback(_end_started, host)
        yield Network(*hosts)


def require_programs(programs: Sequence[str]) -> None:
    """The test skips where one of these programs is not installed, and fails in CI, which installs them."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"{', '.join(missing)}: missing; make cluster-packages installs it")
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed")


def require_hosts() -> None:
    """The test skips where this machine lets nobody make hosts; it fails in CI if only a program is missing."""
    require_programs(PROGRAMS)
    if os.getuid():
        pytest.skip("only root makes hosts with networks of their own")
    command = ["unshare", *NAMESPACES, "--fork", "--mount-proc", "sh", "-c", "hostname made && ip link add type bridge"]
    tried = subprocess.run(command, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine does not allow network namespaces: {tried.stderr.strip()}")


def variables(more: Mapping[str, str]) -> dict[str, str]:
    """Our variables and some more, without a proxy, which would be asked for the hosts' addresses."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    path = os.pathsep.join((str(Path(sys.executable).parent), kept["PATH"]))
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1"} | dict(more)


def inside(process: subprocess.Popen[str]) -> psutil.Process:
    """The command that runs on the host: `popen` gives its parent, which waits for it and would not pass signals on."""
    return until(lambda: psutil.Process(process.pid).children(), "the command has not begun")[0]


def end(process: subprocess.Popen[str]) -> None:
    """Kills a command and all that it has begun, and waits for it; nothing happens if it has ended."""
    if process.poll() is None:
        parent = psutil.Process(process.pid)
        parent.suspend()  # so that it begins nothing more
        for child in (*parent.children(recursive=True), parent):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait()


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that nobody has waited for does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def until(
    look: Callable[[], Found], words: str, seconds: float = 60, process: subprocess.Popen[str] | None = None
) -> Found:
    """What `look` returns as soon as it is true; the test fails with these words if that takes too long, or if the
    process has ended from which it is awaited.
    """
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        if found := look():
            return found
        if process is not None and process.poll() is not None:
            pytest.fail(f"{words}, and {process.args!r} has ended with {process.returncode}")
        time.sleep(0.05)
    pytest.fail(f"{words} after {seconds} s")


def _end_started(host: Host) -> None:
    """Kills what runs on a host, so that the processes that wait for it end too, and closes their pipes."""
    for process in host.started:
        end(process)
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def _first_process(name: str, hosts_file: Path) -> Iterator[int]:
    """A host without cable: the number of its first process, which is killed at the end with all others there."""
    command = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc", "sh", "-c", FIRST_PROCESS, "sh"]
    unshare = subprocess.Popen(
        [*command, name, str(hosts_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert unshare.stdout is not None
        if unshare.stdout.readline() != "ready\n":
            unshare.wait(START_SECONDS)
            pytest.fail(f"the host {name} has not begun: {unshare.communicate()[1]}")
        (first,) = psutil.Process(unshare.pid).children()
        yield first.pid
    finally:
        unshare.communicate()  # closes the pipe, for whose end the first process waits


def _in_network(pid: int, *words: str) -> None:
    """Runs `ip` in the network of a host."""
    subprocess.run(["nsenter", f"--target={pid}", "--net", "ip", *words], check=True, capture_output=True, text=True)


def _namespace(pid: int) -> str:
    """The processes' namespace of a process, or nothing if the process has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _writes(process: psutil.Process) -> bool:
    """Whether a process has an unfinished shard open."""
    try:
        return any(re.search(r"[.]tar[.][0-9a-f]+[.]partial", file.path) for file in process.open_files())
    except psutil.NoSuchProcess:
        return False
