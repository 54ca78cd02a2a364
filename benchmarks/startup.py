"""How long does the command take to start, and a worker, and how much memory does a worker take?

python -m benchmarks.startup [--runs 11]

The times are wall times of whole processes, which are run alternately. Memory is the peak of a process's resident set
above the bare interpreter's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

STARTS = {
    "python": ["-c", "pass"],
    "--help": ["-m", "parallel_sharder", "--help"],
    "verify --help": ["-m", "parallel_sharder", "verify", "--help"],
    "worker's imports": ["-c", "import parallel_sharder.engines.worker_process, parallel_sharder.worker"],
}


def run(words: list[str]) -> tuple[float, int]:
    """Run Python with these words, and return the wall time in seconds and the peak memory in kilobytes."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words} failed")
    return seconds, usage.ru_maxrss


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    arguments = parser.parse_args()
    runs: dict[str, list[tuple[float, int]]] = {name: [] for name in STARTS}
    for _ in range(arguments.runs):
        for name, words in STARTS.items():
            runs[name].append(run(words))
    bare = min(memory for _, memory in runs["python"])
    print(f"{'':<18}{'wall s':>8}{'MB above bare':>15}   medians of {arguments.runs} alternating runs")
    for name, some in runs.items():
        seconds, memory = (statistics.median(each[i] for each in some) for i in (0, 1))
        print(f"{name:<18}{seconds:>8.3f}{(memory - bare) / 1000:>15.1f}")
    print(json.dumps({"benchmark": "startup", "runs": runs}))


if __name__ == "__main__":
    main()
