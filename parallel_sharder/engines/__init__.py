"""Engines: each runs functions on tasks, in processes or in this process, and knows neither functions nor tasks.

Each engine is one file that answers to `engine.Engine`. Each command opens one engine by `running`, which also turns
what stops the command into a SharderError with a sentence. A conversion can open a second one, on a cluster.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.limits import explaining_errors
from parallel_sharder.errors import missing_package


@contextlib.contextmanager
def running(workers: int | None, start_method: str | None = None, preload: str = "") -> Iterator[Engine]:
    """Hold an engine for one command inside the block, as open_engine returns it; None means a worker for each core.

    An error inside the block that does not explain itself (a worker's death, missing memory, another limit of the
    machine, an OSError) becomes a SharderError that says why.
    """
    with explaining_errors():
        if workers is None:
            from parallel_sharder.engines import cores  # only when it is needed: workers import this module

            workers = cores.usable_cores()
        with open_engine(workers, start_method, preload) as engine:
            yield engine


def open_engine(workers: int, start_method: str | None = None, preload: str = "") -> Engine:
    """Return an engine with this number of workers: this process for 0, otherwise processes.

    `preload` names the module that tasks need most: if workers are copies of a server, the server imports it once.
    Raises WorkerError if the engine cannot be made.
    """
    if workers == 0:
        from parallel_sharder.engines.inline import Inline

        return Inline()
    from parallel_sharder.engines import processes

    return processes.open_engine(workers, start_method, preload)


def open_cluster(name: str, address: str, workers: int | None, cpus_per_task: int) -> Engine:
    """Return an engine on the cluster of `name` ("ray" or "dask") at this address.

    "" means the cluster that the library's own setting names, or one that is started on this host. `workers` None means
    as many tasks at a time as the cluster has CPUs for. Raises MissingPackageError if the library is not installed, and
    WorkerError if the cluster cannot be used.
    """
    package = {"ray": "ray", "dask": "distributed"}[name]
    if importlib.util.find_spec(package) is None:
        raise missing_package(f"the engine {name} needs the package {package}", name)
    from parallel_sharder import __version__
    from parallel_sharder.engines import cores, remote

    if name == "ray":
        from parallel_sharder.engines.ray import open_ray

        cpus = (workers or 0) * cpus_per_task or cores.usable_cores()
        return remote.Remote(open_ray(address, cpus, cpus_per_task, __version__), workers, cpus_per_task)
    from parallel_sharder.engines.dask import open_dask

    return remote.Remote(open_dask(address, workers or cores.usable_cores(), __version__), workers, cpus_per_task)
