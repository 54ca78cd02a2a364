"""Metrics: while a run lasts, Prometheus gets figures that are true; and a port that cannot be had stops it at once."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from parallel_sharder import Options, OptionsError, convert, metrics
from parallel_sharder.cli.main import main
from parallel_sharder.errors import MissingPackageError, WorkerError
from parallel_sharder.monitor.recording import Recording
from tests import made


@pytest.fixture
def port() -> int:
    """One that nobody has."""
    with contextlib.closing(socket.socket()) as free:
        free.bind((metrics.HOST, 0))
        return int(free.getsockname()[1])


@pytest.fixture
def taken(port: int) -> Iterator[int]:
    """One that somebody has."""
    with contextlib.closing(socket.socket()) as other:
        other.bind((metrics.HOST, port))
        other.listen()
        yield port


def figures(port: int) -> dict[str, float]:
    """What Prometheus gets, by name."""
    with urllib.request.urlopen(f"http://{metrics.HOST}:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        ":".join(
            [sample.name.removeprefix("parallel_sharder_"), *filter(None, [sample.labels.get("step")])]
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


class Asking(Recording):
    """Asks for the figures while the run is at work."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.scan: dict[str, float] = {}
        self.written: list[dict[str, float]] = []

    def scanning(self, *_: Any, **__: Any) -> None:
        """Ask."""
        self.scan = figures(self.port)

    def progress(self, samples: int, tar_bytes: int) -> None:
        """Ask."""
        self.written.append(figures(self.port))


def options(root: Path, out: Path, **choices: Any) -> Options:
    return Options(root=str(root), dest=str(out), **{"workers": 0, "maxcount": 20, **choices})


def test_figures(tmp_path: Path, port: int) -> None:
    """From the scan to the end they are what is done; afterwards the port is free, and the next run begins at 0."""
    made.classic_train(tmp_path / "raw", images=60)
    image = min((tmp_path / "raw").rglob("*.JPEG"))
    image.write_bytes(b"x" * image.stat().st_size)
    asking = Asking(port)
    report = convert(options(tmp_path / "raw", tmp_path / "out", metrics=port), asking)
    assert {"writing": 0, "samples_total": 0, "shards_left": 0}.items() <= asking.scan.items()
    expected = {
        "writing": 1,
        "shards_done": 3,
        "shards_left": 0,
        "samples_total": 60,
        "samples_left_out_total": 1,
        "worker_deaths_total": 0,
        "tar_bytes_total": report.tar_bytes,
    }
    assert expected.items() <= asking.written[-1].items()
    assert {"samples_per_second", "tar_bytes_per_second", "info"} <= asking.written[-1].keys()
    with pytest.raises(urllib.error.URLError):
        figures(port)
    for shard in sorted((tmp_path / "out").glob("*.tar"))[:2]:
        shard.unlink()
    again = Asking(port)
    convert(options(tmp_path / "raw", tmp_path / "out", metrics=port), again)
    first = again.written[0]
    assert {"shards_done": 1, "shards_left": 2, "samples_total": 0}.items() <= first.items()


def test_figures_do_not_fall() -> None:
    """A worker that dies takes its unfinished samples along; Prometheus takes a counter that falls for a new one."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    its = metrics.Metrics(registry)
    for samples in (0, 10, 4, 12):
        its.progress(samples, samples * 100)
    assert 12 == registry.get_sample_value("parallel_sharder_samples_total")
    assert 1200 == registry.get_sample_value("parallel_sharder_tar_bytes_total")


def test_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of the last seconds."""
    from prometheus_client import CollectorRegistry

    registry, now = CollectorRegistry(), 100.0
    monkeypatch.setattr("parallel_sharder.metrics.time.monotonic", lambda: now)
    its = metrics.Metrics(registry)
    anything: Any = None
    its.begins(anything, anything, 0, 3)
    for seconds, samples in ((0.5, 5), (5, 50), (10, 100), (15, 600), (20, 1100)):
        now = 100.0 + seconds
        its.progress(samples, samples)
    assert pytest.approx(100) == registry.get_sample_value("parallel_sharder_samples_per_second")


def test_port_in_use(tmp_path: Path, taken: int) -> None:
    """It is told before the source is looked at, and nothing is written."""
    with pytest.raises(WorkerError, match=rf"metrics {taken}: 127.0.0.1 .* port: Address already in use"):
        convert(options(tmp_path / "none", tmp_path / "out", metrics=taken))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("port", [0, -1, 65536, "x"])
def test_no_port(tmp_path: Path, port: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A number outside of those of ports is refused, also on the command line."""
    with pytest.raises(OptionsError):
        options(tmp_path, tmp_path, metrics=port)
    assert 2 == main(["--metrics", str(port)])
    assert "--metrics" in capsys.readouterr().err


def test_without_the_package(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs it."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'parallel_sharder\[metrics\]'"):
        convert(options(tmp_path, tmp_path, metrics=port))


def test_client_that_asks_nothing(tmp_path: Path, port: int) -> None:
    """It keeps nobody waiting, neither others that ask nor the run's end."""
    made.classic_train(tmp_path / "raw", images=20)
    idle: list[socket.socket] = []

    class Connecting(Asking):
        def scanning(self, *_: Any, **__: Any) -> None:
            if not idle:
                idle.append(socket.create_connection((metrics.HOST, self.port)))

    asking = Connecting(port)
    convert(options(tmp_path / "raw", tmp_path / "out", metrics=port), asking)
    assert asking.written
    idle[0].close()
    for thread in threading.enumerate():  # what answers it ends now, and closes its own end
        if thread is not threading.current_thread() and "process_request" in thread.name:
            thread.join(10)


def test_figures_while_staging(tmp_path: Path, port: int) -> None:
    """A source that is scanned or staged shows how far that is; the monitor hears what it hears without metrics."""
    made.classic_train(tmp_path / "raw", images=30)

    class Working(Asking):
        def working(self, doing: str, done: int, total: int) -> None:
            self.steps = figures(self.port)

        def close(self) -> None:
            self.is_closed = True

    asking, plain = Working(port), Recording()
    convert(options(tmp_path / "raw", tmp_path / "out", metrics=port, stage=tmp_path / "stage"), asking)
    convert(options(tmp_path / "raw", tmp_path / "other", stage=tmp_path / "stage"), plain)
    assert asking.steps["step_done:staging MB"] <= asking.steps["step_total:staging MB"]
    assert asking.steps["step_done:scanning folders"] == asking.steps["step_total:scanning folders"] > 0
    assert asking.notices == plain.notices
    assert asking.is_closed
