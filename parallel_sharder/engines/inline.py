"""The in-line engine: one thread of this process, for debugging, small sets, and places without processes."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor

from parallel_sharder.board import Board
from parallel_sharder.engines import Engine
from parallel_sharder.worker import write_chunk


def open_engine() -> Engine:
    """One worker, in a thread, so that the coordinator can show progress meanwhile."""
    board = Board(Board.local(1))
    return Engine(ThreadPoolExecutor(1), functools.partial(write_chunk, board=board), board, 1)
