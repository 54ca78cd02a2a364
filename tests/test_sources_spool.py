"""The spool of annotations: one run's alone, and removed when nobody has it."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from parallel_sharder import Options
from parallel_sharder.engines import open_engine
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.source import SourceOptions, open_source
from parallel_sharder.sources.spool import Scratch
from tests import made
from tests.test_sources_tar_contents import shards_of


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """The official archives of a small set; their annotations are compressed."""
    made.classic_train(tmp_path / "raw", images=20)
    return made.official_archives(tmp_path / "archives", tmp_path / "raw")


def test_spool_of_a_run_that_lives_is_left_alone(tmp_path: Path, archives: Path) -> None:
    """That of one that was killed is removed."""
    out = tmp_path / "out"
    out.mkdir()
    left, living = (out / f".imagenet_train.annotations.0123abc{number}.partial" for number in range(2))
    left.touch()
    with living.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        shards_of(archives, out)
        assert not left.exists()
        assert living.exists()
    shards_of(archives, out)
    assert not living.exists()


def test_what_is_unpacked_is_removed(tmp_path: Path, archives: Path) -> None:
    """Inside the context, annotations can be read beside the shards; behind it, nothing is left, nor its folder."""
    pattern = Options(dest=tmp_path / "out").pattern
    with open_source(SourceOptions(root=(str(archives),), split="train", labels="devkit")) as source:
        listing = source.scan(open_engine(0), Silent(), Scratch(pattern))
        [spool] = (tmp_path / "out").iterdir()
        assert source.spool_bytes(listing) == spool.stat().st_size > 0
        assert str(spool) in {place.path for place in listing.places}
    assert not (tmp_path / "out").exists()
