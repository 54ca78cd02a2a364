"""The cluster of Dask: how it is found, and how tasks, beats and the order to stop cross it.

Beats are events of a topic, which the scheduler sends on to this client. A task learns that it is not wanted from its
own worker, which is told when the client cancels the future, or is gone. A future is released as soon as it was read:
Dask runs finished tasks again whose worker dies. A cluster that was there is left as it was found. Deciding is the
engine's part (see remote).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import sys
import warnings
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError
from typing import Any

from parallel_sharder.engines.cluster import (
    CONNECT_SECONDS,
    Answer,
    Beat,
    ClusterLostError,
    ClusterNode,
    Done,
    connected,
)
from parallel_sharder.engines.remote_worker import answer, by_value
from parallel_sharder.engines.starting import import_path
from parallel_sharder.errors import WorkerError

_GONE = "its scheduler does not answer any more"

_LOCAL_SECONDS = 60.0
"""The time that a cluster of this host has to start."""


def open_dask(address: str, workers: int, version: str) -> DaskCluster:
    """Return the cluster at this address, or of this scheduler file; "" means Dask's own setting, or one started here.

    A cluster that is started here has so many `workers`. `version` is that of this package, which all hosts must have.
    Raises WorkerError if the address does not answer.
    """
    import dask
    import distributed

    for name in [*logging.root.manager.loggerDict]:  # what matters becomes a sentence of ours
        if name.partition(".")[0] == distributed.__name__:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    address = address or dask.config.get("scheduler-address", None) or ""
    if not address:
        started = (
            "no Dask cluster was found (DASK_SCHEDULER_ADDRESS is not set), so one was started on this host, with "
            f"{workers} workers"
        )
        remedy = "Start one yourself, and name it with --engine dask:tcp://HOST:PORT."
        local, client = connected(lambda: _start(workers), "a Dask cluster on this host", remedy, _LOCAL_SECONDS)
        return DaskCluster(client, version, local, started)
    remedy = "Check the address (--engine dask:tcp://HOST:PORT), and that the scheduler runs."
    if address.startswith("tls"):
        remedy = "Check the address, and Dask's settings distributed.comm.tls (ca-file, client.cert, client.key)."
    at = address if "://" in address else _address_in(address)
    name = f"the Dask cluster {at}"
    client = connected(lambda: _client(at), name, remedy)
    return DaskCluster(client, version)


def _address_in(path: str) -> str:
    """Return the address that a scheduler file names. Raises WorkerError if it is none."""
    try:
        with open(path, "rb") as file:
            return str(json.load(file)["address"])
    except OSError as error:
        words = f"cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError):
        words = "is no scheduler file of Dask"
    raise WorkerError(f"{path} {words}. Name the file that dask scheduler --scheduler-file writes, or tcp://HOST:PORT.")


def _client(address: str) -> Any:
    import distributed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that versions of libraries differ
        client = distributed.Client(address, timeout=CONNECT_SECONDS - 3, set_as_default=False, name="parallel-sharder")
    here, there = (dict(client.get_versions()[side]["host"])["python"] for side in ("client", "scheduler"))
    if here.split(".")[:2] != there.split(".")[:2]:
        client.close()
        raise WorkerError(f"the Dask cluster {address} has Python {there}, and here is {here}. Use the same on both.")
    return client


def _start(workers: int) -> tuple[Any, Any]:
    """Return a new cluster of this host whose workers have joined, and a client of it.

    Its workers are started as commands of their own: Dask's other ways import the calling script again. They are in a
    session of their own, so that Ctrl-C reaches this process alone, and they end when their scheduler does.
    """
    import dask
    from distributed import Client, Scheduler, SpecCluster
    from distributed.deploy.subprocess import Subprocess

    class Worker(Subprocess):  # type: ignore[misc]
        def __init__(self, scheduler: str, name: object = None) -> None:
            super().__init__()
            self._scheduler, self.name = scheduler, name

        async def _start(self) -> None:
            options = {"host": "127.0.0.1", "nthreads": 1, "dashboard": False}
            spec = json.dumps({"cls": "distributed.Nanny", "opts": options})
            words = (sys.executable, "-P", "-m", "dask", "spec", self._scheduler, "--spec", spec)
            self.process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
                start_new_session=True,
            )

    place = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = SpecCluster(
            workers={number: {"cls": Worker} for number in range(workers)},
            scheduler={"cls": Scheduler, "options": place},
            silence_logs=False,
        )
    client = Client(cluster, set_as_default=False)
    client.wait_for_workers(workers)
    return cluster, client


def work(number: int, packed: bytes, topic: str) -> Answer:
    """Do a packed task on a worker of Dask; its beats are events of the topic."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def send(beat: Beat) -> bool:
        worker.log_event(topic, list(beat))
        state = worker.state.tasks.get(key)
        return state is None or state.state == "cancelled" or worker.status.name != "running"

    return answer(packed, worker.address, send, number)


