"""The plan: in what order the samples are stored, and where that order is cut into shards.

Pure: a Listing's keys, the samples' sizes, a seed and limits in, a Plan out. No I/O, no clock, no number of workers, so
whoever has the same source and the same limits has the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xxhash

from parallel_sharder.columns import Int32s, Int64s, Keys
from parallel_sharder.errors import PlanError
from parallel_sharder.model import Plan
from parallel_sharder.tar.ustar import END
from parallel_sharder.text import counted

_ROWS_AT_A_TIME = 1 << 16
"""Rows looked up, and keys made into Python objects, at a time: more cost memory, fewer cost time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a shard: bytes of the tar before compression, samples, and the number of shards if it is fixed."""

    maxsize: int
    maxcount: int | None = None
    shards: int | None = None


def make_plan(keys: Keys, order: Int32s, sample_bytes: Int64s, limits: Limits) -> Plan:
    """The plan for samples of these keys and sizes (columns of a Listing), to be stored in this order of rows.

    The fewest shards that stay within the limits, with sample counts that differ by at most one. (Where no count near
    the fewest fits, because single samples nearly fill a shard, up to 0.1 % more than the fewest.) Raises PlanError for
    a sample that no shard can hold, and for a fixed number of shards that cannot be.
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


def in_order(keys: Keys, seed: int | None) -> Int32s:
    """The rows of `keys` (sorted) in the order they are stored; `seed` None keeps that of the keys.

    Otherwise by XXH3-64 of the key with `seed`, equal hashes by key. So the order is a function of seed (0 to
    2**64 - 1) and keys alone, the same on every platform and in every version of Python and numpy, and a sample that is
    added or removed does not move the others. (XXH3: https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md.)
    """
    if seed is None:
        return np.arange(len(keys), dtype=np.int32)
    hashes = np.empty(len(keys), np.uint64)
    for start in range(0, len(keys), _ROWS_AT_A_TIME):
        some = keys[start : start + _ROWS_AT_A_TIME].tolist()
        hashes[start : start + len(some)] = [xxhash.xxh3_64_intdigest(key, seed) for key in some]
    return np.argsort(hashes, kind="stable").astype(np.int32)


def _even_cuts(sample_count: int, shard_count: int) -> Int64s:
    """Where to cut so many samples into so many shards: the first ones get the odd samples."""
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
        fewest += max(1, fewest // 1000)  # one by one where that is quick, and never a million steps
    return sample_count


def _refuse_oversized(keys: Keys, sample_bytes: Int64s, limits: Limits) -> None:
    largest = int(np.argmax(sample_bytes))
    needed = int(sample_bytes[largest]) + len(END)
    if needed > limits.maxsize:
        count = int(np.count_nonzero(sample_bytes + len(END) > limits.maxsize))
        raise PlanError(
            f"{keys[largest].decode('ascii')} alone needs a shard of {needed:,} bytes, and --maxsize is "
            f"{limits.maxsize:,} ({counted(count, 'such sample')}). Set --maxsize to at least {needed}."
        )


def _refuse_overfull(plan: Plan, limits: Limits) -> None:
    """Only a fixed number of shards can make one too large."""
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
