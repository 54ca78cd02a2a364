"""Dealing: the Plan to Chunks, and Chunks to workers, a bounded number at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import NamedTuple, Protocol

from parallel_sharder import durable
from parallel_sharder.destination import ShardPattern
from parallel_sharder.engines import Engine, Finished
from parallel_sharder.errors import DestinationGoneError, WorkerDiedError, WorkerError
from parallel_sharder.model import Chunk, Job, Listing, Plan, ShardRecord
from parallel_sharder.options import Options
from parallel_sharder.text import counted
from parallel_sharder.traces import Trace, identity_if

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
    chunks: Iterable[Chunk], engine: Engine, recorder: Recorder, progress: Callable[[int, int], None]
) -> list[ShardRecord]:
    """Have the engine write all chunks, and return their records, in the order in which they were finished.

    A chunk whose worker dies, or has no memory left, is dealt again. `progress(samples, tar_bytes)` is told the totals
    so far, several times a second, shards in hand and samples left out included. Raises WorkerError for a chunk that
    DEATHS workers have died with, and whatever error a worker raises. The engine is stopped then, and every shard that
    was finished is recorded.
    """
    in_hand: dict[Future[ShardRecord], _Hand] = {}
    try:
        return _deal(chunks, engine, recorder, progress, in_hand)
    except BaseException:
        engine.stop()
        done = [future for future in in_hand if future.done() and not future.cancelled()]
        finished = [future.result() for future in done if future.exception() is None]
        try:
            recorder.record(finished)
        except DestinationGoneError:  # they have been put where nothing will tell of them
            for record in finished:
                durable.remove_if(record.path, identity_if(record.path, [Trace(record.file_bytes, record.xxh3_128)]))
            raise
        raise


def _deal(
    chunks: Iterable[Chunk],
    engine: Engine,
    recorder: Recorder,
    progress: Callable[[int, int], None],
    in_hand: dict[Future[ShardRecord], _Hand],
) -> list[ShardRecord]:
    records: list[ShardRecord] = []
    finished: Finished[ShardRecord] = Finished()

    def submit(hand: _Hand) -> None:
        future = engine.executor.submit(engine.write, hand.chunk, hand.slot)
        in_hand[future] = hand
        finished.add(future)

    free_slots = list(range(engine.slots))
    waiting = iter(chunks)
    done: dict[Future[ShardRecord], ShardRecord] = {}
    done_samples = done_bytes = 0
    progress(0, 0)  # all there is to tell where every shard is there already
    while True:
        new = list(islice(waiting, len(free_slots)))
        recorder.record([*done.values()], [(chunk.number, chunk.path) for chunk in new])
        for future in done:
            del in_hand[future]  # only now: an interrupt before finds it there and records it
        done.clear()
        for chunk in new:
            submit(_Hand(chunk, free_slots.pop()))
        if not in_hand:
            return records
        for future in finished.take(TICK_SECONDS):
            hand = in_hand[future]
            engine.board.write(hand.slot, 0, 0)
            try:
                record = future.result()
            except (WorkerDiedError, MemoryError) as error:
                submit(_after_death(hand, error))
                del in_hand[future]
                continue
            done[future] = record
            records.append(record)
            free_slots.append(hand.slot)
            done_samples += record.samples + len(record.left_out)
            done_bytes += record.tar_bytes
        samples, tar_bytes = engine.board.read()
        progress(done_samples + samples, done_bytes + tar_bytes)


class _Hand(NamedTuple):
    """A chunk that is being written: the slot of the board it has, and how many workers have died with it."""

    chunk: Chunk
    slot: int
    deaths: int = 0


def _after_death(hand: _Hand, error: WorkerDiedError | MemoryError) -> _Hand:
    """The chunk to deal again, its temporary file gone; WorkerError if that has been tried often enough.

    If the worker died between giving the shard its name and saying so, that is found to be what the chunk gives.
    """
    chunk = hand.chunk
    folder, name = os.path.split(chunk.path)
    durable.remove_partials(folder, re.escape(name))
    if hand.deaths + 1 < DEATHS:
        return hand._replace(deaths=hand.deaths + 1)
    count = len(chunk.keys) // chunk.key_width
    first, last = (chunk.keys[start : start + chunk.key_width] for start in (0, (count - 1) * chunk.key_width))
    names = " to ".join(key.rstrip(b"\0").decode("ascii") for key in (first, last))
    cause = error.cause if isinstance(error, WorkerDiedError) else "out of memory"
    raise WorkerError(
        f"{DEATHS} workers died writing {chunk.path} ({counted(count, 'sample')}, {names}), the last {cause}. "
        f"If memory is short, use fewer --workers; if not, one of these samples may be the cause."
    ) from error
