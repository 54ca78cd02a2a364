"""How fast is a conversion, against the raw copy that bounds it and the script it replaces?

python -m benchmarks.throughput [--images 4000] [--runs 5] [--workers 1 2] [--folder FOLDER]

The same files, warm, in alternating runs, each in a process of its own:
  ours       parallel_sharder with its defaults, but workers started by spawn: the system adds a process's time to its
             parent's only when that waits for it, which a fork server's does not
  raw copy   open, read and close each image and annotation, one write per 256 KB, a sync at the end: no tar, no parsing
  reference  the single-process script on webdataset's ShardWriter
CPU is user and system time of all processes of a run. CPU per further sample is the slope between the whole set and a
quarter of it, so that start-up does not blur it. Figures are medians; ratios are medians of the ratios run by run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.make_imagenet import make_imagenet

COPY_BYTES = 256 * 1024


class Figures(NamedTuple):
    """One run."""

    wall_seconds: float
    cpu_seconds: float


def ours(root: Path, out: Path, workers: int) -> None:
    """The real command line."""
    from parallel_sharder.cli import main

    words = f"--root {root} --dest {out} --workers {workers} --maxsize 100MB --start-method spawn --quiet".split()
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    assert main(words) == 0


def raw_copy(root: Path, out: Path, workers: int) -> None:
    """Every byte of the source, once through memory; `workers` processes share the files."""
    out.mkdir()
    paths = [
        entry.path
        for folder in sorted(os.scandir(root / "train"), key=lambda e: e.name)
        for entry in os.scandir(folder)
    ]
    copies = [
        multiprocessing.get_context("fork").Process(target=_copy, args=(paths[number::workers], out / f"{number}"))
        for number in range(workers)
    ]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join()


def _copy(paths: list[str], target: Path) -> None:
    buffer = memoryview(bytearray(4 * 1024 * 1024))
    filled = 0
    out = os.open(target, os.O_WRONLY | os.O_CREAT)
    for path in paths:
        source = os.open(path, os.O_RDONLY)
        filled += os.readv(source, [buffer[filled:]])
        os.close(source)
        if filled >= COPY_BYTES:
            os.write(out, buffer[:filled])
            filled = 0
    os.write(out, buffer[:filled])
    os.fsync(out)


def reference(root: Path, out: Path, workers: int) -> None:
    """The known script; it has one process, whatever `workers`."""
    import random

    from tests.reference import samples_of, write_shards

    del workers
    out.mkdir()
    samples = list(samples_of(root, "train"))
    random.Random(0).shuffle(samples)
    write_shards(samples, out / "imagenet_train-%06d.tar")


def measure(function: Callable[[Path, Path, int], None], root: Path, workers: int) -> Figures:
    """Run `function` in a process of its own, on an output folder that is removed afterwards."""
    out = Path(tempfile.mkdtemp()) / "out"
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = multiprocessing.get_context("spawn").Process(target=function, args=(root, out, workers))
    process.start()
    process.join()
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out.parent)
    if process.exitcode != 0:
        raise SystemExit(f"{function.__name__} failed")
    return Figures(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path, help="where the sets are made, or were made by an earlier run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        large, small = arguments.images, arguments.images // 4
        roots = {images: folder / f"set-{images}" for images in (large, small)}
        for images, root in roots.items():
            if not root.exists():
                make_imagenet(root, images, 100, 1.0)
        functions = (ours, raw_copy, reference)
        keys = [(f, workers, images) for workers in arguments.workers for f in functions for images in roots]
        runs: dict[tuple[Callable[..., None], int, int], list[Figures]] = {key: [] for key in keys}
        for number in range(arguments.runs + 1):
            for function, workers, images in keys:
                figures = measure(function, roots[images], workers)
                if number:  # the first round warms the cache
                    runs[function, workers, images].append(figures)

    rows = []
    for workers in arguments.workers:
        for function in functions:
            whole, part = runs[function, workers, large], runs[function, workers, small]
            slopes = [(a.cpu_seconds - b.cpu_seconds) / (large - small) * 1e6 for a, b in zip(whole, part, strict=True)]
            wall = [run.wall_seconds for run in whole]
            rows.append((function.__name__, workers, slopes, wall))
    print(f"{large:,} images, medians of {arguments.runs} alternating runs, warm")
    heads = ("", "workers", "CPU us/sample", "wall s", "images/s", "CPU vs raw", "wall vs raw")
    print("{:<12}{:>8}{:>16}{:>9}{:>10}{:>12}{:>13}".format(*heads))
    for name, workers, slopes, wall in rows:
        [(raw_slopes, raw_wall)] = [row[2:] for row in rows if row[:2] == ("raw_copy", workers)]
        cpu_ratio = statistics.median(a / b for a, b in zip(slopes, raw_slopes, strict=True))
        wall_ratio = statistics.median(a / b for a, b in zip(wall, raw_wall, strict=True))
        seconds = statistics.median(wall)
        print(
            f"{name:<12}{workers:>8}{statistics.median(slopes):>16.0f}{seconds:>9.2f}{large / seconds:>10,.0f}"
            f"{cpu_ratio:>12.2f}{wall_ratio:>13.2f}"
        )
    print(json.dumps({"benchmark": "throughput", "images": large, "rows": rows}))


if __name__ == "__main__":
    main()