def _key() -> Callable[[], str]:
    """Return the function that returns Dask's name for the worker; it is pickled with its code (see by_value)."""

    def key() -> str:
        from distributed import get_worker

        return str(get_worker().address)

    return key


def _forgetting(topic: str) -> Callable[..., None]:
    """Return the function that removes a topic's events from the scheduler, which would keep them for ever."""

    def forget(dask_scheduler: Any) -> None:
        dask_scheduler._broker._topics.pop(topic, None)

    return forget


class DaskCluster:
    """The Cluster of Dask to which `client` is connected; `local` is the cluster that was started here, or None."""

    def __init__(self, client: Any, version: str, local: Any = None, started: str = "") -> None:
        self._client, self._local, self.started = client, local, started
        self.name = f"the Dask cluster {client.scheduler.address}"
        self._function = by_value(__name__, version, _key())
        self._run = f"parallel_sharder-{secrets.token_hex(8)}"
        self._beats: deque[Beat] = deque()
        self._able: list[str] = []
        self._bound: dict[Any, frozenset[str]] = {}
        client.subscribe_topic(self._run, self._hear)

    def _hear(self, event: tuple[float, Sequence[Any]]) -> None:
        self._beats.append(Beat(*event[1]))

    def nodes(self) -> Sequence[ClusterNode]:
        """As Cluster says."""
        try:
            threads = self._client.nthreads()
        except OSError as error:
            raise ClusterLostError(_GONE) from error
        self._able = list(threads)
        for future, able in [*self._bound.items()]:
            if able.isdisjoint(threads):  # it would wait for ever for workers that are gone
                future.cancel()
        return [
            ClusterNode(address, address.rpartition("/")[2].rpartition(":")[0], threads[address]) for address in threads
        ]

    def submit(self, number: int, packed: bytes, refused: Collection[str], done: Done) -> Any:
        """As Cluster says."""
        able = [address for address in self._able if address not in refused] if refused else None
        future = self._client.submit(
            self._function, number, packed, self._run, key=f"{self._run}-{number}", pure=False, retries=0, workers=able
        )

        if able is not None:
            self._bound[future] = frozenset(able)
        self._client.loop.add_callback(self._fetch, future, number, done)
        return future

    async def _fetch(self, future: Any, number: int, done: Done) -> None:
        """Wait for the answer in the client's own loop: Dask's callbacks would wait for one worker after the other."""
        try:
            answer = await future
        except OSError:  # of this client's connection; what a task raises comes as an answer
            answer = ClusterLostError(_GONE)
        except Exception as error:
            answer = error
        future.release()
        self._bound.pop(future, None)
        done(number, answer)

    def poll(self, stopped: bool, unwanted: Collection[int]) -> Sequence[Beat] | None:
        """As Cluster says. Tasks that are to stop were cancelled before, of which their workers know."""
        del stopped, unwanted
        if self._client.status != "running":
            raise ClusterLostError(_GONE)
        beats = []
        with contextlib.suppress(IndexError):
            while True:
                beats.append(self._beats.popleft())
        return beats

    def cancel(self, handle: Any, *, begun: bool) -> None:
        """As Cluster says."""
        del begun
        handle.cancel()

    def death(self, error: BaseException) -> str:
        """As Cluster says."""
        from distributed.scheduler import KilledWorker

        if isinstance(error, CancelledError):
            return "cancelled by Dask"
        return "lost with its process" if isinstance(error, KilledWorker) else ""

    def close(self) -> None:
        """As Cluster says."""
        with contextlib.suppress(Exception):  # the scheduler is gone
            self._client.unsubscribe_topic(self._run)
            self._client.run_on_scheduler(_forgetting(self._run))
        self._client.close()
        if self._local is not None:
            self._local.close()
