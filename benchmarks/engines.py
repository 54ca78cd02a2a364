"""What does a chunk cost more on a cluster's engine than on processes of this host?

python -m benchmarks.engines [--engines processes ray dask] [--workers 2] [--samples 8400] [--chunks 60] [--rounds 5]

Chunks of --samples samples (a shard of 1 GB holds 8,400) are dealt to workers that answer after 20 ms, as if they had
written a shard. The clusters are started on this host. In each round, processes and the engine deal the same chunks,
one after the other; "more" is the median of the differences. Processes compared with processes show the noise. CPU time
is the coordinator's, all its threads included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.dealing import ROWS, listing_of
from parallel_sharder.deal import deal, make_chunks
from parallel_sharder.engines import open_cluster, open_engine
from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.progress import Progress
from parallel_sharder.journal.journal import Journal
from parallel_sharder.model import Chunk, Job, Listing, Plan, ShardRecord
from parallel_sharder.pattern import ShardPattern

WORK_SECONDS = 0.02
"""How long a worker takes for a chunk. With none, the engines' own processes would compete for the cores all the time;
with a real third of a second, the difference would be lost in the noise of two cores."""


def answer(chunk: Chunk, progress: Progress) -> ShardRecord:
    """Return what a worker answers when it has written a shard."""
    count = len(chunk.keys) // chunk.key_width
    time.sleep(WORK_SECONDS)
    progress.tell(count, 10**9)
    return ShardRecord(chunk.number, chunk.path, count, 10**9, 10**9, "0" * 32, json_bytes=bytes(4 * count))


def measure(engine: Engine, listing: Listing, plan: Plan, folder: Path) -> tuple[float, float]:
    """Return the wall time and the coordinator's CPU time of a chunk, in milliseconds."""
    from benchmarks import engines  # this module, by the name under which workers find it

    pattern = ShardPattern.parse(str(folder / "x-%06d.tar"))
    job = Job(listing.places, listing.classes, "none", 1, "original", "skip")
    with tempfile.TemporaryDirectory(dir=folder) as place, Journal(f"{place}/.x.journal", {}) as journal:
        wall, cpu = time.monotonic(), time.process_time()
        deal(make_chunks(listing, plan, pattern, job), engines.answer, engine, journal, lambda *_: None)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    return wall / plan.shard_count * 1e3, cpu / plan.shard_count * 1e3


def opened(name: str, workers: int) -> Engine:
    """Return an engine of this name with so many workers."""
    return open_engine(workers) if name == "processes" else open_cluster(name, "", workers, 1)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["processes", "ray", "dask"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--samples", type=int, default=8400)
    parser.add_argument("--chunks", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    listing = listing_of(ROWS)
    order = np.resize(np.random.default_rng(0).permutation(ROWS).astype(np.int32), arguments.samples * arguments.chunks)
    cuts = np.arange(arguments.chunks + 1) * arguments.samples
    plan = Plan(order, cuts, np.full(arguments.chunks, 10**9))
    figures = {}
    print(f"{arguments.chunks} chunks of {arguments.samples:,} samples, {arguments.workers} workers")
    print(f"{'engine':<10}{'ms a chunk':>12}{'more':>8}{'CPU ms':>8}{'more':>8}")
    for name in arguments.engines:
        pairs = []
        with open_engine(arguments.workers) as processes, opened(name, arguments.workers) as cluster:
            for number in range(arguments.rounds + 1):
                pair = [measure(each, listing, plan, arguments.folder) for each in (processes, cluster)]
                pairs += [pair] if number else []  # in the first round, workers start
        walls, cpus = ([(there[of] - here[of]) for here, there in pairs] for of in (0, 1))
        wall, cpu = (statistics.median(there[of] for _, there in pairs) for of in (0, 1))
        more, more_cpu = statistics.median(walls), statistics.median(cpus)
        print(f"{name:<10}{wall:>12.2f}{more:>8.2f}{cpu:>8.2f}{more_cpu:>8.2f}", flush=True)
        figures[name] = {"wall_ms": wall, "more_ms": more, "cpu_ms": cpu, "more_cpu_ms": more_cpu}
    print(json.dumps({"benchmark": "engines", "samples": arguments.samples, **figures}))


if __name__ == "__main__":
    main()
