"""Where do a sample's microseconds go?

python -m benchmarks.profile [--images 4000] [--runs 11] [--plot FILE] [--folder DIR]

Each phase of a worker's work is run by itself, over all samples of one set, in one process, with the files in the page
cache; then the whole work is run. `rest` is the whole less the phases: calls between them, the board, and chance.
The figures are CPU time (user and system), medians of alternating rounds. --plot draws FILE with matplotlib.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import xxhash

from benchmarks.tools.make_imagenet import kept_set
from parallel_sharder import Options, coordinator, deal, worker
from parallel_sharder.engines import open_engine
from parallel_sharder.engines.board import Board
from parallel_sharder.model import Chunk
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.samples.annotated import AnnotatedStoring
from parallel_sharder.samples.form import Encoded
from parallel_sharder.samples.image import examine
from parallel_sharder.samples.sample import Sample
from parallel_sharder.sources.source import SourceOptions, open_source
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.stores import direct
from parallel_sharder.stores.direct import BUFFER_BYTES, DirectFile
from parallel_sharder.tar.writer import ShardFile

T = TypeVar("T")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--plot", type=Path, help="the picture to draw, say profile.png")
    parser.add_argument("--folder", type=Path, help="where the set is made, or was made by an earlier run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = kept_set(arguments.folder or Path(temporary), arguments.images)
        out = Path(tempfile.mkdtemp(dir=root.parent))
        chunk = _whole_set(root, out)
        phases = _phases(chunk, out)
        rounds = []
        for _ in range(arguments.runs + 1):
            microseconds = {}
            for name, phase in phases.items():
                start = time.process_time()
                phase()
                microseconds[name] = (time.process_time() - start) / arguments.images * 1e6
                for path in out.iterdir():
                    path.unlink()
            rounds.append(microseconds)
        out.rmdir()
    medians = {name: statistics.median(each[name] for each in rounds[1:]) for name in phases}
    whole = medians.pop("all")
    medians["rest"] = whole - sum(medians.values())
    print(f"{arguments.images:,} images, medians of {arguments.runs} rounds, warm, in one process")
    for name, cost in {**medians, "all": whole}.items():
        print(f"{name:<36}{cost:>8.1f} us{cost / whole:>8.0%}")
    if arguments.plot:
        _plot(medians, arguments.plot)
    print(json.dumps({"benchmark": "profile", "images": arguments.images, "phases": medians, "all": whole}))


def _whole_set(root: Path, out: Path) -> Chunk:
    options = Options(root=root, dest=str(out), shards=1, maxsize=2**50)
    with open_engine(0, None) as engine, open_source(SourceOptions.of(options)) as source:
        listing = source.scan(engine, Silent(), Scratch())
    plan = coordinator.plan_of(listing, options)
    [chunk] = deal.make_chunks(listing, plan, options.pattern, deal.make_job(options, listing, plan, 1))
    return chunk


class _InMemory(Sample):
    """A sample whose files have been read."""

    __slots__ = ("_text",)

    def __init__(self, sample: Sample) -> None:
        super().__init__(sample.key, "", sample.class_index, sample.image, sample.xml, False)
        self._text = sample.xml.read() if sample.xml else None

    def annotated(self, read: Callable[[Sample, bytes], T]) -> T | None:
        """Return what `read` returns for the text."""
        return None if self._text is None else read(self, self._text)

    def read_image(self) -> None:
        """Do nothing."""


class _Made:
    """An encoder that returns, in turn, what was encoded before."""

    def __init__(self, made: Iterable[Encoded]) -> None:
        self._made = iter(made)

    def encode(self, _: Sample) -> Encoded:
        """Return the next."""
        return next(self._made)


class _Nowhere:
    """A file that has a buffer and is never written."""

    md5 = xxh3_128 = ""

    def __init__(self) -> None:
        self._buffer = direct._memory(BUFFER_BYTES)
        self._filled = 0
        self.size = 0

    def reserve(self, size: int) -> memoryview:
        """Return room in the buffer."""
        if self._filled + size > len(self._buffer):
            self._filled = 0
        return self._buffer[self._filled : self._filled + size]

    def advance(self, size: int) -> None:
        """Move the next room behind this one."""
        self._filled += size

    def write(self, data: bytes | memoryview) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""

    abort = abandon = finish


def _phases(chunk: Chunk, out: Path) -> dict[str, Callable[[], Any]]:
    """Return the phases by name. Each does for all samples what the worker does in this phase, and nothing else."""
    tools = worker._tools(chunk.job, chunk.key_width)
    storing = tools.storing
    assert isinstance(storing, AnnotatedStoring)
    samples = [*storing.samples(chunk)]
    view = direct._memory(BUFFER_BYTES)
    sizes = [sample.image.length for sample in samples]
    largest = max((sample.image for sample in samples), key=lambda image: image.length)
    largest.read_into(view[: largest.length])  # an image, for the phases that look at one

    def names() -> None:
        for _ in storing.samples(chunk):
            pass

    def read() -> None:
        start = 0
        for sample, size in zip(samples, sizes, strict=True):  # one behind the other, as in a shard's buffer
            start = start if start + size <= BUFFER_BYTES else 0
            sample.image.read_into(view[start : start + size])
            start += size
            if sample.xml:
                sample.xml.read()

    in_memory = [_InMemory(sample) for sample in samples]

    def contents() -> list[Encoded]:
        return [storing._encoder.encode(sample) for sample in in_memory]

    made = contents()

    def images() -> None:
        end = view[:2].tobytes() == b"\xff\xd8"
        assert end
        for size in sizes:
            behind = view[size - 2 : size].tobytes()
            view[size - 2 : size] = b"\xff\xd9"
            examine(view[:size])
            view[size - 2 : size] = behind  # otherwise larger images would end here

    def lay_out() -> None:
        with_made = copy.copy(storing)
        with_made._encoder = _Made(made)
        with ShardFile(_Nowhere(), str(out / "x.tar")) as shard:
            for sample in in_memory:
                with_made.store(sample, shard)

    def digest() -> None:
        hashed, start = xxhash.xxh3_128(), 0
        for size in sizes:
            start = start if start + size <= BUFFER_BYTES else 0
            hashed.update(view[start : start + size])
            start += size

    def write() -> None:
        with patch.object(xxhash, "xxh3_128", _NoDigest):
            shard = DirectFile(str(out / "x.tar"))
            for size in sizes:
                room = shard.reserve(size)
                assert room is not None
                room[::4096] = room[::4096]  # touch each page, as reading into it does
                shard.advance(size)
            shard.finish()

    progress = Board.at(Board.create(1)).slot(0)
    return {
        "keys, paths and sizes": names,
        "open, read and close": read,
        "JSON of annotations": contents,
        "image check": images,
        "headers and layout": lay_out,
        "digest": digest,
        "write, sync and rename": write,
        "all": lambda: worker.write_chunk(chunk, progress),
    }


class _NoDigest:
    def update(self, data: Any) -> None:
        """Do nothing."""


def _plot(medians: dict[str, float], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.6), layout="constrained")
    axes = figure.subplots()
    names = [*medians]
    axes.barh(names[::-1], [medians[name] for name in reversed(names)])
    axes.set_xlabel("CPU microseconds a sample")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
