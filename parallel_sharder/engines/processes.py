"""The process engine: a `concurrent.futures` pool, which notices a worker that dies (multiprocessing.Pool would wait
for ever).

Works with every start method. The default is forkserver, or spawn where that is missing: fork copies a coordinator
with threads and locks in unknown states.
"""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from parallel_sharder.board import Board
from parallel_sharder.engines import Engine
from parallel_sharder.model import Chunk, ShardRecord
from parallel_sharder.worker import write_chunk

CHUNKS_AHEAD = 2
"""Chunks dealt beyond one for each worker: with none a worker would wait for the coordinator between two chunks, with
many the coordinator's memory would grow with the set."""

_board: Board


def open_engine(workers: int, start_method: str | None) -> Engine:
    """A pool of `workers` processes, started by `start_method` or the safe default."""
    context = multiprocessing.get_context(start_method or default_start_method())
    if context.get_start_method() == "forkserver":
        multiprocessing.set_forkserver_preload(["parallel_sharder.engines.processes"])
    slots = workers + CHUNKS_AHEAD
    memory = Board.shared(context, slots)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(memory,))
    return Engine(pool, _write, Board(memory), slots)


def default_start_method() -> str:
    """The safest there is: "forkserver", or "spawn" where that is missing."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _begin(memory: Any) -> None:
    global _board
    # Ctrl-C reaches the whole group; the coordinator alone decides what it means, and tells through the board.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _board = Board(memory)


def _write(chunk: Chunk, slot: int) -> ShardRecord:
    return write_chunk(chunk, slot, _board)
