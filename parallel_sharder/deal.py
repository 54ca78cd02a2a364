"""Dealing: the Plan is cut into Chunks, and Chunks are dealt to workers, again if their worker dies.

A Listing and a Plan come in, and ShardRecords go out. Once a round, the chunks that begin and the shards that are
finished are recorded, before the next chunks begin. Whatever ends the work, every finished shard is recorded. The
function that writes a chunk is an argument; this module does not know it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Protocol

from parallel_sharder.engines.engine import Engine, Work
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death, DestinationGoneError, WorkerError
from parallel_sharder.model import Chunk, Job, Listing, Plan, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.stores import store_of
from parallel_sharder.stores.traces import Trace, traced_identity
from parallel_sharder.text import counted

TICK_SECONDS = 0.1
"""How often progress is reported while no shard finishes."""

DEATHS = 3
"""How many workers may die of one chunk. One death can be chance, or another program's use of memory; three are not."""


def make_job(options: Options, listing: Listing, plan: Plan, workers: int) -> Job:
    """Return what all chunks of the plan share. With fewer shards than workers, the spare cores compress."""
    threads = max(1, workers // plan.shard_count)
    return Job(
        listing.places,
        listing.classes,
        options.pattern.compression,
        threads,
        options.annotations,
        options.on_bad,
        options.md5,
    )


def make_chunks(
    listing: Listing,
    plan: Plan,
    pattern: ShardPattern,
    job: Job,
    kept: Container[int] = (),
    damaged: Container[int] = (),
) -> Iterator[Chunk]:
    """Yield the plan's shards as chunks, in order of number, but for the `kept` numbers; each is made when asked for.

    The chunks of the `damaged` numbers replace a damaged copy of their shard.
    """
    packed_job = job.pack()
    for number in range(plan.shard_count):
        if number in kept:
            continue
        rows = plan.order[plan.cuts[number] : plan.cuts[number + 1]]
        yield Chunk(
            number,
            pattern.path(number),
            packed_job,
            listing.keys.itemsize,
            listing.keys.take(rows).tobytes(),  # take is half as long as [rows]
            listing.class_index.take(rows).tobytes(),
            tuple(part.pack(rows) for part in listing.parts),
            number in damaged,
        )


class Recorder(Protocol):
    """The journal's side of dealing: it records which shards are whole and which begin, before more is written."""

    def record(self, done: Sequence[ShardRecord] = (), dealt: Sequence[tuple[int, str]] = ()) -> None:
        """Record that the shards of `done` are whole, synced and under their final names, and those of `dealt` begin.

        `dealt` has the number and the path of each shard.
        """


def deal(
    chunks: Iterable[Chunk],
    write: Callable[[Chunk, Progress], ShardRecord],
    engine: Engine,
    recorder: Recorder,
    progress: Callable[[int, int], None],
) -> list[ShardRecord]:
    """Have the engine `write` all chunks, and return their records, in the order in which they were finished.

    A chunk whose worker dies, or runs out of memory, is dealt again. `progress(samples, tar_bytes)` is called with the
    totals so far, several times a second; they include unfinished shards and samples that were left out. Raises
    WorkerError for a chunk of which DEATHS workers have died, and any error that a worker raises. After an error the
    engine is stopped, and every finished shard is recorded.
    """
    run = engine.run(write, chunks)
    try:
        return _deal(run, engine, recorder, progress)
    except BaseException:
        engine.stop()
        finished = run.unhandled()
        try:
            recorder.record(finished)
        except DestinationGoneError:  # the shards are in a folder in which no journal lists them
            for record in finished:
                identity = traced_identity(record.path, [Trace(record.file_bytes, record.xxh3_128)])
                store_of(record.path).remove_identified(record.path, identity)
            raise
        finally:
            _remove_unfinished(run.in_hand())
        raise


def _deal(
    run: Work[Chunk, ShardRecord], engine: Engine, recorder: Recorder, progress: Callable[[int, int], None]
) -> list[ShardRecord]:
    records: list[ShardRecord] = []
    deaths: Counter[int] = Counter()
    done_samples = done_bytes = 0
    progress(0, 0)  # the only call where every shard was kept
    for outcomes, new in run.rounds(TICK_SECONDS):
        done = []
        for chunk, result, _ in outcomes:
            if isinstance(result, Death):
                deaths[chunk.number] += 1
                prepare_again(chunk, deaths[chunk.number], result)
                run.put_back(chunk)
                continue
            done.append(result)
            done_samples += result.samples + len(result.left_out)
            done_bytes += result.tar_bytes
        records += done
        samples, tar_bytes = engine.told()
        progress(done_samples + samples, done_bytes + tar_bytes)
        recorder.record(done, [(chunk.number, chunk.path) for chunk in new])
    return records


def _remove_unfinished(chunks: Sequence[Chunk]) -> None:
    """Remove the temporary files of chunks whose workers have ended."""
    for folder in {os.path.dirname(chunk.path) for chunk in chunks}:
        names = "|".join(re.escape(os.path.basename(chunk.path)) for chunk in chunks)
        store_of(folder).remove_partials(folder, names)


def prepare_again(chunk: Chunk, deaths: int, death: Death) -> None:
    """Remove the temporary file of a chunk whose worker has died, before the chunk is dealt again.

    Raises WorkerError if `deaths`, the count for this chunk, reaches DEATHS. If the worker died after its shard got the
    final name, the shard is written again, found to have the same bytes, and the copy that has the name stays.
    """
    _remove_unfinished([chunk])
    if deaths < DEATHS:
        return
    count = len(chunk.keys) // chunk.key_width
    first, last = (chunk.keys[start : start + chunk.key_width] for start in (0, (count - 1) * chunk.key_width))
    names = " to ".join(key.rstrip(b"\0").decode("ascii") for key in (first, last))
    raise WorkerError(
        f"{DEATHS} workers died writing {chunk.path} ({counted(count, 'sample')}, {names}), the last {death.cause}. "
        f"If memory is short, use fewer --workers; if not, one of these samples may be the cause."
    ) from death
