"""The command line with small and slow pieces in the stage, to be killed in the middle.

It is called by python -m tests.slow_stage WORD ... Workers are started by fork, so that they inherit what is patched.
"""

from __future__ import annotations

import sys
import time

from parallel_sharder.cli.main import main as command_line
from parallel_sharder.staging import copy, stretches
from parallel_sharder.stores import durable

write_all = durable.write_all


def slowly(descriptor: int, data: bytes | memoryview) -> None:
    """Write the data, after a while."""
    time.sleep(0.03)
    write_all(descriptor, data)


if __name__ == "__main__":
    stretches.STRETCH_BYTES = copy.STRETCH_BYTES = 20_000
    copy.CHUNK_BYTES = 3_000
    durable.write_all = slowly
    sys.exit(command_line([*sys.argv[1:], "--start-method", "fork"]))
