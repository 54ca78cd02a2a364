"""The cluster of Ray: how it is found, and how tasks, beats and the order to stop cross it.

Tasks are Ray tasks without retries. Beats go to one actor, which needs no CPU and belongs to this process's job; the
coordinator asks it for the beats of all workers at once. Ray prints nothing and sets no signal handlers here. A cluster
that was there is left as it was found; the actor ends with the job. Deciding is the engine's part (see remote).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
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
from parallel_sharder.errors import WorkerError

_QUIET = {"log_to_driver": False, "logging_level": logging.CRITICAL}

_CALL_SECONDS = 5.0
"""The time for a worker's call of the actor. A beat that takes longer is replaced by the next one."""

_POLL_SECONDS = 0.2
"""How long the coordinator waits for the actor. With more, tasks wait too; an answer that comes later is not lost."""

_HEADLESS_SECONDS = 30.0
"""How long the head may be away, which some clusters start again. After 60 s Ray ends this process."""

_LOCAL = "local"

_NODE_LABEL = "ray.io/node-id"
"""The label that Ray gives to each node: https://docs.ray.io/en/latest/ray-core/scheduling/labels.html"""


def open_ray(address: str, cpus: int, cpus_per_task: int, version: str) -> RayCluster:
    """Return the cluster at this address; "" means RAY_ADDRESS, a cluster on this host, or one that is started here.

    "local" always starts one here, as it does for Ray. A cluster that is started here has `cpus` CPUs. Each task
    reserves `cpus_per_task` of them. `version` is that of this package, which all hosts must have. Raises WorkerError
    if the address does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it calls home
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # or its C++ part prints warnings while the run goes on
    import ray

    if ray.is_initialized():
        if address:
            raise WorkerError(f"this process is connected to a Ray cluster already. Leave the address {address} out.")
        return RayCluster(ray, "of this process", cpus_per_task, version, owned=False)
    _be_quiet()
    address = address or _from_environment() or _here()
    if address and address != _LOCAL:
        return _at(ray, address, cpus_per_task, version)
    # The cluster's processes end with the thread that starts them: so that is this one.
    with _keeping_signals(), _quietly():
        ray.init("local", num_cpus=cpus, include_dashboard=False, _node_ip_address="127.0.0.1", **_QUIET)
    why = "a local Ray cluster is asked for" if address else "no Ray cluster was found (RAY_ADDRESS is not set)"
    started = f"{why}, so one was started on this host, with {cpus} CPUs"
    return RayCluster(ray, "on this host", cpus_per_task, version, started=started)


def _from_environment() -> str:
    """Return the address that RAY_ADDRESS names; "" if it names none, or is "auto", which means one on this host."""
    address = os.environ.get("RAY_ADDRESS", "")
    return "" if address == "auto" else address


def _here() -> str:
    """Return the address of the cluster that runs on this host; "" if none does."""
    from ray._private import services  # what ray.init("auto") asks, which would connect too

    try:
        found = str(services.get_ray_address_from_environment("auto", None))
    except ConnectionError:
        return ""
    return found if _answers(found) else ""  # it may be in a container of this host


@contextlib.contextmanager
def _keeping_signals() -> Iterator[None]:
    """Set the handlers of signals again that Ray replaces inside the block, in Python and below it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Drop what is written to standard error meanwhile: Ray's C++ part writes there before it knows its level."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _at(ray: Any, address: str, cpus_per_task: int, version: str) -> RayCluster:
    remedy = "Check that it runs, and that this host is one of its nodes; if it is none, use --engine ray://HOST:PORT. "
    remedy += "If it wants a token, RAY_AUTH_MODE and the token have to be the cluster's."
    if address.startswith("ray://"):
        remedy = "Check the address, and that the cluster's head serves Ray's client there (its default port is 10001)."
    _knock(address, remedy)

    def connect() -> None:
        ray.init(address, **_QUIET)

    with _keeping_signals(), _quietly():
        connected(connect, f"the Ray cluster {address}", remedy)
    return RayCluster(ray, address, cpus_per_task, version, head="" if address.startswith("ray://") else address)


def _knock(address: str, remedy: str) -> None:
    """Raise WorkerError if nothing listens at the address: Ray itself would try for minutes."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS / 2).close()
    except ValueError:
        raise WorkerError(f"the Ray cluster {address} has no port. {remedy}") from None
    except OSError as error:
        words = "no answer" if isinstance(error, TimeoutError) else error.strerror or error
        raise WorkerError(f"the Ray cluster {address} cannot be reached: {words}. {remedy}") from error


def _answers(address: str) -> bool:
    try:
        _knock(address, "")
    except WorkerError:
        return False
    return True


def _be_quiet() -> None:
    """Keep Ray from printing the deaths of workers to standard output, where the result is printed; a Death tells it.

    Ray has no option for it. If a version lacks this function, its messages are seen.
    """
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def work(number: int, packed: bytes, actor: Any) -> Answer:
    """Do a packed task on a worker of Ray; the actor takes its beats."""
    import ray

    def send(beat: Beat) -> bool:
        return bool(ray.get(actor.beat.remote(tuple(beat)), timeout=_CALL_SECONDS))

    return answer(packed, _key()(), send, number)


def _key() -> Callable[[], str]:
    """Return the function that returns Ray's name for the node; it is pickled with its code (see by_value)."""

    def key() -> str:
        import ray

        return str(ray.get_runtime_context().get_node_id())

    return key


