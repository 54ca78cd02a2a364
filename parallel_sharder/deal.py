"""Dealing: the Plan to Chunks, and Chunks to workers, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import NamedTuple

from parallel_sharder import durable
from parallel_sharder.destination import ShardPattern
from parallel_sharder.engines import Engine
from parallel_sharder.errors import WorkerDiedError, WorkerError
from parallel_sharder.model import Chunk, Job, Listing, Plan, ShardRecord

TICK_SECONDS = 0.1
"""How often progress is told while no shard finishes."""

DEATHS = 3
"""Workers that may die with one chunk. One can be chance, or another program's hunger for memory; three are not."""


def make_job(listing: Listing, plan: Plan, pattern: ShardPattern, workers: int) -> Job:
    """What all chunks of the plan share. Where workers would have no shard of their own, they compress."""
    threads = max(1, workers // plan.shard_count)
    return Job(listing.folders, listing.classes, pattern.compression, threads)


def make_chunks(listing: Listing, plan: Plan, pattern: ShardPattern, job: Job) -> Iterator[Chunk]:
    """The plan's shards as chunks, in order of number, each made when it is asked for."""
    packed_job = job.pack()
    for number in range(plan.shard_count):
        rows = plan.order[plan.cuts[number] : plan.cuts[number + 1]]
        yield Chunk(
            number,
            pattern.path(number),
            packed_job,
            listing.keys.itemsize,
            listing.keys[rows].tobytes(),
            listing.class_index[rows].tobytes(),
            listing.folder[rows].tobytes(),
            listing.image_size[rows].tobytes(),
            listing.xml_folder[rows].tobytes(),
            listing.xml_size[rows].tobytes(),
        )


def deal(chunks: Iterable[Chunk], engine: Engine, progress: Callable[[int, int], None]) -> list[ShardRecord]:
    """Have the engine write all chunks, and return their records in order of number.

    A chunk whose worker dies is dealt again, to another. `progress(samples, tar_bytes)` is told the totals so far,
    several times a second, shards in hand and samples left out included. Raises WorkerError for a chunk that DEATHS
    workers have died with, and whatever error a worker raises; shards that are finished by then stay.
    """
    records: list[ShardRecord] = []
    in_hand: dict[Future[ShardRecord], _Hand] = {}
    free_slots = list(range(engine.slots))
    waiting = iter(chunks)
    while True:
        while free_slots and (chunk := next(waiting, None)) is not None:
            hand = _Hand(chunk, free_slots.pop())
            in_hand[engine.executor.submit(engine.write, chunk, hand.slot)] = hand
        if not in_hand:
            return sorted(records, key=lambda record: record.number)
        finished, _ = wait(in_hand, TICK_SECONDS, FIRST_COMPLETED)
        for future in finished:
            hand = in_hand.pop(future)
            engine.board.write(hand.slot, 0, 0)
            try:
                records.append(future.result())
            except WorkerDiedError as error:
                hand = _after_death(hand, error)
                in_hand[engine.executor.submit(engine.write, hand.chunk, hand.slot)] = hand
            else:
                free_slots.append(hand.slot)
        samples, tar_bytes = engine.board.read()
        samples += sum(record.samples + len(record.left_out) for record in records)
        progress(samples, tar_bytes + sum(record.tar_bytes for record in records))


class _Hand(NamedTuple):
    """A chunk that is being written: the slot of the board it has, and how many workers have died with it."""

    chunk: Chunk
    slot: int
    deaths: int = 0


def _after_death(hand: _Hand, error: WorkerDiedError) -> _Hand:
    """The chunk to deal again, its partial file gone; WorkerError if that has been tried often enough."""
    chunk = hand.chunk
    durable.remove_partials(chunk.path)
    if hand.deaths + 1 < DEATHS:
        return hand._replace(deaths=hand.deaths + 1)
    count = len(chunk.keys) // chunk.key_width
    first, last = (chunk.keys[start : start + chunk.key_width] for start in (0, (count - 1) * chunk.key_width))
    names = " to ".join(key.rstrip(b"\0").decode("ascii") for key in (first, last))
    raise WorkerError(
        f"{DEATHS} workers died writing {chunk.path} ({count:,} samples, {names}), the last {error.cause}. "
        f"If memory is short, use fewer --workers; if not, one of these samples may be the cause."
    ) from error
