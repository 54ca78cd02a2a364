"""The cluster's interface: what an engine of other hosts needs from Ray, from Dask, or from a test.

A Cluster is connected when it is made. It lists its nodes, runs what `remote_worker.by_value` has made on one of them,
and carries Beats to the coordinator and the order to stop to the worker. It decides nothing: who gets a task again, and
when a worker counts as dead, is for `remote.Remote` to say. All methods are called from one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from parallel_sharder.errors import WorkerError

T = TypeVar("T")

CONNECT_SECONDS = 15.0
"""The time that an address has to answer. Less refuses a head node that is busy; with more a user waits for a typo."""


class ClusterLostError(Exception):
    """The cluster itself does not answer any more; its text says what of it, in the middle of a sentence."""


class ClusterNode(NamedTuple):
    """A place that runs tasks: a node of Ray, or a worker process of Dask. `key` is the cluster's name for it."""

    key: str
    host: str
    cpus: int


class Beat(NamedTuple):
    """A sign of life of a task. `start` differs for each time that the submission `number` is begun on a worker.

    `ended` is true of the last beat, when the result is ready to be sent, or the function has raised an error.
    """

    number: int
    start: str
    host: str
    samples: int
    written_bytes: int
    ended: bool = False


Answer = tuple[str, str, str, Any]
"""What comes back from a worker: "done", "failed" or "refused", the node's key, the host's name, and the pickled
result, the pickled error, or the reason in words. A plain tuple can be made by a host without this package too."""

Done = Callable[[int, Answer | BaseException], None]
"""Called, from any thread, with the number of a submission, and with its answer or with what the cluster says of it.

A ClusterLostError says that the cluster itself is gone."""


class Cluster(Protocol):
    """A cluster that is connected."""

    name: str
    """The cluster for people: "the Ray cluster 10.0.0.1:6379"."""
    started: str
    """A sentence that this process has started the cluster, and why; "" if the cluster was there."""

    def nodes(self) -> Sequence[ClusterNode]:
        """Return the nodes that are alive."""

    def submit(self, number: int, packed: bytes, refused: Collection[str], done: Done) -> Any:
        """Have the packed task done once, on a node whose key is not `refused`; return a handle to cancel it."""

    def poll(self, stopped: bool, unwanted: Collection[int]) -> Sequence[Beat] | None:
        """Return the beats since the last call; None if the channel is down for the moment.

        All tasks are told to stop if `stopped`, and otherwise those of the `unwanted` submissions.
        """

    def cancel(self, handle: Any, *, begun: bool) -> None:
        """Cancel a submission: one that has `begun` is not interrupted, because it asks whether to stop."""

    def death(self, error: BaseException) -> str:
        """Return how the worker was lost, in a participle ("killed"), if this error says so; else ""."""

    def close(self) -> None:
        """Disconnect, and leave nothing in the cluster; end it if this process has started it."""


def connected(connect: Callable[[], T], what: str, remedy: str, seconds: float = CONNECT_SECONDS) -> T:
    """Return what `connect` returns. Raises WorkerError if it takes too long, or if it raises an exception.

    It is called in a thread of its own, which is left alone if it takes too long. There Ray sets no signal handlers.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(connect())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, name="connector", daemon=True)
    thread.start()
    thread.join(seconds)
    if results:
        return results[0]
    if not errors:
        raise WorkerError(f"{what} does not answer within {seconds:.0f} s. {remedy}")
    if isinstance(errors[0], WorkerError):
        raise errors[0]
    words = " ".join(str(errors[0]).split()) or type(errors[0]).__name__
    raise WorkerError(f"{what} cannot be used: {words.rstrip('.')}. {remedy}") from errors[0]
