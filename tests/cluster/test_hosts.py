"""The made hosts are apart: names, addresses, processes, mounts and cables."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.cluster.hosts import Network, end, inside, is_alive, network, require_hosts, until


def test_names_and_addresses(two_hosts: Network) -> None:
    """Each host has its name and finds the others by theirs."""
    for host in two_hosts.all:
        assert f"{host.name}\n" == host.run(["hostname"])
        for other in two_hosts.all:
            assert other.address == host.run(["getent", "hosts", other.name]).split()[0]


def test_packets_pass_until_the_cable_is_cut(two_hosts: Network) -> None:
    """A host is reached from another, not with its cable cut, and again when that is mended."""
    connect = ["python", "-c", "import socket; socket.create_connection(('two', 7000), 1)"]
    serve = "import socket; s = socket.create_server(('10.77.0.3', 7000)); print('up')\nwhile True: s.accept()"
    server = two_hosts.two.popen(["python", "-c", serve])
    assert server.stdout is not None
    assert "up\n" == server.stdout.readline()
    two_hosts.one.run(connect)
    two_hosts.two.cut()
    assert "TimeoutError" in two_hosts.one.run(connect, status=1)
    two_hosts.two.mend()
    two_hosts.one.run(connect)
    end(server)


def test_a_signal_reaches_the_command(two_hosts: Network) -> None:
    """The command itself gets it, and its status is what the starting process ends with."""
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('up'); signal.pause()"
    process = two_hosts.one.popen(["python", "-c", code])
    assert process.stdout is not None
    assert "up\n" == process.stdout.readline()
    inside(process).send_signal(signal.SIGTERM)
    assert 7 == process.wait(10)


def test_mounts_are_the_hosts_own(two_hosts: Network, tmp_path: Path) -> None:
    """A folder with another file system mounted on it on one host is not shared any more."""
    shared = tmp_path / "shared"
    shared.mkdir()
    two_hosts.two.run(["mount", "-t", "tmpfs", "tmpfs", shared])
    two_hosts.one.run(["touch", shared / "here"])
    assert ["here"] == [path.name for path in shared.iterdir()]
    assert "" == two_hosts.two.run(["ls", shared])


def sleeping(hosts: Network) -> list[psutil.Process]:
    return [process for host in hosts.all for process in host.processes() if process.name() == "sleep"]


def test_nothing_is_left(tmp_path: Path) -> None:
    """All processes on the hosts end with them, daemons too, and the machine's network is as before."""
    require_hosts()
    before = subprocess.run(["ip", "link"], check=True, capture_output=True).stdout
    with pytest.raises(ZeroDivisionError), network(tmp_path) as hosts:
        hosts.one.run(["sh", "-c", "setsid sleep 1000 >&- 2>&- &"])
        hosts.two.popen(["sleep", "1000"])
        asleep = until(lambda: found if len(found := sleeping(hosts)) == 2 else [], "both have not begun")
        raise ZeroDivisionError
    assert [] == [process for process in asleep if is_alive(process)]
    assert before == subprocess.run(["ip", "link"], check=True, capture_output=True).stdout
