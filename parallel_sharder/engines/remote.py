"""The engine of a cluster: tasks are submitted to other hosts, and whoever does not answer is given up.

            begin                 submit                            answer, beat
    caller ------> one thread ----------------> Cluster: a worker ----------------> the hand

One thread owns all that is known of the tasks, so nothing is locked. The cluster's own retries are off where they can
be. A submission that dies, is silent, or is begun a second time by the cluster ends as a Death, and its late answer is
ignored. A host that its check refuses is no death: the task is submitted again, to the others. The number of slots
follows the cluster. This module knows neither Ray nor Dask (see cluster.Cluster).
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from parallel_sharder.engines.cluster import Answer, Beat, Cluster, ClusterLostError, ClusterNode
from parallel_sharder.engines.engine import Check, Engine, Hand
from parallel_sharder.engines.remote_worker import pack
from parallel_sharder.errors import Death, SharderError, StoppedError, WorkerError
from parallel_sharder.text import counted

TICK_SECONDS = 0.5
"""How often beats are fetched. Progress is promised every two seconds, and a beat is up to one second old."""

NODES_SECONDS = 2.0
"""How often the cluster's nodes are listed. It is how long a node that joins waits for work."""

SILENT_SECONDS = 30.0
"""How long a task may be silent that has given a sign of life. Less takes a host for dead that swaps; with more, a cut
cable holds up a chunk for longer."""

DEAF_SECONDS = 45.0
"""How long the channel of beats may be down. Less stops a run whose channel is being started again; with more a user
waits for a cluster that is gone."""

LOST_RESULTS = 3
"""How often a task is done again whose worker has died after the function had ended. Such a death is another task's;
more of them in a row are this one's."""

STOP_SECONDS = 12.0
"""How long functions have to stop; 15 s are promised for everything."""

TASKS_AHEAD = 2
"""The tasks in hand beyond the cluster's capacity, so that no worker waits for the coordinator, and that a cluster
which grows on demand sees a demand."""


@dataclass(eq=False)
class _Attempt:
    """A task that is submitted, and what its beats have told: `start` is "" before the first.

    A worker that dies once the function has `ended` dies of another task, and this one is only done again.
    """

    number: int
    hand: Hand[Any, Any]
    handle: Any = None
    start: str = ""
    host: str = ""
    heard: float = 0.0
    ended: bool = False
    cancelled: bool = False


_Message = Hand[Any, Any] | tuple[int, Answer | BaseException] | None
"""A task that begins, the answer to a submission, or None to wake the thread."""


