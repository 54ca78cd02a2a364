"""The worker: one chunk to its record, with what was left out, and nothing there if it is stopped."""

from __future__ import annotations

import dataclasses
import os
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from parallel_sharder import Options
from parallel_sharder.coordinator import plan_of
from parallel_sharder.deal import make_chunks, make_job
from parallel_sharder.engines import open_engine
from parallel_sharder.engines.progress import Counts
from parallel_sharder.errors import DestinationError, SourceError, StoppedError
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Chunk, ImageClass, Job, PackedPart, Place, Role
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.options import Annotations
from parallel_sharder.sources.source import SourceOptions, open_source
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.worker import write_chunk
from tests import made
from tests.reference import members_of

KEYS = ["a", "bc", "d"]


def chunk(folder: Path, *, on_bad: str = "skip") -> Chunk:
    """Three samples of one class, of which the last has no image any more."""
    for key in KEYS[:2]:
        (folder / f"{key}.JPEG").write_bytes(made.JPEG)
    job = Job((Place(str(folder), "raw"),), (ImageClass(7, "it", "n01440764"),), "none", 1, "none", on_bad)
    sizes = array("q", [len(made.JPEG)] * 3)
    images = PackedPart(Role.IMAGE, (".JPEG",), array("i", [0] * 3).tobytes(), sizes.tobytes())
    missing = PackedPart(Role.ANNOTATION, (".xml",), array("i", [-1] * 3).tobytes(), array("q", [-1] * 3).tobytes())
    keys = b"".join(key.encode().ljust(2, b"\0") for key in KEYS)
    return Chunk(3, str(folder / "x.tar"), job.pack(), 2, keys, array("i", [0] * 3).tobytes(), (images, missing))


def test_a_chunk_is_one_shard_and_its_record(tmp_path: Path) -> None:
    """The record has the number, and by position and name the sample that could not be read."""
    counts = Counts()
    record = write_chunk(chunk(tmp_path), counts)
    assert (3, 2, (2,)) == (record.number, record.samples, record.left_out)
    assert [(Kind.UNREADABLE, "d")] == [(problem.kind, problem.key) for problem in record.problems]
    names = [f"{key}.{field}" for key in KEYS[:2] for field in ("cls", "jpg", "json")]
    assert names == [*members_of([tmp_path / "x.tar"])]
    assert 3 == counts.samples
    assert record.file_bytes == (tmp_path / "x.tar").stat().st_size


def test_a_stopped_chunk_leaves_nothing(tmp_path: Path) -> None:
    """Neither a shard nor a temporary file."""
    counts = Counts()
    counts.stopped = True
    with pytest.raises(StoppedError):
        write_chunk(chunk(tmp_path), counts)
    assert ["a.JPEG", "bc.JPEG"] == sorted(os.listdir(tmp_path))


def test_the_first_bad_sample_ends_the_run_if_that_is_wanted(tmp_path: Path) -> None:
    """The error names the file, and nothing is left."""
    with pytest.raises(SourceError, match="d.JPEG: .*on.bad"):
        write_chunk(chunk(tmp_path, on_bad="fail"), Counts())
    assert not (tmp_path / "x.tar").exists()


def test_a_shard_that_cannot_be_written_is_a_destinations_error(tmp_path: Path) -> None:
    """What has the shard's name stays."""
    (tmp_path / "x.tar").write_bytes(b"theirs")
    with pytest.raises(DestinationError, match="x.tar cannot be written"):
        write_chunk(chunk(tmp_path), Counts())
    assert b"theirs" == (tmp_path / "x.tar").read_bytes()


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.zst"])
@pytest.mark.parametrize("annotations", ["original", "boxes"])
def test_threads_of_one_process_write_as_one_alone(tmp_path: Path, annotations: Annotations, ending: str) -> None:
    """A worker of Dask can have several threads: what chunks share there (shapes, headers, tables) is only added to."""
    made.classic_train(tmp_path / "raw", images=300, annotated=0.9)
    records = []
    for name, threads in (("alone", 1), ("together", 8)):
        dest = str(tmp_path / name / f"x-%06d{ending}")
        options = Options(root=tmp_path / "raw", dest=dest, shards=24, annotations=annotations)
        with open_engine(0) as engine, open_source(SourceOptions.of(options)) as source:
            listing = source.scan(engine, Silent(), Scratch(is_preview=True))
            plan = plan_of(listing, options)
            chunks = make_chunks(listing, plan, options.pattern, make_job(options, listing, plan, 0))
            (tmp_path / name).mkdir()
            with ThreadPoolExecutor(threads) as pool:
                found = pool.map(lambda each: write_chunk(each, Counts()), chunks)
            records.append([dataclasses.replace(record, path="") for record in found])
    assert records[0] == records[1]
