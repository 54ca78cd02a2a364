"""How long does the scan of class folders take for a file, and how much memory, compared with listing them at all?

python -m benchmarks.class_folders [--files 3000000] [--classes 1000] [--workers 2] [--folder FOLDER] [--runs 3]

The script makes files in class folders, with names as in ImageNet-21k, which --folder keeps; as hard links to a few
they cost the disk nothing but their names. Each run lists the folders in one process and asks for each file's size,
which no program can do without, and then scans them with the workers. The ratio is that of a run's wall times. Memory
is that of all processes of the scan, and of the plan after it, without what they share.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.tools.step import PEAK, run_step

LINKS = 60_000
"""How many names a file gets: ext4 allows 65,000."""

LIST = (
    PEAK
    + """
import os
start = time.monotonic()
files = 0
for folder in os.scandir(sys.argv[1]):
    for entry in os.scandir(folder.path):
        entry.stat()
        files += 1
print_with_peak({"files": files, "seconds": time.monotonic() - start})
"""
)
SCAN = (
    PEAK
    + """
import threading
import psutil
from parallel_sharder import Options
from parallel_sharder.coordinator import plan_of
from parallel_sharder.engines import open_engine
from parallel_sharder.memory import give_back_freed
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.class_folders.source import ClassFoldersSource
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch
most = 0
def watch():
    global most
    while True:
        now = 0
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                memory = process.memory_info()
                now += memory.rss - memory.shared
            except psutil.Error:
                pass
        most = max(most, now)
        time.sleep(0.05)
threading.Thread(target=watch, daemon=True).start()
with open_engine(int(sys.argv[2]), None) as engine, ClassFoldersSource(SourceOptions(root=(sys.argv[1],))) as source:
    start = time.monotonic()
    listing = source.scan(engine, Silent(), Scratch())
    seconds = time.monotonic() - start
    give_back_freed()
    plan_of(listing, Options(root=sys.argv[1], dest="/unused").settled(source.kind))
print_with_peak({"files": len(listing), "seconds": seconds, "all_mb": most / 1e6})
"""
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3_000_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the set is made, or was made by an earlier run")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.folder or Path(temporary) / "set"
        if not root.exists():
            make_set(root, arguments.files, arguments.classes)
        runs = [(run_step(LIST, root), run_step(SCAN, root, arguments.workers)) for _ in range(arguments.runs)]
    print(f"{'files':>12}{'list us':>9}{'scan us':>9}{'ratio':>7}{'MB':>6}")
    rows = []
    for listed, scanned in runs:
        each = [figures["seconds"] / figures["files"] * 1e6 for figures in (listed, scanned)]
        rows.append({"list_us": each[0], "scan_us": each[1], "ratio": each[1] / each[0], "mb": scanned["all_mb"]})
        row = rows[-1]
        print(f"{scanned['files']:>12,}{each[0]:>9.2f}{each[1]:>9.2f}{row['ratio']:>7.2f}{row['mb']:>6.0f}")
    print(json.dumps({"benchmark": "class_folders", "workers": arguments.workers, "runs": rows}))


def make_set(root: Path, files: int, classes: int) -> None:
    """Make files of no bytes with the endings of images in class folders."""
    made, linked = 0, ""
    for number in range(classes):
        name = f"n{10_000_000 + number}"
        (root / name).mkdir(parents=True)
        for row in range(number, files, classes):
            path = f"{root}/{name}/{name}_{row // classes * 17}.JPEG"
            if made % LINKS:
                os.link(linked, path)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
                linked = path
            made += 1
    print(f"made {files:,} files", file=sys.stderr)


if __name__ == "__main__":
    main()
