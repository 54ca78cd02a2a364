"""Engines: each runs functions on tasks, in processes or in this process, and knows neither functions nor tasks.

Each engine is one file that answers to `engine.Engine`. Each command opens one engine by `running`, which also turns
what stops the command into a SharderError with a sentence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.limits import explaining_errors


@contextlib.contextmanager
def running(workers: int | None, start_method: str | None = None, preload: str = "") -> Iterator[Engine]:
    """Hold an engine for one command inside the block, as open_engine returns it; None means a worker for each core.

    An error inside the block that does not explain itself (a worker's death, missing memory, another limit of the
    machine, an OSError) becomes a SharderError that says why.
    """
    with explaining_errors():
        if workers is None:
            from parallel_sharder.engines import cores  # only when it is needed: workers import this module

            workers = cores.usable_cores()
        with open_engine(workers, start_method, preload) as engine:
            yield engine


def open_engine(workers: int, start_method: str | None = None, preload: str = "") -> Engine:
    """Return an engine with this number of workers: this process for 0, otherwise processes.

    `preload` names the module that tasks need most: if workers are copies of a server, the server imports it once.
    Raises WorkerError if the engine cannot be made.
    """
    if workers == 0:
        from parallel_sharder.engines.inline import Inline

        return Inline()
    from parallel_sharder.engines import processes

    return processes.open_engine(workers, start_method, preload)
