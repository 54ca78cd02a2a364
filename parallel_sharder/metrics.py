"""Metrics: how far a run is, for Prometheus, on a port of this host that only this host reaches.

Prometheus asks for them as often as it likes, and keeps them; so a long run can be watched, and an alert can be set on
one that stands still. They are what the coordinator knows; a node of an array serves its own share.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from parallel_sharder import __version__
from parallel_sharder.engines.engine import Where
from parallel_sharder.errors import WorkerError, missing_package
from parallel_sharder.model import Chunk, Listing, Plan, ShardRecord
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.run import Run

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

HOST = "127.0.0.1"
"""Who is on this host may see the figures. For others, put a proxy before it, or have Prometheus's agent here."""

RATE_SECONDS = 10.0
"""Rates are means of so long, or of the time since writing began."""

_NAMES = "parallel_sharder"


class Metrics:
    """The figures of one run. It is a deal's Witness."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Info

        def counter(name: str, words: str) -> Counter:
            return Counter(f"{_NAMES}_{name}", words, registry=registry)

        def gauge(name: str, words: str) -> Gauge:
            return Gauge(f"{_NAMES}_{name}", words, registry=registry)

        Info(_NAMES, "The version of the tool.", registry=registry).info({"version": __version__})
        self._samples = counter("samples", "Samples that are stored or left out, those of unfinished shards included.")
        self._bytes = counter("tar_bytes", "Bytes of tars that are written, those of unfinished shards included.")
        self._left_out = counter("samples_left_out", "Samples of finished shards that could not be stored.")
        self._deaths = counter("worker_deaths", "Workers that have died.")
        self._done = gauge("shards_done", "Shards that are finished, those of earlier runs included.")
        self._left = gauge("shards_left", "Shards that are not finished.")
        self._is_writing = gauge("writing", "1 when shards are written, 0 while the data set is read and planned.")
        self._samples_rate = gauge("samples_per_second", f"Samples a second, in the last {RATE_SECONDS:.0f} seconds.")
        self._bytes_rate = gauge("tar_bytes_per_second", f"Bytes a second, in the last {RATE_SECONDS:.0f} seconds.")
        labels, words = ["step"], "while the data set is scanned or staged, and after the writing."
        self._step_done = Gauge(f"{_NAMES}_step_done", f"What is done of a step, {words}", labels, registry=registry)
        self._step_total = Gauge(f"{_NAMES}_step_total", f"How much a step has, {words}", labels, registry=registry)
        self._told = (0, 0)
        self._before: tuple[float, int, int] = (0.0, 0, 0)

    def step(self, name: str, done: int, total: int) -> None:
        """Note how much is done of a step other than writing, such as "staging MB"."""
        self._step_done.labels(name).set(done)
        self._step_total.labels(name).set(total)

    def begins(self, listing: Listing, plan: Plan, kept: int, left: int) -> None:
        """As Witness says."""
        del listing, plan
        self._done.set(kept)
        self._left.set(left)
        self._is_writing.set(1)
        self._before = (time.monotonic(), 0, 0)

    def dealt(self, chunk: Chunk) -> None:
        """As Witness says; it changes no figure."""

    def finished(self, record: ShardRecord, where: Where) -> None:
        """As Witness says."""
        del where
        self._done.inc()
        self._left.dec()
        self._left_out.inc(len(record.left_out))

    def died(self, chunk: Chunk, where: Where, cause: str) -> None:
        """As Witness says."""
        del chunk, where, cause
        self._deaths.inc()

    def progress(self, samples: int, tar_bytes: int) -> None:
        """As Witness says. A worker that dies takes its unfinished shard along, so the totals can become smaller."""
        before_samples, before_bytes = self._told
        self._told = max(samples, before_samples), max(tar_bytes, before_bytes)
        self._samples.inc(self._told[0] - before_samples)
        self._bytes.inc(self._told[1] - before_bytes)
        now = time.monotonic()
        at, first_samples, first_bytes = self._before
        seconds = now - at
        if seconds >= RATE_SECONDS:
            self._before = (now, *self._told)
        if seconds >= 1:
            self._samples_rate.set((self._told[0] - first_samples) / seconds)
            self._bytes_rate.set((self._told[1] - first_bytes) / seconds)


class _Watching:
    """The monitor of a run, whose steps are noted in the metrics on the way."""

    def __init__(self, monitor: Monitor, metrics: Metrics) -> None:
        self._monitor, self._metrics = monitor, metrics
        self.found, self.planned, self.progress = monitor.found, monitor.planned, monitor.progress
        self.waiting, self.noticed, self.close = monitor.waiting, monitor.noticed, monitor.close

    def scanning(self, done: int, total: int, images: int, unit: str = "folder") -> None:
        """As Monitor says."""
        self._metrics.step(f"scanning {unit}s", done, total)
        self._monitor.scanning(done, total, images, unit)

    def working(self, doing: str, done: int, total: int) -> None:
        """As Monitor says."""
        self._metrics.step(doing, done, total)
        self._monitor.working(doing, done, total)


@contextlib.contextmanager
def served(port: int | None, run: Run) -> Iterator[tuple[Metrics, ...]]:
    """Serve the metrics of the run on this port inside the block, and yield them; without a port, there are none.

    Raises MissingPackageError without prometheus-client, and WorkerError if the port cannot be had.
    """
    if port is None:
        yield ()
        return
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import make_wsgi_app
    except ImportError as error:
        raise missing_package("--metrics needs the package prometheus-client", "metrics") from error
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    run.monitor = _Watching(run.monitor, metrics)
    try:
        server = make_server(HOST, port, make_wsgi_app(registry), _Server, _Quiet)
    except OSError as error:
        raise WorkerError(
            f"--metrics {port}: {HOST} does not give this port: {error.strerror}. Name another one, or end the program "
            "that has it."
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield (metrics,)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each question in a thread, so that nobody who asks nothing keeps others, or the run's end, waiting."""

    daemon_threads = True
    block_on_close = False


class _Quiet(WSGIRequestHandler):
    """Answers without a line on the terminal for each question, and does not wait long for one."""

    timeout = 5

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is the library's
        """Do nothing."""
