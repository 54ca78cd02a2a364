"""One step of a benchmark in a process of its own, so that the peak memory is that step's alone.

A step is the text of a Python program, which begins with PEAK and ends by calling `print_with_peak` with its figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PEAK = """
import json, re, sys, time
from pathlib import Path
def print_with_peak(figures):
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    print(json.dumps({**figures, "peak_mb": peak / 1e6}))
"""
CONVERT = (
    PEAK
    + """
from parallel_sharder import Options, convert
root, dest, workers, shards = sys.argv[1:]
report = convert(Options(root=Path(root), dest=dest, workers=int(workers), shards=int(shards)))
assert not report.left_out
print_with_peak({"samples": report.samples, "seconds": report.seconds})
"""
)


def run_step(code: str, *words: object) -> dict[str, Any]:
    """Run `code` with `words` as its arguments; returns the figures that it prints, with `peak_mb`."""
    command = [sys.executable, "-c", code, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures
