"""How much memory do coordinator and workers take?

python -m benchmarks.memory [--images 4000] [--workers 2] [--folder DIR]

The figure is the peak resident set of each process of a real run, as the system counts it (VmHWM); it is read until the
process ends. Pages that workers share with the fork server count fully. The last column leaves out the peak of a bare
interpreter.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.tools.make_imagenet import kept_set


def peak_bytes(pid: int | str) -> int:
    """Return the most bytes that a living process has had in memory, or 0 if the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(peak[1]) * 1024 if peak else 0


def peaks(root: Path, dest: str, workers: int) -> dict[str, int]:
    """Return the peaks of the processes of one conversion; of the workers it is the largest."""
    words = f"--root {root} --dest {dest} --workers {workers} --maxsize 50MB --quiet".split()
    found = {"coordinator": 0, "fork server": 0, "worker": 0}
    process = psutil.Popen([sys.executable, "-m", "parallel_sharder", *words], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        found["coordinator"] = max(found["coordinator"], peak_bytes(process.pid))
        for child in process.children():
            try:
                server = "forkserver" in " ".join(child.cmdline())
                grandchildren = child.children()
            except psutil.Error:  # it has just ended
                continue
            if server:
                found["fork server"] = max(found["fork server"], peak_bytes(child.pid))
                found["worker"] = max(found["worker"], *(peak_bytes(each.pid) for each in grandchildren), 0)
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit("the conversion failed")
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the set is made, or was made by an earlier run")
    arguments = parser.parse_args()
    read_own = "print(open('/proc/self/status').read())"
    status = subprocess.run([sys.executable, "-c", read_own], capture_output=True, text=True, check=True).stdout
    bare = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = kept_set(arguments.folder or Path(temporary), arguments.images)
        for ending in ("tar", "tgz", "tar.zst"):
            results[ending] = peaks(root, f"{temporary}/{ending}/x-%06d.{ending}", arguments.workers)
    print(f"{arguments.images:,} images, {arguments.workers} workers; a bare interpreter takes {bare / 1e6:.1f} MB")
    print(f"{'shards':<10}{'process':<14}{'peak MB':>9}{'above bare':>12}")
    for ending, found in results.items():
        for name, peak in found.items():
            print(f"{'.' + ending:<10}{name:<14}{peak / 1e6:>9.1f}{(peak - bare) / 1e6:>12.1f}")
    print(json.dumps({"benchmark": "memory", "images": arguments.images, "bare": bare, "peaks": results}))


if __name__ == "__main__":
    main()
