"""Dealing: the Plan is cut into Chunks, and Chunks are dealt to workers, again if their worker dies.

A Listing and a Plan come in, and ShardRecords go out. Once a round, the chunks that begin and the shards that are
finished are recorded, before the next chunks begin. Whatever ends the work, every finished shard is recorded. The
function that writes a chunk is an argument, and so is the check of a host; this module knows neither.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from parallel_sharder.engines.engine import Check, Engine, Where, Work
from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import Death, DestinationGoneError, WorkerError
from parallel_sharder.model import Chunk, Job, Listing, Plan, ShardRecord
from parallel_sharder.options import CLUSTERS, Options
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.stores import store_of
from parallel_sharder.stores.traces import Trace, traced_identity
from parallel_sharder.text import counted

TICK_SECONDS = 0.1
"""How often progress is reported while no shard finishes."""

DEATHS = 3
"""How many workers may die of one chunk. One death can be chance, or another program's use of memory; three are not."""


def make_job(options: Options, listing: Listing, plan: Plan, workers: int) -> Job:
    """Return what all chunks of the plan share.

    With fewer shards to write than workers, the spare cores of this host compress. On a cluster as many threads
    compress as a chunk has CPUs.
    """
    is_here = options.engine_name not in CLUSTERS
    written = len(options.numbers(plan.shard_count))
    threads = max(1, workers // max(1, written)) if is_here else options.cpus_per_chunk or 1
    return Job(
        listing.places,
        listing.classes,
        options.pattern.compression,
        threads,
        options.form,
        options.on_bad,
        options.md5,
        options.image_field or "",
        listing.has_row_labels,
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
            *listing.keys.padded(rows),
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


class Witness(Protocol):
    """Who is told what happens in a deal, from one thread."""

    def begins(self, listing: Listing, plan: Plan, kept: int, left: int) -> None:
        """Writing begins: `kept` shards are there, and `left` are to be written."""

    def dealt(self, chunk: Chunk) -> None:
        """The engine gets this chunk, which a worker begins when it is free."""

    def finished(self, record: ShardRecord, where: Where) -> None:
        """A shard is finished."""

    def died(self, chunk: Chunk, where: Where, cause: str) -> None:
        """A worker has died of this chunk, which is dealt again unless too many have."""

    def progress(self, samples: int, tar_bytes: int) -> None:
        """So much is written, several times a second."""


@dataclass
class Hosts:
    """The hosts that write the chunks of one deal.

    Another host than this one gets chunks if it passes the `check`. `noticed` is called with what the engine says of
    hosts, and `samples` has how many samples each has stored, by its name, which is "" for this one. The `witnesses`
    are told what happens.
    """

    check: Check | None = None
    noticed: Callable[[str], None] = lambda _: None
    witnesses: Sequence[Witness] = ()
    samples: Counter[str] = field(default_factory=Counter)


def deal(
    chunks: Iterable[Chunk],
    write: Callable[[Chunk, Progress], ShardRecord],
    engine: Engine,
    recorder: Recorder,
    progress: Callable[[int, int], None],
    hosts: Hosts | None = None,
) -> list[ShardRecord]:
    """Have the engine `write` all chunks, and return their records, in the order in which they were finished.

    A chunk whose worker dies, or runs out of memory, is dealt again. `progress(samples, tar_bytes)` is called with the
    totals so far, several times a second; they include unfinished shards and samples that were left out. Raises
    WorkerError for a chunk of which DEATHS workers have died, and any error that a worker raises. After an error the
    engine is stopped, and every finished shard is recorded.
    """
    hosts = hosts or Hosts()
    run = engine.run(write, chunks, hosts.check)
    try:
        return _deal(run, engine, recorder, progress, hosts)
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
    run: Work[Chunk, ShardRecord],
    engine: Engine,
    recorder: Recorder,
    progress: Callable[[int, int], None],
    hosts: Hosts,
) -> list[ShardRecord]:
    records: list[ShardRecord] = []
    deaths: Counter[int] = Counter()
    done_samples = done_bytes = 0
    progress(0, 0)  # the only call where every shard was kept
    for outcomes, new in run.rounds(TICK_SECONDS):
        done = []
        for text in engine.news():
            hosts.noticed(text)
        for chunk, result, where in outcomes:
            if isinstance(result, Death):
                deaths[chunk.number] += 1
                for witness in hosts.witnesses:
                    witness.died(chunk, where, result.cause)
                prepare_again(chunk, deaths[chunk.number], result)
                run.put_back(chunk)
                continue
            done.append(result)
            for witness in hosts.witnesses:
                witness.finished(result, where)
            hosts.samples[where.host] += result.samples
            done_samples += result.samples + len(result.left_out)
            done_bytes += result.tar_bytes
        records += done
        samples, tar_bytes = engine.told()
        for witness in hosts.witnesses:
            witness.progress(done_samples + samples, done_bytes + tar_bytes)
            for chunk in new:
                witness.dealt(chunk)
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
