"""The clusters of the tests: each runs a plain function on every host that it should have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.cluster.clusters import Cluster, Loopback, Place, dask_cluster, ray_cluster, run_on
from tests.cluster.hosts import Network, is_alive

RAY = """
import ray, socket, sys
ray.init(address=sys.argv[1].removeprefix("ray:"), logging_level="error", log_to_driver=False)
@ray.remote(scheduling_strategy="SPREAD")
def where(): import time; time.sleep(1); return socket.gethostname()
print(*sorted(set(ray.get([where.remote() for _ in range(4)]))))
"""
DASK = """
import distributed, socket, sys
with distributed.Client(scheduler_file=sys.argv[1].removeprefix("dask:")) as client:
    print(*sorted(client.run(socket.gethostname).values()))
"""


def hosts_of(cluster: Cluster, driver: Place, code: str) -> str:
    return run_on(driver, [sys.executable, "-c", code, cluster.engine], cluster.env).splitlines()[-1]


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def test_ray_over_two_hosts(two_hosts: Network, tmp_path: Path) -> None:
    """A driver on the head's host has its functions run on both."""
    with ray_cluster(two_hosts.one, two_hosts.two, folder=tmp_path) as cluster:
        assert "one two" == hosts_of(cluster, two_hosts.one, RAY)


def test_dask_over_two_hosts(two_hosts: Network, tmp_path: Path) -> None:
    """A driver beside the scheduler has its functions run on the hosts of both workers."""
    with dask_cluster(two_hosts.login, two_hosts.one, two_hosts.two, folder=tmp_path) as cluster:
        assert "one two" == hosts_of(cluster, two_hosts.login, DASK)


@pytest.mark.parametrize(("cluster_on", "code"), [(ray_cluster, RAY), (dask_cluster, DASK)])
def test_on_this_machine(cluster_on: Callable[..., object], code: str, tmp_path: Path) -> None:
    """Without a second host, a cluster has two nodes here; all its processes end with it."""
    here = Loopback()
    with cluster_on(here, Loopback("127.0.0.2"), Loopback("127.0.0.3"), folder=tmp_path) as cluster:  # type: ignore[attr-defined]
        assert {here.name} == set(hosts_of(cluster, here, code).split())
        begun = [child for process in cluster.processes.values() for child in family(process.pid)]
    assert [] == [process for process in begun if is_alive(process)]
