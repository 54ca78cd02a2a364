"""What does a conversion from a disk that seeks take, with --stage and without, against reading the source through?

python -m benchmarks.seeking_disk [--bytes 1.8e9] [--runs 3] [--sources archive tree shards] [--only read plain staged]

The disk is a file that allows --reads reads a second, and --rate bytes a second, of what has to be fetched from it
(tools/limited_disk.py). It needs root; where something is missing, the script says what, and ends with status 2. On it
are the official archives of a set with --bytes of images, their tree, and shards of them. Each is read through once, in
8 MB pieces, folder by folder in the order of the inodes; is converted; and is converted with --stage on the disk of
--folder, which has no limits and receives all shards. Before each of these steps nothing of the disk is in memory. The
last column is the step's time divided by that of reading through. Figures are medians. It takes up to six times --bytes
in --folder, while it runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.archives import pack
from benchmarks.tools.limited_disk import LimitedDisk, Limits, Usage, limited_disk, missing
from benchmarks.tools.make_imagenet import SIZE_QUANTILES, make_imagenet

SOURCES = ("archive", "tree", "shards")
STEPS = ("read", "plain", "staged")

MEAN_BYTES = sum((more - less) * (large + small) / 2 for (less, small), (more, large) in pairwise(SIZE_QUANTILES))
"""Of an image."""

ROOM = 3.3
"""How many times --bytes the disk holds: tree, archives and shards, with the annotations and the ends of blocks."""

READ = """
import os, sys
buffer = memoryview(bytearray(8_000_000))
for folder, _, _ in sorted(os.walk(sys.argv[1])):
    for _, path in sorted((entry.inode(), entry.path) for entry in os.scandir(folder) if entry.is_file()):
        file, at = os.open(path, os.O_RDONLY), 0
        while size := os.preadv(file, [buffer], at):
            at += size
        os.close(file)
"""


def main() -> None:
    """Run the command line."""
    arguments = _parser().parse_args()
    cause = missing()
    if cause:
        print(f"benchmarks.seeking_disk: {cause}", file=sys.stderr)
        raise SystemExit(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all is removed
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    limits = Limits(arguments.reads, int(arguments.rate))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as fast:
        size = int(arguments.bytes * ROOM) + 200_000_000
        with limited_disk(Path(fast), size, limits) as disk:
            make_sources(disk.path, arguments.bytes, arguments.sources)
            rows = [row for source in arguments.sources for row in measure(disk, source, Path(fast), arguments)]
    print(f"{limits.reads} reads/s, {limits.read_bytes / 1e6:.0f} MB/s, medians of {arguments.runs} runs")
    print(f"{'source':<10}{'MB':>8}  {'step':<8}{'s':>9}{'MB/s':>8}{'reads':>10}{'KB a read':>11}{'against read':>14}")
    for row in rows:
        against = f"{row['against_read']:>14.2f}" if "against_read" in row else ""
        print(
            f"{row['source']:<10}{row['mb']:>8.0f}  {row['step']:<8}{row['seconds']:>9.2f}{row['mb_a_second']:>8.1f}"
            f"{row['reads']:>10,.0f}{row['kb_a_read']:>11.1f}{against}"
        )
    print(json.dumps({"benchmark": "seeking_disk", "limits": limits._asdict(), "runs": arguments.runs, "rows": rows}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=float, default=1.8e9, help="of the images")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), help="the steps to measure")
    parser.add_argument("--reads", type=int, default=150, help="a second")
    parser.add_argument("--rate", type=float, default=150e6, help="bytes a second")
    parser.add_argument("--folder", type=Path, help="where the disk and the shards lie, until they are removed")
    return parser


def make_sources(root: Path, size: float, sources: list[str]) -> None:
    """Make the folder `tree` in `root`, and `archive` and `shards` if they are among the sources."""
    images = max(1, round(size / MEAN_BYTES))
    make_imagenet(root / "tree", images, min(images, 100), 1.0)
    if "archive" in sources:
        pack(root / "tree", root / "archive")
    if "shards" in sources:
        subprocess.run(conversion(root, "tree", root / "shards", 2), check=True, stdout=subprocess.DEVNULL)
    print(f"made {images:,} images", file=sys.stderr)


def conversion(root: Path, source: str, dest: Path, workers: int) -> list[str]:
    """Return the command that converts a source of `root` into shards in `dest`."""
    words = ["--root", f"{root}/{source}"]
    if source == "shards":
        words = ["--layout", "shards", "--seed", "7", "--root", f"{root}/shards/*.tar"]
    words += ["--dest", f"{dest}", "--workers", f"{workers}", "--maxsize", "100MB", "--quiet"]
    return [sys.executable, "-m", "parallel_sharder", *words]


def measure(disk: LimitedDisk, source: str, fast: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each step with this source, in which each figure is the median of the runs."""
    of_source = sum(path.stat().st_size for path in (disk.path / source).rglob("*") if path.is_file())
    dest, stage = fast / "shards", fast / "stage"
    plain = conversion(disk.path, source, dest, arguments.workers)
    commands = {
        "read": [sys.executable, "-c", READ, f"{disk.path}/{source}"],
        "plain": plain,
        "staged": [*plain, "--stage", f"{stage}"],
    }
    usages: dict[str, list[Usage]] = {step: [] for step in STEPS if step in arguments.only}
    for number in range(arguments.runs):
        for step, some in usages.items():
            some.append(disk.run(commands[step]))
            for folder in (dest, stage):
                shutil.rmtree(folder, ignore_errors=True)
            print(f"run {number + 1} of {arguments.runs}: {source}, {step}: {some[-1].seconds:.2f} s", file=sys.stderr)
    rows = [_row(source, step, of_source, some) for step, some in usages.items()]
    if "read" in usages:
        for row in rows:
            row["against_read"] = statistics.median(
                one.seconds / read.seconds for one, read in zip(usages[row["step"]], usages["read"], strict=True)
            )
    return rows


def _row(source: str, step: str, of_source: int, usages: list[Usage]) -> dict[str, Any]:
    seconds, reads, read_bytes = (statistics.median(figures) for figures in zip(*usages, strict=True))
    return {
        "source": source,
        "step": step,
        "mb": of_source / 1e6,
        "seconds": seconds,
        "mb_a_second": of_source / seconds / 1e6,
        "reads": reads,
        "kb_a_read": read_bytes / max(1, reads) / 1e3,
    }


if __name__ == "__main__":
    main()
