"""Source: what a data set's source unpacks, keeps and refuses, as the interface promises."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parallel_sharder import Options
from parallel_sharder.engines import open_engine
from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.model import Role
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.source import SourceOptions, open_source, refuse_left_out
from parallel_sharder.sources.spool import Scratch
from tests import made


@pytest.fixture
def engine() -> Engine:
    """One that works in this process, and so has nothing to end."""
    return open_engine(0, None)


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """The official archives of a small set; their annotations are compressed."""
    made.classic_train(tmp_path / "raw", images=20)
    return made.official_archives(tmp_path / "archives", tmp_path / "raw")


def test_a_tree_unpacks_nothing(tmp_path: Path, archives: Path, engine: Engine) -> None:
    """Loose files are read in place, and nothing is unpacked."""
    with open_source(SourceOptions(root=(str(archives.parent / "raw"),), split="train", labels="devkit")) as source:
        assert 0 == source.spool_bytes(source.scan(engine, Silent(), Scratch()))


def test_a_preview_writes_nothing(tmp_path: Path, archives: Path, engine: Engine) -> None:
    """A preview counts what would be unpacked, and writes no file. Otherwise keep_scan writes the scan."""
    pattern = Options(dest=tmp_path / "out").pattern
    (tmp_path / "out").mkdir()
    options = SourceOptions(root=(str(archives),), split="train", labels="devkit")
    with open_source(options) as source:
        assert source.spool_bytes(source.scan(engine, Silent(), Scratch(pattern, is_preview=True))) > 0
        assert [] == os.listdir(tmp_path / "out")
    with open_source(options) as source:
        source.scan(engine, Silent(), Scratch(pattern))
        source.keep_scan()
    assert [".imagenet_train.index"] == os.listdir(tmp_path / "out")


def test_an_archive_that_changes_is_refused(archives: Path, engine: Engine) -> None:
    """An archive that has changed since the scan is refused, because what was read from it may be wrong."""
    with open_source(SourceOptions(root=(str(archives),), split="train", labels="devkit")) as source:
        source.scan(engine, Silent(), Scratch())
        source.refuse_changes()
        os.utime(archives / "ILSVRC2012_img_train.tar", ns=(1, 1))
        with pytest.raises(SourceError, match=r"ILSVRC2012_img_train.tar has changed while it was read"):
            source.refuse_changes()


def test_folders_are_known_before_the_scan(tmp_path: Path, engine: Engine) -> None:
    """A source names its folders, so that no destination lies in them; the scan adds folders that links lead to."""
    made.classic_train(tmp_path / "raw", images=20)
    folder = tmp_path / "raw" / "train" / made.WNIDS[0]
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    source = open_source(SourceOptions(root=(str(tmp_path / "raw"),), split="train", labels="devkit"))
    assert tmp_path / "raw" / "train" in source.folders
    assert folder not in source.folders
    source.scan(engine, Silent(), Scratch())
    assert folder in source.folders


def test_annotations_that_are_not_wanted(tmp_path: Path, engine: Engine) -> None:
    """If annotations are not wanted, no sample has one, and no problem is listed because of that."""
    made.classic_train(tmp_path, images=20)
    options = SourceOptions.of(Options(root=tmp_path, annotations="none"))
    listing = open_source(options).scan(engine, Silent(), Scratch())
    assert {-1} == set(listing.part(Role.ANNOTATION).place.tolist())
    assert ("annotations", "not wanted") in listing.found
    assert () == listing.problems


def test_what_is_left_out_can_stop_a_run(tmp_path: Path, engine: Engine) -> None:
    """The error names the first problem that leaves something out. A stray file leaves nothing out."""
    made.classic_train(tmp_path, images=20)
    options = SourceOptions(root=(str(tmp_path),), split="train", labels="devkit")
    (tmp_path / "train" / "notes.txt").touch()
    refuse_left_out(open_source(options).scan(engine, Silent(), Scratch()))
    (tmp_path / "train" / made.WNIDS[0] / "cat.JPEG").touch()
    with pytest.raises(SourceError, match=r"cat.JPEG: image whose name does not fit its folder: .* \(on_bad fail\)"):
        refuse_left_out(open_source(options).scan(engine, Silent(), Scratch()))
