"""The script that a helper process runs: it becomes a worker, or a fork server.

It is run by its path, so that nothing but the standard library is imported before sys.path is what it should be, and
`parallel_sharder` is then the one that the coordinator runs, wherever that was found.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys


def main(method: str, preload: str, descriptor: str, board: str, *path: str) -> None:
    """Become what the start method `method` wants, with these descriptors; imports come from `path`.

    A fork server imports the module `preload`, if one is named, so that its workers need not.
    """
    sys.path[:] = path
    # If a task needs numpy, that starts a thread a core for linear algebra that nobody asks for; forks lose it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        _import_package(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        from parallel_sharder.engines.board import Board
        from parallel_sharder.engines.worker_process import run_and_exit, serve, work

        if method == "forkserver" and preload:
            importlib.import_module(preload)
        run_and_exit(serve if method == "forkserver" else work, int(descriptor), Board.at(int(board)))
    except MemoryError:
        from parallel_sharder.errors import NO_MEMORY_STATUS

        os._exit(NO_MEMORY_STATUS)


def _import_package(folder: str) -> None:
    """Import `parallel_sharder` from its folder, which says nothing about where other packages come from."""
    init = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location("parallel_sharder", init, submodule_search_locations=[folder])
    assert spec is not None  # noqa: S101 - it is a Python file
    assert spec.loader is not None  # noqa: S101 - likewise
    module = importlib.util.module_from_spec(spec)
    sys.modules["parallel_sharder"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    main(*sys.argv[1:])
