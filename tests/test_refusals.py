"""The place: what would make a run be in vain is said before, and what is left to do when it fails."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from parallel_sharder import Options, convert
from parallel_sharder.coordinator import plan_of
from parallel_sharder.engines import open_engine
from parallel_sharder.errors import DestinationError
from parallel_sharder.journal.journal import Journal
from parallel_sharder.journal.past import past_of
from parallel_sharder.model import Listing, Plan
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.refusals import check_place_for, check_room, saying_what_is_left, why_refused
from parallel_sharder.sources.source import SourceOptions, open_source
from parallel_sharder.sources.spool import Scratch
from tests import made


def options_at(folder: Path, **choices: object) -> Options:
    return Options(root=folder / "raw", dest=folder / "out", shards=3, workers=0, **choices)  # type: ignore[arg-type]


@pytest.fixture
def planned(tmp_path: Path) -> tuple[Listing, Plan]:
    made.classic_train(tmp_path / "raw")
    options = options_at(tmp_path)
    with open_engine(0) as engine, open_source(SourceOptions.of(options)) as source:
        listing = source.scan(engine, Silent(), Scratch())
    return listing, plan_of(listing, options)


def test_taken_without_a_journal(tmp_path: Path) -> None:
    """A file with a shard's name is refused where no journal knows it; an empty folder is not."""
    made.classic_train(tmp_path / "raw", images=5)
    (tmp_path / "out").mkdir()
    options = options_at(tmp_path)
    source = open_source(SourceOptions.of(options))
    check_place_for(source, options)
    (tmp_path / "out" / "imagenet_train-000007.tar").touch()
    with pytest.raises(DestinationError, match="imagenet_train-000007.tar is already there, and no journal"):
        check_place_for(source, options)


def test_room_for_what_is_missing(
    tmp_path: Path, planned: tuple[Listing, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards that are kept need no more room."""
    _, plan = planned
    free = int(plan.shard_bytes[1:].sum())
    monkeypatch.setattr("parallel_sharder.stores.local.LocalStore.free_bytes", lambda *_: free)
    check_room(options_at(tmp_path), plan, {0})
    with pytest.raises(DestinationError, match=f"the shards need up to {np.sum(plan.shard_bytes):,}"):
        check_room(options_at(tmp_path), plan, ())


def test_why_a_run_would_be_refused(tmp_path: Path, planned: tuple[Listing, Plan]) -> None:
    """Nothing is said of a set that would continue; of one that was made with another seed, what differs."""
    listing, plan = planned
    convert(options_at(tmp_path))
    past = past_of(options_at(tmp_path).pattern.files.journal)
    assert "" == why_refused(options_at(tmp_path), listing, plan, past)
    assert "seed: 0, now 1" in why_refused(options_at(tmp_path, seed=1), listing, plan, past)
    assert "" == why_refused(options_at(tmp_path, seed=1, overwrite=True), listing, plan, past)


def test_what_is_left_is_said(tmp_path: Path, planned: tuple[Listing, Plan]) -> None:
    """A destination that fails is named with the shards that are done and the room that the others need."""
    _, plan = planned
    options = options_at(tmp_path)
    (tmp_path / "out").mkdir()
    words = "^x is full. 0 of 3 shards are done; the others need up to [0-9,]+ bytes"
    with (
        contextlib.closing(Journal(options.journal_path, {"shard count": 3})) as journal,
        pytest.raises(DestinationError, match=words),
        saying_what_is_left(options, plan, journal),
    ):
        raise DestinationError("x is full.")
