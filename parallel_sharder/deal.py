"""Dealing: the Plan to Chunks, and Chunks to workers, each chunk again if its worker dies.

Which chunks begin, and which shards are finished, is recorded once a round, before the next chunks begin. Whatever ends
the work, every shard that was finished is recorded. How a chunk is written is the business of the function given.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Protocol

from parallel_sharder.engines.engine import Engine, Run
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death, DestinationGoneError, WorkerError
from parallel_sharder.model import Chunk, Job, Listing, Plan, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.stores import store_of
from parallel_sharder.stores.traces import Trace, identity_if
from parallel_sharder.text import counted

TICK_SECONDS = 0.1
"""How often progress is told while no shard finishes."""

DEATHS = 3
"""Workers that one chunk may cost. One can be chance, or another program's hunger for memory; three are not."""


def make_job(options: Options, listing: Listing, plan: Plan, workers: int) -> Job:
    """What all chunks of the plan share. Where workers would have no shard of their own, they compress."""
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
    mended: Container[int] = (),
) -> Iterator[Chunk]:
    """The plan's shards as chunks, in order of number, each made when it is asked for; none for the `kept` numbers.

    Those that are `mended` may replace a damaged copy of theirs.
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
            number in mended,
        )


class Recorder(Protocol):
    """What has to know, before any more is written, which shards are whole and which begin: the journal."""

    def record(self, done: Sequence[ShardRecord] = (), dealt: Sequence[tuple[int, str]] = ()) -> None:
        """The shards of `done` are whole, synced and under their final names; those of `dealt` (number, path) begin."""


def deal(
    chunks: Iterable[Chunk],
    write: Callable[[Chunk, Progress], ShardRecord],
    engine: Engine,
    recorder: Recorder,
    progress: Callable[[int, int], None],
) -> list[ShardRecord]:
    """Have the engine `write` all chunks, and return their records, in the order in which they were finished.

    A chunk whose worker dies, or has no memory left, is dealt again. `progress(samples, tar_bytes)` is told the totals
    so far, several times a second, shards in hand and samples left out included. Raises WorkerError for a chunk that
    DEATHS workers have died with, and whatever error a worker raises. The engine is stopped then, and every shard that
    was finished is recorded.
    """
    run = engine.run(write, chunks)
    try:
        return _deal(run, engine, recorder, progress)
    except BaseException:
        engine.stop()
        _remove_unfinished(run.in_hand())
        finished = run.unhandled()
        try:
            recorder.record(finished)
        except DestinationGoneError:  # they have been put where nothing lists them
            for record in finished:
                mark = identity_if(record.path, [Trace(record.file_bytes, record.xxh3_128)])
                store_of(record.path).remove_marked(record.path, mark)
            raise
        raise


def _deal(
    run: Run[Chunk, ShardRecord], engine: Engine, recorder: Recorder, progress: Callable[[int, int], None]
) -> list[ShardRecord]:
    records: list[ShardRecord] = []
    deaths: Counter[int] = Counter()
    done_samples = done_bytes = 0
    progress(0, 0)  # all there is to tell where every shard is there already
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
    """Remove what workers that were ended have left of shards."""
    for folder in {os.path.dirname(chunk.path) for chunk in chunks}:
        names = "|".join(re.escape(os.path.basename(chunk.path)) for chunk in chunks)
        store_of(folder).remove_partials(folder, names)


def prepare_again(chunk: Chunk, deaths: int, death: Death) -> None:
    """Remove the temporary file of a chunk that is to be dealt again after so many deaths; WorkerError for DEATHS.

    If the worker died between giving the shard its name and saying so, that is found to be what the chunk gives.
    """
    folder, name = os.path.split(chunk.path)
    store_of(folder).remove_partials(folder, re.escape(name))
    if deaths < DEATHS:
        return
    count = len(chunk.keys) // chunk.key_width
    first, last = (chunk.keys[start : start + chunk.key_width] for start in (0, (count - 1) * chunk.key_width))
    names = " to ".join(key.rstrip(b"\0").decode("ascii") for key in (first, last))
    raise WorkerError(
        f"{DEATHS} workers died writing {chunk.path} ({counted(count, 'sample')}, {names}), the last {death.cause}. "
        f"If memory is short, use fewer --workers; if not, one of these samples may be the cause."
    ) from death