class Remote(Engine):
    """Runs tasks on a cluster; with `workers` None, as many at a time as the cluster has `cpus` for.

    The cluster belongs to the engine from now on. Raises WorkerError if no node has so many CPUs.
    """

    def __init__(self, cluster: Cluster, workers: int | None, cpus: int) -> None:
        self.name = cluster.name
        self._cluster, self._wanted, self._cpus = cluster, workers, cpus
        self.workers = self._capacity = 0
        self._inbox: SimpleQueue[_Message] = SimpleQueue()
        self._attempts: dict[int, _Attempt] = {}
        self._numbers = itertools.count()
        self._unwanted: set[int] = set()
        self._refused: dict[str, str] = {}
        self._present: set[str] = set()
        self._lost_results: Counter[Hand[Any, Any]] = Counter()
        self._check: tuple[Check | None, bytes] = None, b""
        self._told: dict[int, tuple[int, int]] = {}
        self._news = SimpleQueue[str]()
        self._polled = time.monotonic()
        self._failure: Exception | None = None
        self._closing = self._stopped = self._is_empty = False
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        if cluster.started:
            self._news.put(cluster.started)
        try:
            self._look_at_nodes()
            self._thread.start()
        except BaseException:
            cluster.close()
            raise

    @property
    def slots(self) -> int:  # type: ignore[override]
        """As Engine says."""
        return self._wanted or self._capacity + TASKS_AHEAD

    def begin(self, hand: Hand[Any, Any]) -> None:
        """As Engine says. Raises the error that has ended the thread, if there is one."""
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise RuntimeError("the engine is closed")
        self._inbox.put(hand)
        if self._failure is not None:  # the thread may not have seen this one
            self._fail_waiting(self._failure)

    def clear(self, slot: int) -> None:
        """As Engine says."""
        self._told.pop(slot, None)

    def told(self) -> tuple[int, int]:
        """As Engine says."""
        told = list(self._told.values())
        return sum(samples for samples, _ in told), sum(written for _, written in told)

    def news(self) -> list[str]:
        """As Engine says."""
        news = []
        with contextlib.suppress(Empty):
            while True:
                news.append(self._news.get_nowait())
        return news

    def stop(self) -> None:
        """As Engine says: functions have STOP_SECONDS to stop, and are then given up."""
        self._stopped = True
        self.close()

    def close(self) -> None:
        """As Engine says."""
        self._closing = True
        self._inbox.put(None)
        self._thread.join(STOP_SECONDS + 2 if self._stopped else None)

    def _run(self) -> None:
        """Run the thread, and whatever ends it, leave nobody waiting."""
        try:
            self._work()
            if self._stopped:
                self._end_all()
        except Exception as error:
            self._fail(error)
        with contextlib.suppress(Exception):  # it may be gone
            self._cluster.close()

    def _work(self) -> None:
        """Submit tasks and receive answers, until the engine is stopped, or closes and has no task in hand."""
        ticked = looked = time.monotonic()
        while not self._stopped:
            self._receive(ticked + TICK_SECONDS)
            if self._closing and not self._attempts and self._inbox.empty():
                return
            now = time.monotonic()
            if now < ticked + TICK_SECONDS:
                continue
            ticked = now
            self._listen()
            if now >= looked + NODES_SECONDS:
                looked = now
                self._look_at_nodes()

    def _end_all(self) -> None:
        """Cancel all that is submitted, and wait for the functions to stop."""
        for attempt in self._attempts.values():
            self._cluster.cancel(attempt.handle, begun=bool(attempt.start))
        deadline = time.monotonic() + STOP_SECONDS
        while self._attempts and time.monotonic() < deadline:
            self._listen()
            self._receive(min(deadline, time.monotonic() + TICK_SECONDS))

    def _receive(self, until: float) -> None:
        """Handle one message, and those that wait behind it; wait for the first until this time."""
        with contextlib.suppress(Empty):
            message = self._inbox.get(timeout=max(0.0, until - time.monotonic()))
            while True:
                if isinstance(message, Hand):
                    self._submit(message)
                elif message is not None:
                    self._answered(*message)
                message = self._inbox.get_nowait()

    def _submit(self, hand: Hand[Any, Any]) -> None:
        if self._stopped:
            return
        attempt = _Attempt(next(self._numbers), hand)
        try:
            packed = pack(self._packed_check(hand.check), hand.function, hand.task)
        except Exception as error:  # it cannot be pickled
            hand.fail(error)
            return
        self._attempts[attempt.number] = attempt
        hand.begins()  # or later, as its first beat will tell
        done = self._inbox.put
        attempt.handle = self._cluster.submit(
            attempt.number, packed, self._refused.keys(), lambda number, answer: done((number, answer))
        )

    def _packed_check(self, check: Check | None) -> bytes:
        """Return the check pickled, which is done once, so that it has the same bytes for all tasks."""
        if check is not self._check[0]:
            self._check = check, b"" if check is None else pickle.dumps(check)
        return self._check[1]

    def _answered(self, number: int, answer: Answer | BaseException) -> None:
        """Hand on the answer to a submission, unless it was given up."""
        if self._is_empty:  # somebody has joined, and was done before the first beat was heard
            self._look_at_nodes()
        attempt = self._attempts.pop(number, None)
        if attempt is None:
            self._unwanted.discard(number)
            return
        hand = attempt.hand
        if isinstance(answer, CancelledError) and self._stopped and attempt.start and not attempt.ended:
            attempt.cancelled = True
            self._attempts[number] = attempt  # the function has not stopped yet; its last beat will say so
            return
        if isinstance(answer, ClusterLostError):  # the cluster itself is gone
            self._attempts[number] = attempt
            raise answer
        if isinstance(answer, BaseException):
            self._failed(attempt, self._error(attempt, answer))
            return
        kind, key, host, content = answer
        if kind == "refused":
            self._inbox.put(hand)
            self._refuse(key, host, content)
            return
        try:
            result = pickle.loads(content)  # noqa: S301  our worker has sent it
        except Exception as error:
            hand.fail(error, host)
            return
        self._lost_results.pop(hand, None)
        if kind == "done":
            hand.succeed(result, host)
        else:
            hand.fail(Death.without_memory(result) if isinstance(result, MemoryError) else result, host)

    def _failed(self, attempt: _Attempt, error: BaseException) -> None:
        """Hand on what the cluster says of a submission; one that had ended is done again, LOST_RESULTS times."""
        hand = attempt.hand
        if isinstance(error, Death) and attempt.ended and self._lost_results[hand] < LOST_RESULTS:
            self._lost_results[hand] += 1
            self._inbox.put(hand)
        else:
            self._lost_results.pop(hand, None)
            hand.fail(error, attempt.host)

    def _error(self, attempt: _Attempt, error: BaseException) -> BaseException:
        """Return the Death that the cluster's error means, or a sentence on what the cluster says."""
        if cause := self._cluster.death(error):
            return Death(f"{cause} on {attempt.host}" if attempt.host else cause)
        words = " ".join(str(error).split()) or type(error).__name__
        return WorkerError(f"{self.name} cannot run a task: {words}")

    def _refuse(self, key: str, host: str, words: str) -> None:
        """Give a node no further task, and say why; what the same host says twice is said once."""
        sentence = f"{host} gets no work: {words}"
        if sentence not in self._refused.values():
            self._news.put(sentence)
        self._refused[key] = sentence
        self._look_at_nodes()

    def _listen(self) -> None:
        """Take the beats, and give up submissions that were begun twice, or are silent."""
        beats = self._cluster.poll(self._stopped, self._unwanted)
        if beats is None:
            if time.monotonic() > self._polled + DEAF_SECONDS:
                raise ClusterLostError("it does not answer any more")
            return
        self._polled = time.monotonic()
        if beats and self._is_empty:  # somebody has joined
            self._look_at_nodes()
        for beat in beats:
            if attempt := self._attempts.get(beat.number):
                self._heard(attempt, beat)
        silent = self._polled - SILENT_SECONDS
        for attempt in [each for each in self._attempts.values() if each.start and each.heard < silent]:
            self._give_up(attempt, f"without a sign of life for {SILENT_SECONDS:.0f} s on {attempt.host}")

    def _heard(self, attempt: _Attempt, beat: Beat) -> None:
        if attempt.cancelled and beat.ended:
            self._attempts.pop(attempt.number).hand.fail(StoppedError())
            return
        if attempt.start not in ("", beat.start) and not attempt.ended:  # the cluster has begun it again by itself
            self._give_up(attempt, f"lost by the cluster on {attempt.host}")
            return
        if not attempt.start:
            attempt.hand.begins()
        attempt.start, attempt.host, attempt.ended, attempt.heard = beat.start, beat.host, beat.ended, self._polled
        self._told[attempt.hand.slot] = beat.samples, beat.written_bytes

    def _give_up(self, attempt: _Attempt, cause: str) -> None:
        """Drop a submission, which counts as dead from now on."""
        self._drop(attempt)
        attempt.hand.fail(Death(cause), attempt.host)

    def _drop(self, attempt: _Attempt) -> None:
        """Cancel a submission; if it still answers, nobody listens."""
        del self._attempts[attempt.number]
        self._unwanted.add(attempt.number)
        self._cluster.cancel(attempt.handle, begun=bool(attempt.start))

    def _look_at_nodes(self) -> None:
        """Set the number of slots by the nodes that are there. Raises SharderError if none can ever be given work."""
        nodes = self._cluster.nodes()
        able = [node for node in nodes if node.key not in self._refused]
        if nodes and not able:
            raise WorkerError(
                f"{self.name} has no host that can be given work:",
                *(f"  {sentence}" for sentence in dict.fromkeys(self._refused.values())),
            )
        if able and max(node.cpus for node in able) < self._cpus:
            raise WorkerError(self._too_few(max(able, key=lambda node: node.cpus)))
        if not nodes and not self._is_empty:
            self._news.put(f"{self.name} has no workers; work goes on when one joins")
        self._is_empty = not nodes
        now = {node.key for node in nodes}
        if not self._present <= now:
            self._submit_again()
        self._present = now
        self._capacity = sum(node.cpus // self._cpus for node in able)
        self.workers = self._wanted or max(self.workers, self._capacity)

    def _submit_again(self) -> None:
        """Submit again what has given no sign of life, because a node has left.

        It may be on its way to that node, or be there with its first beat lost; some clusters notice that very late.
        """
        for attempt in [each for each in self._attempts.values() if not each.start]:
            self._drop(attempt)
            self._inbox.put(attempt.hand)

    def _too_few(self, largest: ClusterNode) -> str:
        return (
            f"--cpus-per-chunk {self._cpus} is more than any host of {self.name} has: the largest, {largest.host}, has "
            f"{counted(largest.cpus, 'CPU')}. Use a smaller --cpus-per-chunk."
        )

    def _fail(self, error: Exception) -> None:
        """Give up: cancel all that is submitted, and answer every task with this error."""
        self._failure = error if isinstance(error, SharderError) else self._lost(error)
        for attempt in self._attempts.values():
            with contextlib.suppress(Exception):
                self._cluster.cancel(attempt.handle, begun=bool(attempt.start))
            attempt.hand.fail(self._failure)
        self._fail_waiting(self._failure)

    def _lost(self, error: Exception) -> WorkerError:
        words = " ".join(str(error).split()) or type(error).__name__
        lost = WorkerError(f"{self.name} was lost: {words}. What is done stays; the same command continues.")
        lost.__cause__ = error
        return lost

    def _fail_waiting(self, error: Exception) -> None:
        with contextlib.suppress(Empty):  # both threads may do this at once, and each hand is taken by one
            while True:
                message = self._inbox.get_nowait()
                if isinstance(message, Hand):
                    message.fail(error)
