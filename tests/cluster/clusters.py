"""Clusters of Ray and Dask, as processes of their own on hosts that are given: on this machine or in a made network.

A cluster is a context manager that yields what a driver needs: the value of --engine, and variables. All is bound to
the hosts' own addresses, and all processes are killed at the end; their words are in `folder`. Ray's drivers have to
run on a host of one of the nodes (Ray waits long for a node on any other host, and says nothing). Dask's run anywhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.cluster.hosts import Host, end, until, variables

OBJECT_STORE_BYTES = 100_000_000
"""Ray refuses less than 75 MB; nothing of ours is kept there."""


@dataclass(frozen=True)
class Loopback:
    """The machine of the tests, by one of its addresses (127.0.0.1 and others), for tests that need no second host."""

    address: str = "127.0.0.1"
    name: str = field(default_factory=socket.gethostname)

    def popen(
        self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, output: int | None = None
    ) -> subprocess.Popen[str]:
        """Starts a command in a process group of its own."""
        return subprocess.Popen(
            command,
            env=variables(env or {}),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


Place: TypeAlias = Host | Loopback
"""Where a process of a cluster runs."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs: what --engine is given, the variables that its driver needs, and the processes by host."""

    engine: str
    env: dict[str, str]
    processes: dict[str, subprocess.Popen[str]]


@contextlib.contextmanager
def ray_cluster(head: Place, *nodes: Place, folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A Ray cluster with one CPU a node; `env` is for the nodes but the head."""
    require_package("ray")
    token = folder / "ray-token"
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o600)
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    port = free_port(head, 6379)
    start = ["ray", "start", "--block", "--num-cpus=1", f"--object-store-memory={OBJECT_STORE_BYTES}"]
    short = Path(tempfile.mkdtemp(prefix="ray"))  # for a socket's path has no more than 107 bytes
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, short, ignore_errors=True)
        begun: dict[str, subprocess.Popen[str]] = {}
        for number, place in enumerate((head, *nodes)):
            own = [f"--node-ip-address={place.address}", f"--temp-dir={short / str(number)}"]
            which = ["--head", f"--port={port}", "--include-dashboard=false", *client_port(head)]
            if number:
                which = [f"--address={head.address}:{port}"]
                until(lambda: answers(head, port), "the head does not answer", process=begun["head"])
            more = dict(env or {}) if number else {}
            begun[place.name if number else "head"] = stack.enter_context(
                daemon(place, [*start, *own, *which], folder / f"ray-{number}.log", secret | more)
            )
        wait_for_nodes(head, port, secret, 1 + len(nodes))
        yield Cluster(f"ray:{head.address}:{port}", secret, begun)


@contextlib.contextmanager
def dask_cluster(
    scheduler: Place, *workers: Place, folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """A Dask scheduler with a scheduler file, and workers of one thread; `env` is for the last worker."""
    require_package("distributed")
    file = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", f"--scheduler-file={file}"]
    with contextlib.ExitStack() as stack:
        own = [f"--host={scheduler.address}", f"--port={free_port(scheduler, 8786)}"]
        begun = {"scheduler": stack.enter_context(daemon(scheduler, [*command, *own], folder / "dask-scheduler.log"))}
        until(file.exists, "the scheduler has written no file", process=begun["scheduler"])
        for number, place in enumerate(workers):
            local = folder / f"dask-{number}"
            own = [f"--host={place.address}", "--nthreads=1", "--no-dashboard", f"--local-directory={local}"]
            command = [sys.executable, "-m", "distributed.cli.dask_worker", f"--scheduler-file={file}", *own]
            more = env if env and number == len(workers) - 1 else {}
            begun[f"worker {number}"] = stack.enter_context(daemon(place, command, folder / f"dask-{number}.log", more))
        if workers:
            wait_for_workers(scheduler, file, len(workers))
        yield Cluster(f"dask:{file}", {}, begun)


@contextlib.contextmanager
def daemon(
    place: Place, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that runs until the end; the test that fails meanwhile shows what it has said."""
    with log.open("w") as words:
        process = place.popen(command, env=env, output=words.fileno())
    try:
        yield process
    except BaseException as error:
        error.add_note(f"{log.name}, with status {process.poll()}: {log.read_text()[-2000:]}")
        raise
    finally:
        end(process)


def wait_for_nodes(head: Place, port: int, env: Mapping[str, str], count: int) -> None:
    """Returns when so many nodes are in the cluster; a driver on the head's host asks."""
    code = f"""
import ray, time
ray.init(address="{head.address}:{port}", logging_level="error")
while sum(node["Alive"] for node in ray.nodes()) < {count}:
    time.sleep(0.2)
"""
    run_on(head, [sys.executable, "-c", code], env)


def wait_for_workers(scheduler: Place, file: Path, count: int) -> None:
    """Returns when so many workers have come to the scheduler."""
    code = f"""
import distributed
with distributed.Client(scheduler_file="{file}") as client:
    client.wait_for_workers({count}, timeout=50)
"""
    run_on(scheduler, [sys.executable, "-c", code], {})


def run_on(place: Place, command: Sequence[str | Path], env: Mapping[str, str], seconds: float = 60) -> str:
    """What a command prints there; the test fails if it does not end well in this time."""
    process = place.popen(command, env=env, output=subprocess.PIPE)
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        end(process)
        pytest.fail(f"{command} has not ended after {seconds} s: {process.communicate()[0][-6000:]}")
    if process.returncode:
        pytest.fail(f"{command} ended with {process.returncode}: {output[-6000:]}")
    return output


def client_port(head: Place) -> list[str]:
    """The option that gives Ray's clients a port of their own, where Ray is installed with what serves them."""
    return [f"--ray-client-server-port={free_port(head, 10001)}"] if find_spec("grpc") else []


def answers(place: Place, port: int) -> bool:
    """Whether somebody listens there."""
    code = f"import socket; socket.create_connection(('{place.address}', {port}), 1)"
    process = place.popen([sys.executable, "-c", code], output=subprocess.DEVNULL)
    return process.wait() == 0


def free_port(place: Place, usual: int) -> int:
    """A port on which nobody listens at this place: the usual one on a made host, which is new."""
    if isinstance(place, Host):
        return usual
    with socket.create_server((place.address, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def require_package(name: str) -> None:
    """The test skips where an engine is not installed, and fails in CI, which installs it."""
    if find_spec(name) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing; make test-cluster installs it")
        pytest.skip(f"{name} is not installed")
