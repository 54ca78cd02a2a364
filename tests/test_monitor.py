"""Monitors and figures: what people read while they wait."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from parallel_sharder import IndexOptions, Options, VerifyOptions, convert, index_shards, preview, verify_shards
from parallel_sharder.errors import SharderError, SourceError
from parallel_sharder.model import Plan
from parallel_sharder.monitor.monitor import Silent, guarded
from parallel_sharder.stores.lock import locked_folder
from tests import made

METHODS = [name for name in vars(Silent) if not name.startswith("_") and name != "noticed"]
"""Those that a run on this host calls; "noticed" is for clusters."""


class Raising(Silent):
    """A monitor one method of which raises, or several; how often it was closed."""

    def __init__(self, error: BaseException, *methods: str) -> None:
        self.closed = 0
        self._error = error
        self._methods = methods
        for name in methods:
            setattr(self, name, partial(self._fail, name))

    def _fail(self, name: str, *_: object) -> None:
        self.closed += name == "close"
        raise self._error

    def close(self) -> None:
        """Counted."""
        self.closed += 1


def plan_of(samples: int) -> Plan:
    return Plan(np.arange(samples, dtype=np.int32), np.array([0, samples]), np.array([samples * 2048]))


def test_example_of_the_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A monitor that inherits from Silent hears the methods that it defines; the package's README has every method."""
    made.classic_train(tmp_path / "raw", images=5)
    readme = (Path(__file__).parents[1] / "parallel_sharder" / "README.md").read_text()
    [example] = [block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "(Silent)" in block]
    for path, ours in (("/data/imagenet", tmp_path / "raw"), ("/shards", tmp_path / "out")):
        example = example.replace(f'"{path}"', repr(str(ours)))
    exec(example.replace("dest=", "workers=0, dest="), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    tar_bytes = (tmp_path / "out" / "imagenet_train-000000.tar").stat().st_size
    assert ["shards: 1 of which are there: 0", "images: 0 bytes: 0"] == lines[:2]
    assert f"images: 5 bytes: {tar_bytes}" == lines[-1]
    for name in (name for name in vars(Silent) if not name.startswith("_")):
        assert f"\n| `{name}(" in readme


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    made.classic_train(root, images=40)
    return root


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("method", METHODS)
def test_monitor_that_raises(raw: Path, tmp_path: Path, method: str, workers: int) -> None:
    """It ends the run with a sentence, closed once, without a worker or a lock left; the same call continues."""
    options = Options(root=raw, dest=tmp_path, shards=4, workers=workers, index=("dali",))
    monitor = Raising(ValueError("no screen."), method)
    before = processes()
    with contextlib.ExitStack() as held, pytest.raises(SharderError) as caught:
        if method == "waiting":  # for what another run holds
            held.enter_context(locked_folder(str(tmp_path), Silent().waiting))
        convert(options, monitor)
    assert str(caught.value) == (
        f"the monitor's method {method} raised ValueError: no screen. What is done stays. Mend the monitor, and call "
        "again."
    )
    assert isinstance(caught.value.__cause__, ValueError)
    assert 1 == monitor.closed
    assert before == processes()
    assert not list(tmp_path.glob(".*.partial"))
    report = convert(options)
    assert (40, 4) == (report.samples, report.shards)
    assert () == verify_shards(VerifyOptions(dest=tmp_path, source=raw, workers=0)).deviations


def processes() -> set[int]:
    """Those that this one has started, and that live longer than a run."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(
    ("call", "methods"),
    [
        (lambda raw, out, monitor: preview(Options(root=raw, dest=out, workers=2), monitor), ("scanning", "close")),
        (lambda raw, out, monitor: verify_shards(VerifyOptions(dest=out, workers=2), monitor), ("working", "close")),
        (lambda raw, out, monitor: index_shards(IndexOptions(dest=out, workers=2), monitor), ("working", "close")),
    ],
)
def test_monitor_that_raises_elsewhere(raw: Path, tmp_path: Path, call: Any, methods: Sequence[str]) -> None:
    """So it is in the dry run, in verify and in index; if both do, the first error counts."""
    convert(Options(root=raw, dest=tmp_path, workers=0))
    before = processes()
    for chosen in (*[(method,) for method in methods], methods):
        monitor = Raising(OSError(5, "Input/output error"), *chosen)
        with pytest.raises(SharderError, match=rf"^the monitor's method {chosen[0]} raised OSError: \[Errno 5\] Input"):
            call(raw, tmp_path, monitor)
        assert 1 == monitor.closed
    assert before == processes()
    call(raw, tmp_path, None)


def test_notices_are_for_monitors_that_know_them() -> None:
    """A monitor that was made for the version before lacks the method, and is not asked for it."""

    class Older:
        def close(self) -> None:
            """It has no other method that is called here."""

    with guarded(Older()) as guard:  # type: ignore[arg-type]
        guard.noticed("a host")
    with pytest.raises(SharderError, match="method noticed raised"), guarded(Raising(OSError(5), "noticed")) as guard:
        guard.noticed("a host")


def test_monitor_that_lacks_a_method(raw: Path, tmp_path: Path) -> None:
    """It is told of by name."""
    with pytest.raises(
        SharderError, match="the monitor's method scanning raised AttributeError: 'object' object has no"
    ):
        convert(Options(root=raw, dest=tmp_path, workers=0), object())  # type: ignore[arg-type]


def test_errors_that_a_monitor_may_raise(raw: Path, tmp_path: Path) -> None:
    """What stops Python passes as it is, and so do our own errors; the run's own error counts more than close's."""
    options = Options(root=raw, dest=tmp_path, workers=2)
    for error in (KeyboardInterrupt(), SystemExit(3), SharderError("That is enough.")):
        with pytest.raises(type(error)) as caught:
            convert(options, Raising(error, "planned"))
        assert caught.value is error
    monitor = Raising(ValueError("no screen"), "close")
    with pytest.raises(SourceError, match="is not a folder"):
        convert(Options(root=tmp_path / "nowhere", dest=tmp_path, workers=0), monitor)
    assert 1 == monitor.closed
