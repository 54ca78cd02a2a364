"""Engines: where the work is done. One file each; all answer to `engine.Engine`. None knows what the work is.

Each command opens one by `running`, and what stops the command then ends in words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from parallel_sharder.engines.engine import Engine
from parallel_sharder.engines.limits import explaining_errors


@contextlib.contextmanager
def running(workers: int | None, start_method: str | None = None, preload: str = "") -> Iterator[Engine]:
    """An engine for one command: a worker a core for None; the rest is as open_engine says.

    Within, what ends the command without words of its own (a worker's death, missing memory, another limit of the
    machine, an OSError) ends in a SharderError that says why.
    """
    with explaining_errors():
        if workers is None:
            from parallel_sharder.engines import cores  # not before it is wanted: workers import this module

            workers = cores.usable_cores()
        with open_engine(workers, start_method, preload) as engine:
            yield engine


def open_engine(workers: int, start_method: str | None = None, preload: str = "") -> Engine:
    """The engine for so many workers: this process for 0, processes otherwise.

    `preload` names the module that tasks need most: where workers are copies of a server, the server imports it once.
    Raises WorkerError if there can be no engine.
    """
    if workers == 0:
        from parallel_sharder.engines.inline import Inline

        return Inline()
    from parallel_sharder.engines import processes

    return processes.open_engine(workers, start_method, preload)
