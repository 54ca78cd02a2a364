"""The bootstrap: the script that a new Python process runs to become a worker or a fork server.

It is run by its path, so that only the standard library is imported before sys.path is set. Then `parallel_sharder` is
imported from the folder of the coordinator's own copy, wherever Python has found that one. Its arguments are the start
method, a module to preload, two descriptors and sys.path.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys


def main(method: str, preload: str, descriptor: str, board: str, *path: str) -> None:
    """Become a fork server if `method` is "forkserver", otherwise a worker, and end this process.

    `descriptor` is a socket or a pipe to the coordinator, and `board` is the board's file. Imports come from `path`. A
    fork server imports the module `preload`, if it is named, so that its workers need not import it.
    """
    sys.path[:] = path
    # Otherwise numpy, if a task needs it, starts a thread for each core for linear algebra. No task uses these threads,
    # and a fork loses them.
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
    """Import `parallel_sharder` from its folder. Packages beside that folder are not found by this."""
    init = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location("parallel_sharder", init, submodule_search_locations=[folder])
    assert spec is not None  # noqa: S101 - it is a Python file
    assert spec.loader is not None  # noqa: S101 - likewise
    module = importlib.util.module_from_spec(spec)
    sys.modules["parallel_sharder"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    main(*sys.argv[1:])
