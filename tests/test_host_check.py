"""The check of a host: what differs is named with its value there and here, and the remedy."""

from __future__ import annotations

import dataclasses
import os
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parallel_sharder import Options, convert
from parallel_sharder.engines import open_engine
from parallel_sharder.host_check import SAMPLED_FILES, HostCheck, check_of_hosts, difference, sample_of
from parallel_sharder.model import Listing
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.sources.source import SourceOptions, open_source
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.staging.stage import Stage
from tests import made


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    made.classic_train(tmp_path / "raw", images=200)
    return listing_of(tmp_path / "raw")


def listing_of(root: Path) -> Listing:
    options = Options(root=root)
    with open_engine(0) as engine, open_source(SourceOptions.of(options)) as source:
        return source.scan(engine, Silent(), Scratch(is_preview=True))


@pytest.fixture
def check(listing: Listing, tmp_path: Path) -> Iterator[HostCheck]:
    """Of a source and a destination, which has its marker meanwhile."""
    (tmp_path / "out").mkdir()
    with check_of_hosts(listing, SetFiles(str(tmp_path / "out"), "imagenet_train")) as call:
        yield pickle.loads(pickle.dumps(call)).args[0]


def test_nothing_differs_here(check: HostCheck, tmp_path: Path) -> None:
    """The check passes, and only the marker is in the destination, which has a name that the next run would remove."""
    assert "" == difference(check)
    [marker] = (tmp_path / "out").iterdir()
    assert str(marker) == check.marker
    assert marker.name.startswith(".imagenet_train.marker.")


def test_marker_is_removed(listing: Listing, tmp_path: Path) -> None:
    """Also after an error; and the marker of a killed run, by the next run."""
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt), check_of_hosts(listing, SetFiles(str(out), "imagenet_train")):
        raise KeyboardInterrupt
    assert [] == [*out.iterdir()]
    left = out / ".imagenet_train.marker.0123abcd.partial"
    left.touch()
    convert(Options(root=tmp_path / "raw", dest=out, workers=0))
    assert not left.exists()


def remove_image(check: HostCheck) -> None:
    os.unlink(check.files[0].path)


def lengthen_image(check: HostCheck) -> None:
    with open(check.files[0].path, "ab") as file:
        file.write(b"x")


def remove_marker(check: HostCheck) -> None:
    os.unlink(check.marker)


def change_marker(check: HostCheck) -> None:
    Path(check.marker).write_text("another")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove_image, r"it cannot see .*JPEG: No such file or directory\. The source must be the same"),
        (lengthen_image, r"JPEG has [\d,]+ bytes there, and [\d,]+ here\. The source"),
        (remove_marker, r"in .*out it does not see the marker file .* --dest must be a folder that all hosts share"),
        (change_marker, r"in .*out it sees another marker file than the one from here\. --dest"),
    ],
)
def test_what_differs_is_named(check: HostCheck, change: Callable[[HostCheck], Any], words: str) -> None:
    """The first difference is enough."""
    change(check)
    assert re.search(words, difference(check))


def test_other_version(check: HostCheck) -> None:
    """Of what decides bytes; the version there and the one here are named."""
    other = dataclasses.replace(check, versions=(("zstandard", "zstandard 9.9 (zstd 9.9)"), *check.versions[1:]))
    found = dict(check.versions)["zstandard"]
    assert (
        f"it has {found}, and here is zstandard 9.9 (zstd 9.9). Install the same version of zstandard on all hosts."
        == difference(other)
    )


def test_destination_that_cannot_be_written(check: HostCheck, tmp_path: Path) -> None:
    """A host that sees the marker may still lack the right to write there."""
    other = dataclasses.replace(check, beside_marker=str(tmp_path / "raw" / "train" / ("x" * 250)))
    assert "it cannot write in" in difference(other)


def test_sample_is_spread(listing: Listing) -> None:
    """Images and annotations of all classes are in it; files that changed since the scan are not."""
    files = [*sample_of(listing)]
    assert SAMPLED_FILES // 2 <= len(files) <= 2 * SAMPLED_FILES
    assert {"JPEG", "xml"} == {file.path.rpartition(".")[2] for file in files}
    assert 5 == len({Path(file.path).parent for file in files})
    Path(files[0].path).unlink()
    assert files[1:] == [*sample_of(listing)]


def test_archives_are_looked_at_as_a_whole(tmp_path: Path) -> None:
    """Their size and modification time stand for what is in them."""
    made.classic_train(tmp_path / "raw")
    root = made.official_archives(tmp_path / "archives", tmp_path / "raw")
    seen = {Path(file.path).name: file for file in sample_of(listing_of(root))}
    train = seen["ILSVRC2012_img_train.tar"]
    assert (root / "ILSVRC2012_img_train.tar").stat().st_mtime_ns == train.mtime_ns
    (tmp_path / "out").mkdir()
    with check_of_hosts(listing_of(root), SetFiles(str(tmp_path / "out"), "x")) as call:
        assert "" == call()
        os.utime(train.path, ns=(0, 0))
        assert "ILSVRC2012_img_train.tar has another modification time there than here." in call()


def test_stage_that_is_not_shared(tmp_path: Path) -> None:
    """A host that does not see the files of the stage is refused, with the option that names it."""
    made.classic_train(tmp_path / "raw", images=20)
    listing = listing_of(tmp_path / "raw")
    (tmp_path / "out").mkdir()
    with Stage(str(tmp_path / "stage"), str(tmp_path / "out"), is_own=False) as stage, open_engine(0) as engine:
        staged = stage.filled(listing, engine, Silent(), 0)
        with check_of_hosts(staged, SetFiles(str(tmp_path / "out"), "imagenet_train")) as call:
            assert call() == ""
            for path in (tmp_path / "stage").glob("*.stretch"):
                path.unlink()
            assert call().endswith("--stage must be a folder that all hosts share, under the same path.")
