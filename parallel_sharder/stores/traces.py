"""Traces: the size and digest by which a file that this tool has written is known again. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

import xxhash

from parallel_sharder.stores import durable
from parallel_sharder.stores.regular import open_regular

_BLOCK_BYTES = 1 << 20
_COMPARED_BYTES = 4096
"""Larger blocks would let one flipped bit damn more of a file; a device loses as many bytes at once, or more."""


class Trace(NamedTuple):
    """What a file holds: so many bytes, of this XXH3-128 in hex."""

    size: int
    xxh3_128: str


def trace_of(data: bytes) -> Trace:
    """The trace of a file that holds just that."""
    return Trace(len(data), xxhash.xxh3_128_hexdigest(data))


def identity_if(path: str, traces: Collection[Trace]) -> tuple[int, ...] | None:
    """The identity (see durable) of the file at `path` if it has one of the `traces`; None for all else."""
    try:
        identity = durable.identity(path)
        with open(open_regular(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if all(size != trace.size for trace in traces):
                return None
            digest = xxhash.xxh3_128()
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return None
    return identity if Trace(size, digest.hexdigest()) in traces else None


def identified(task: tuple[str, Collection[Trace]]) -> tuple[str, tuple[int, ...] | None]:
    """A path, and what `identity_if` says of it and of these traces: for workers."""
    path, traces = task
    return path, identity_if(path, traces)


def is_damaged_copy(there: str, made: str) -> bool:
    """Whether the file that is `there` was a copy of the one `made`, and has lost something since.

    It is no longer than that, and of its blocks that hold anything, more agree than differ.
    """
    agreeing = differing = 0
    try:
        descriptor = open_regular(there, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    with open(descriptor, "rb") as damaged, open(made, "rb") as whole:
        while block := damaged.read(_COMPARED_BYTES):
            other = whole.read(_COMPARED_BYTES)
            if len(block) > len(other):
                return False
            agreeing += any(block) and block == other[: len(block)]
            differing += any(block) and block != other[: len(block)]
    return agreeing >= differing