def _switchboard() -> type:
    """Return the class of the actor, which is pickled with its code: its node may lack this package."""

    class Switchboard:
        """Keeps the last beat of each task until it is taken, and which tasks are to stop."""

        def __init__(self) -> None:
            self._beats: dict[tuple[int, str], Any] = {}
            self._stopped = False
            self._unwanted: frozenset[int] = frozenset()

        def beat(self, beat: Any) -> bool:
            self._beats[beat[0], beat[1]] = beat
            return self._stopped or beat[0] in self._unwanted

        def take(self, stopped: bool, unwanted: frozenset[int]) -> list[Any]:
            self._stopped, self._unwanted = stopped, unwanted
            beats, self._beats = [*self._beats.values()], {}
            return beats

    return Switchboard


class RayCluster:
    """The Cluster of Ray, to which this process is connected. If it is `owned`, `close` disconnects.

    `head` is the address of the cluster's head, if it has to be watched: without it Ray's calls never return, and after
    a minute Ray ends this process and says nothing.
    """

    def __init__(
        self,
        ray: Any,
        name: str,
        cpus_per_task: int,
        version: str,
        *,
        owned: bool = True,
        started: str = "",
        head: str = "",
    ) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray, self._owned, self._head, self.started = ray, owned, head, started
        self._asked: Any = None
        self._nodes: list[ClusterNode] = []
        self._answered = time.monotonic()
        self.name = f"the Ray cluster {name}"
        self._function = ray.remote(
            num_cpus=cpus_per_task, max_retries=0, scheduling_strategy="SPREAD", name="parallel_sharder chunk"
        )(by_value(__name__, version, _key()))
        # A soft affinity is not kept: the actor could be on a host that is lost, while all others go on unheard.
        near = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._actor = ray.remote(_switchboard()).options(
            num_cpus=0, max_restarts=-1, scheduling_strategy=near
        ).remote()  # fmt: skip

    def nodes(self) -> Sequence[ClusterNode]:
        """As Cluster says; those of before while the head does not answer."""
        if self._head and not _answers(self._head):
            if time.monotonic() > self._answered + _HEADLESS_SECONDS:
                raise ClusterLostError("its head does not answer any more")
            return self._nodes
        self._answered = time.monotonic()
        self._nodes = [
            ClusterNode(node["NodeID"], node["NodeManagerHostname"], int(node["Resources"].get("CPU", 0)))
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        ]
        return self._nodes

    def submit(self, number: int, packed: bytes, refused: Collection[str], done: Done) -> Any:
        """As Cluster says."""
        function = self._function
        if refused:
            function = function.options(label_selector={_NODE_LABEL: f"!in({','.join(refused)})"})
        reference = function.remote(number, packed, self._actor)

        def tell(future: Any) -> None:
            error = future.exception()
            done(number, future.result() if error is None else error)

        reference.future().add_done_callback(tell)
        return reference

    def poll(self, stopped: bool, unwanted: Collection[int]) -> Sequence[Beat] | None:
        """As Cluster says."""
        if self._asked is None:
            self._asked = self._actor.take.remote(stopped, frozenset(unwanted))
        if not self._ray.wait([self._asked], timeout=_POLL_SECONDS)[0]:
            return None
        asked, self._asked = self._asked, None
        try:
            beats = self._ray.get(asked)
        except self._ray.exceptions.RayActorError:
            return None  # it is started again
        return [Beat(*beat) for beat in beats]

    def cancel(self, handle: Any, *, begun: bool) -> None:
        """As Cluster says."""
        if not begun:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(handle, force=False)

    def death(self, error: BaseException) -> str:
        """As Cluster says."""
        errors = self._ray.exceptions
        for kinds, words in (
            (errors.OutOfMemoryError, "killed by Ray for lack of memory"),
            (errors.NodeDiedError, "lost with its node"),
            ((errors.WorkerCrashedError, errors.LocalRayletDiedError), "lost with its process"),
            (errors.ObjectLostError, "lost with its result"),
        ):
            if isinstance(error, kinds):
                return words
        return ""

    def close(self) -> None:
        """As Cluster says."""
        with contextlib.suppress(Exception):  # it ended with its node
            self._ray.kill(self._actor)
        if self._owned:
            self._ray.shutdown()
