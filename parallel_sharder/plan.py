"""The plan: in which order the samples are stored, and where that order is cut into shards.

A Listing's keys, the samples' sizes, a seed and limits come in, and a Plan goes out. The functions are pure: they use
no I/O, no clock, and no count of workers. So the plan of the same source, seed and limits is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xxhash

from parallel_sharder.columns import Int32s, Int64s, Texts
from parallel_sharder.errors import PlanError
from parallel_sharder.model import Plan
from parallel_sharder.tar.ustar import END
from parallel_sharder.text import counted

_ROWS_AT_A_TIME = 1 << 16
"""How many rows are looked up at a time: more cost memory, fewer cost time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a shard, in bytes of the tar before compression and in samples; `shards` fixes the number of shards."""

    maxsize: int
    maxcount: int | None = None
    shards: int | None = None


def share_of(plan: Plan, numbers: range) -> Plan:
    """Return a plan of the shards with these numbers alone, in their order, for those who count what is to be written.

    Its shards are numbered anew, so it is not for dealing.
    """
    if len(numbers) == plan.shard_count:
        return plan
    slices = [plan.order[plan.cuts[number] : plan.cuts[number + 1]] for number in numbers]
    cuts = np.cumsum([0, *map(len, slices)], dtype=np.int64)
    return Plan(np.concatenate([plan.order[:0], *slices]), cuts, plan.shard_bytes[list(numbers)])


def make_plan(keys: Texts, order: Int32s, sample_bytes: Int64s, limits: Limits) -> Plan:
    """Return the plan for samples of these keys and sizes (columns of a Listing), to be stored in this order of rows.

    It has the fewest shards that stay within the limits, and their sample counts differ by at most one. (Where no count
    near the fewest fits, because single samples nearly fill a shard, it has up to 0.1 % more than the fewest.) Raises
    PlanError for a sample that no shard can hold, and for a fixed number of shards that breaks a limit.
    """
    _refuse_oversized(keys, sample_bytes, limits)
    ends = np.zeros(len(keys) + 1, np.int64)
    for start in range(0, len(keys), _ROWS_AT_A_TIME):
        some = slice(start, start + _ROWS_AT_A_TIME)
        ends[1:][some] = sample_bytes[order[some]]
    np.cumsum(ends[1:], out=ends[1:])
    if limits.shards is not None:
        shard_count = limits.shards
        if not 1 <= shard_count <= len(keys):
            samples = counted(len(keys), "sample")
            raise PlanError(
                f"--shards {shard_count}: there {'is' if len(keys) == 1 else 'are'} {samples}, and no shard is empty. "
                f"Ask for at most {len(keys)}."
            )
    else:
        shard_count = _fewest(len(keys), ends, limits)
    cuts = _even_cuts(len(keys), shard_count)
    plan = Plan(order, cuts, ends[cuts[1:]] - ends[cuts[:-1]] + len(END))
    _refuse_overfull(plan, limits)
    return plan


def make_order(keys: Texts, seed: int | None, source_order: Int32s | None = None) -> Int32s:
    """Return the rows of `keys` (sorted) in the order in which they are stored.

    With `seed` None, that is the `source_order` or, without one, the order of the keys. Otherwise the rows are sorted
    by XXH3-64 of the key with `seed`, and equal hashes by key. So the order is a function of seed (0 to 2**64 - 1) and
    keys alone. It is the same on every platform and in every version of Python and numpy, and a sample that is added or
    removed does not move the others.
    (XXH3: https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md.)
    """
    if seed is None:
        return np.arange(len(keys), dtype=np.int32) if source_order is None else source_order
    hashes = np.empty(len(keys), np.uint64)
    for rows, some in keys.blocks():
        hashes[rows] = [xxhash.xxh3_64_intdigest(key, seed) for key in some]
    return np.argsort(hashes, kind="stable").astype(np.int32)


def _even_cuts(sample_count: int, shard_count: int) -> Int64s:
    """Return the cuts that divide the samples evenly; where that leaves a remainder, the first shards get one more."""
    small, odd = divmod(sample_count, shard_count)
    shards = np.arange(shard_count + 1)
    return shards * small + np.minimum(shards, odd)


def _fewest(sample_count: int, ends: Int64s, limits: Limits) -> int:
    room = limits.maxsize - len(END)
    fewest = max(1, -(-int(ends[-1]) // room))
    if limits.maxcount is not None:
        fewest = max(fewest, -(-sample_count // limits.maxcount))
    while fewest < sample_count:
        cuts = _even_cuts(sample_count, fewest)
        if np.max(ends[cuts[1:]] - ends[cuts[:-1]]) <= room:
            return fewest
        fewest += max(1, fewest // 1000)  # steps of 1 are exact; larger ones avoid a million steps
    return sample_count


def _refuse_oversized(keys: Texts, sample_bytes: Int64s, limits: Limits) -> None:
    largest = int(np.argmax(sample_bytes))
    needed = int(sample_bytes[largest]) + len(END)
    if needed > limits.maxsize:
        count = int(np.count_nonzero(sample_bytes + len(END) > limits.maxsize))
        raise PlanError(
            f"{keys[largest].decode('ascii')} alone needs a shard of {needed:,} bytes, and --maxsize is "
            f"{limits.maxsize:,} ({counted(count, 'such sample')}). Set --maxsize to at least {needed}."
        )


def _refuse_overfull(plan: Plan, limits: Limits) -> None:
    """Raise PlanError if a shard is too large, which only a fixed number of shards can cause."""
    samples = int(np.max(np.diff(plan.cuts)))
    if limits.maxcount is not None and samples > limits.maxcount:
        raise PlanError(
            f"--shards {plan.shard_count} puts {samples:,} samples into a shard, and --maxcount is "
            f"{limits.maxcount:,}. Raise one of the two."
        )
    size = int(np.max(plan.shard_bytes))
    if size > limits.maxsize:
        raise PlanError(
            f"--shards {plan.shard_count} makes a shard of {size:,} bytes, and --maxsize is {limits.maxsize:,}. "
            f"Ask for more shards, or set --maxsize to at least {size}."
        )
