"""How long do scan and plan take, and how much memory, for a set of this size?

python -m benchmarks.scan [--images 1281167] [--workers 2] [--folder FOLDER]

The script makes a set of images of a few hundred bytes with the real number of classes and annotations, which --folder
keeps. Then it does three times what `--dry-run` does, in a process of its own; from the second time on, the file
system's own cache is warm. Peak memory is the coordinator's, as the system counts it (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tools.make_imagenet import IMAGES, TINY, make_imagenet
from benchmarks.tools.step import PEAK, run_step

PREVIEW = (
    PEAK
    + """
import resource
from parallel_sharder import Options, preview
start = time.monotonic()
plan = preview(Options(root=Path(sys.argv[1]), workers=int(sys.argv[2])))
own = resource.getrusage(resource.RUSAGE_SELF)
print_with_peak({
    "samples": plan.samples, "shards": plan.shards, "seconds": time.monotonic() - start,
    "coordinator_cpu_seconds": own.ru_utime + own.ru_stime,
})
"""
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the set is made, or was made by an earlier run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.folder or Path(temporary) / "set"
        if not root.exists():
            start = time.monotonic()
            make_imagenet(root, arguments.images, 1000, TINY)
            print(f"made {arguments.images:,} entries in {time.monotonic() - start:.0f} s", file=sys.stderr)
        runs = [run_step(PREVIEW, root, arguments.workers) for _ in range(3)]
    print(f"{'run':<8}{'samples':>12}{'shards':>8}{'wall s':>9}{'own CPU s':>11}{'peak MB':>9}")
    for name, figures in zip(("first", "second", "third"), runs, strict=True):
        print(
            f"{name:<8}{figures['samples']:>12,}{figures['shards']:>8,}{figures['seconds']:>9.2f}"
            f"{figures['coordinator_cpu_seconds']:>11.2f}{figures['peak_mb']:>9.0f}"
        )
    print(json.dumps({"benchmark": "scan", "workers": arguments.workers, "runs": runs}))


if __name__ == "__main__":
    main()
