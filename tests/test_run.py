"""A run: its contexts end with it, its phases have their times, and it speaks of paths as they were typed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from parallel_sharder import Options
from parallel_sharder.errors import DestinationError
from parallel_sharder.run import opened


def test_contexts_end_in_reverse_order() -> None:
    """What was entered last is left first, also after an error."""
    left = []

    @contextlib.contextmanager
    def noted(name: str) -> Iterator[str]:
        try:
            yield name
        finally:
            left.append(name)

    with pytest.raises(ZeroDivisionError), opened(Options(workers=0), None) as run:
        assert ["first", "second"] == [run.enter(noted("first")), run.enter(noted("second"))]
        raise ZeroDivisionError
    assert ["second", "first"] == left


def test_phases_have_their_seconds() -> None:
    """Each phase is there under its name, in the order in which it ended, and takes no negative time."""
    with opened(Options(workers=0), None) as run:
        for name in ("scan", "plan", "write"):
            run.ends_phase(name)
    assert ["scan", "plan", "write"] == [*run.seconds]
    assert min(run.seconds.values()) >= 0


def test_paths_are_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The options hold in another folder too, and notices and errors have the path that the caller has typed."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DestinationError) as caught, opened(Options(dest="out", workers=0), None) as run:
        os.chdir("/")
        path = run.options.pattern.path(0)
        assert str(tmp_path / "out" / "imagenet_train-000000.tar") == path
        assert "see out/imagenet_train-000000.tar" == run.as_typed(f"see {path}")
        assert f"/elsewhere{path}" == run.as_typed(f"/elsewhere{path}")
        raise DestinationError(f"{path} is full.")
    assert ("out/imagenet_train-000000.tar is full.",) == caught.value.args
