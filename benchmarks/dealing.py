"""How many workers can one coordinator feed?

python -m benchmarks.dealing [--workers 2 16 128 1000] [--samples 8400] [--chunks 1000] [--folder FOLDER]

Chunks of --samples samples (a shard of 1 GB holds 8,400) are dealt to workers that only answer. The engine is the real
one, and so is the journal, which is written to FOLDER. CPU time is the coordinator's alone. From what a chunk costs the
coordinator, and how long one takes a worker, follows how many workers the coordinator can feed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from parallel_sharder.columns import Texts
from parallel_sharder.deal import deal, make_chunks
from parallel_sharder.engines import open_engine
from parallel_sharder.engines.progress import Progress
from parallel_sharder.journal.journal import Journal
from parallel_sharder.model import Chunk, ImageClass, Job, Listing, Part, Place, Plan, Role, ShardRecord
from parallel_sharder.pattern import ShardPattern

ROWS = 1_281_167


def answer(chunk: Chunk, _: Progress) -> ShardRecord:
    """Return what a worker answers when it has written a shard."""
    return ShardRecord(chunk.number, chunk.path, len(chunk.keys) // chunk.key_width, 10**9, 10**9, "0" * 32)


def listing_of(rows: int) -> Listing:
    """Return a listing of this number of rows, which are like those of ImageNet."""
    classes = tuple(ImageClass(n, f"class {n}", f"n{n:08d}") for n in range(1000))
    index = np.arange(rows, dtype=np.int32) % 1000
    keys = Texts.of(b"n%08d_%05d" % (row % 1000, row // 1000) for row in range(rows))
    sizes = np.full(rows, 110_000)
    places = tuple(Place(f"/data/imagenet/train/{row.id}", "") for row in classes)
    parts = Part(Role.IMAGE, (".JPEG",), index, sizes), Part(Role.ANNOTATION, (".xml",), index, sizes)
    return Listing((), places, classes, keys, index, parts, ())


def measure(workers: int, samples: int, chunks: int, folder: Path) -> dict[str, float]:
    """Return the coordinator's CPU time and the wall time for a chunk."""
    from benchmarks import dealing  # this module, by the name under which workers find it

    listing = listing_of(ROWS)
    order = np.random.default_rng(0).permutation(ROWS).astype(np.int32)
    order = np.resize(order, samples * chunks)
    plan = Plan(order, np.arange(chunks + 1) * samples, np.full(chunks, 10**9))
    pattern = ShardPattern.parse(str(folder / "x-%06d.tar"))
    job = Job(listing.places, listing.classes, "none", 1, "original", "skip")
    times: list[tuple[float, float]] = []

    def timed(some: Iterator[Chunk]) -> Iterator[Chunk]:
        for number, chunk in enumerate(some):
            if number == 2 * workers:  # all workers are started, and have work
                times.append((time.process_time(), time.monotonic()))
            yield chunk
        times.append((time.process_time(), time.monotonic()))

    with (
        open_engine(workers, None) as engine,
        tempfile.TemporaryDirectory(dir=folder) as place,
        Journal(f"{place}/journal", {}) as journal,
    ):
        deal(
            timed(make_chunks(listing, plan, pattern, job)),
            dealing.answer,
            engine,
            journal,
            lambda *_: None,
        )
    (cpu, wall), (cpu_end, wall_end) = times
    measured = chunks - 2 * workers
    return {"cpu_ms": (cpu_end - cpu) / measured * 1e3, "wall_ms": (wall_end - wall) / measured * 1e3}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 16, 128, 1000])
    parser.add_argument("--samples", type=int, default=8400)
    parser.add_argument("--chunks", type=int, default=1000, help="measured, besides those that start the workers")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    rows = []
    print(f"{arguments.chunks:,} chunks of {arguments.samples:,} samples")
    print(f"{'workers':>8}{'CPU ms a chunk':>16}{'wall ms a chunk':>17}")
    for workers in arguments.workers:
        figures = measure(workers, arguments.samples, arguments.chunks + 2 * workers, arguments.folder)
        rows.append({"workers": workers, **figures})
        print(f"{workers:>8,}{figures['cpu_ms']:>16.2f}{figures['wall_ms']:>17.2f}", flush=True)
    print(json.dumps({"benchmark": "dealing", "samples": arguments.samples, "rows": rows}))


if __name__ == "__main__":
    main()
