"""Traces: the size and digest by which a file that this tool has written is recognised. This module changes nothing."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

import xxhash

from parallel_sharder.stores import durable
from parallel_sharder.stores.regular import open_regular

_BLOCK_BYTES = 1 << 20
_COMPARED_BYTES = 4096
"""The block in which two files are compared. A larger one would count as lost for one flipped bit; a device loses at
least so many bytes at once."""


class Trace(NamedTuple):
    """The size of a file in bytes, and its XXH3-128 in hex."""

    size: int
    xxh3_128: str


def trace_of(data: bytes) -> Trace:
    """Return the trace of a file that holds exactly this data."""
    return Trace(len(data), xxhash.xxh3_128_hexdigest(data))


def traced_identity(path: str, traces: Collection[Trace]) -> tuple[int, ...] | None:
    """Return the identity (see durable) of the file at `path` if the file has one of the `traces`; else None."""
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


def identify(task: tuple[str, Collection[Trace]]) -> tuple[str, tuple[int, ...] | None]:
    """Return the path of a task, and its `traced_identity` with the task's traces; an engine's workers run it."""
    path, traces = task
    return path, traced_identity(path, traces)


def is_damaged_copy(there: str, made: str) -> bool:
    """Return whether the file at `there` is a damaged copy of the file at `made`.

    A damaged copy is not longer than the original, and of its blocks that are not all zeros, at least as many agree as
    differ.
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
