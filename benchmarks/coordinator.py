"""What does a coordinator take that deals 100,000 chunks to 1,000 workers?

python -m benchmarks.coordinator [--workers 1000] [--chunks 100000] [--samples 140] [--folder DIR]

The workers are simulated: an engine with a slot for each answers every chunk at once, in the coordinator's process,
with the record that a worker would return. So CPU time and memory are those of making chunks, packing them as an engine
sends them, dealing, and recording in a real journal. Memory is the peak above what listing and plan take.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dealing import listing_of
from benchmarks.memory import peak_bytes
from parallel_sharder.deal import deal, make_chunks
from parallel_sharder.engines.engine import Engine, Hand
from parallel_sharder.journal.journal import Journal
from parallel_sharder.model import Chunk, Job, Listing, Plan, ShardRecord
from parallel_sharder.pattern import ShardPattern


class Simulated(Engine):
    """An engine of so many workers, each of which answers its chunk at once."""

    def __init__(self, workers: int) -> None:
        self.workers = self.slots = workers
        self.sent_bytes = 0

    def begin(self, hand: Hand[Any, Any]) -> None:
        """Pack the task as an engine does that sends it, and answer it."""
        self.sent_bytes += len(pickle.dumps((hand.function, hand.task)))
        hand.succeed(hand.function(hand.task, None))  # type: ignore[arg-type]

    def clear(self, slot: int) -> None:
        """Do nothing: no progress is told."""

    def told(self) -> tuple[int, int]:
        """Return nothing told."""
        return 0, 0

    def stop(self) -> None:
        """Do nothing: nothing runs."""

    def close(self) -> None:
        """Do nothing: nothing runs."""


def answer(chunk: Chunk, _: object) -> ShardRecord:
    """Return what a worker answers when it has written a shard, with the sizes of its JSONs."""
    count = len(chunk.keys) // chunk.key_width
    digest = f"{chunk.number:032x}"
    return ShardRecord(chunk.number, chunk.path, count, 10**9, 10**9, digest, json_bytes=bytes(4 * count))


def measure(workers: int, chunks: int, samples: int, folder: Path) -> dict[str, float]:
    """Return the figures of one run."""
    listing: Listing = listing_of(min(chunks * samples, 1_281_167))
    order = np.resize(np.random.default_rng(0).permutation(len(listing)).astype(np.int32), chunks * samples)
    plan = Plan(order, np.arange(chunks + 1) * samples, np.full(chunks, 10**9))
    pattern = ShardPattern.parse(str(folder / "x-%06d.tar"))
    job = Job(listing.places, listing.classes, "none", 1, "original", "skip")
    before = peak_bytes("self")
    with tempfile.TemporaryDirectory(dir=folder) as place, Journal(f"{place}/.x.journal", {}) as journal:
        engine = Simulated(workers)
        cpu, wall = time.process_time(), time.monotonic()
        records = deal(make_chunks(listing, plan, pattern, job), answer, engine, journal, lambda *_: None)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        journal_mb = Path(f"{place}/.x.journal").stat().st_size / 1e6
    packed_mb = sum(len(pickle.dumps(record)) for record in records) / 1e6
    return {
        "cpu_ms": cpu / chunks * 1e3,
        "wall_ms": wall / chunks * 1e3,
        "grown_mb": (peak_bytes("self") - before) / 1e6,
        "records_mb": packed_mb,
        "journal_mb": journal_mb,
        "sent_kb": engine.sent_bytes / chunks / 1e3,
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=140)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    figures = measure(arguments.workers, arguments.chunks, arguments.samples, arguments.folder)
    cpu, wall, sent = figures["cpu_ms"], figures["wall_ms"], figures["sent_kb"]
    print(f"{arguments.chunks:,} chunks of {arguments.samples:,} samples, dealt to {arguments.workers:,} workers")
    print(f"a chunk  {cpu:.3f} ms of CPU time, {wall:.3f} ms, {sent:.1f} kB sent")
    print(f"memory   {figures['grown_mb']:,.0f} MB more at its peak, {figures['records_mb']:,.0f} MB of it records")
    print(f"journal  {figures['journal_mb']:,.0f} MB")
    print(json.dumps({"benchmark": "coordinator", **figures}))


if __name__ == "__main__":
    main()
