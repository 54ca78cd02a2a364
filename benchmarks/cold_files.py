"""How fast are files converted of which nothing is in memory, compared with the best number of plain readers?

python -m benchmarks.cold_files [--images 24000] [--scale 0.6] [--runs 5] [--workers 2] [--readers 1 2 4 ...]
                                [--contents-only] [--root SET] [--folder DIR] [--outputs DIR]

Plain readers are processes that open, read and close the same images and annotations in shuffled order, and do nothing
else. A conversion is timed from the end of its plan, when the scan is done, until its end. Before each of these, root
makes the system forget the contents, inodes and names of all files on this machine: another host of a cluster has none
of them either. For others than root, and with --contents-only, only the set's contents are dropped, and the head of the
table says so. The last column is the rate divided by that of the best plain
readers, round by round. CPU time is user and system time of all processes. --root takes a set that make_imagenet has
made somewhere else, say on a network's file system.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tools.make_imagenet import make_imagenet
from benchmarks.tools.peers import files_of, make_cold
from parallel_sharder import Options, Silent, convert
from parallel_sharder.model import Plan, ShardRecord

READ_BYTES = 16 * 1024 * 1024
"""Larger than every image."""

DROP = Path("/proc/sys/vm/drop_caches")


class Rate(NamedTuple):
    """One run."""

    images_per_s: float
    cpu_us: float


Forget = Callable[[], None]
"""Makes the files cold."""


class _Cold(Silent):
    """Makes the files cold when the plan is made, and notes when that is done."""

    def __init__(self, forget: Forget) -> None:
        self._forget = forget
        self.cold_at = self.cpu_at = 0.0

    def planned(self, plan: Plan, kept: Sequence[ShardRecord]) -> None:
        """As Monitor says."""
        del plan, kept
        self._forget()
        self.cold_at, self.cpu_at = time.monotonic(), _cpu_seconds()


def forget_all() -> None:
    """Drop contents, inodes and names of all files."""
    os.sync()
    DROP.write_text("3")


def readers(count: int, forget: Forget, samples: Sequence[list[str]]) -> Rate:
    """So many processes share the samples."""
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    parts = [samples[number::count] for number in range(count)]
    processes = [context.Process(target=_read, args=(part, begun)) for part in parts]
    for process in processes:
        process.start()
    forget()
    cpu, start = _cpu_seconds(), time.monotonic()
    begun.set()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return _rate(len(samples), time.monotonic() - start, _cpu_seconds() - cpu)


def _read(samples: Sequence[list[str]], begun: Event) -> None:
    buffer = memoryview(bytearray(READ_BYTES))
    begun.wait()
    for paths in samples:
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY)
            os.readv(descriptor, [buffer])
            os.close(descriptor)


def conversion(workers: int, forget: Forget, root: Path, outputs: Path, images: int) -> Rate:
    """The real one, from the plan on; the workers' start is counted, and their scan's CPU time is not known apart."""
    monitor = _Cold(forget)
    with tempfile.TemporaryDirectory(dir=outputs) as dest:
        convert(Options(root=root, dest=dest, workers=workers, maxsize=100_000_000, start_method="spawn"), monitor)
        return _rate(images, time.monotonic() - monitor.cold_at, _cpu_seconds() - monitor.cpu_at)


def _rate(images: int, seconds: float, cpu_seconds: float) -> Rate:
    return Rate(images / seconds, cpu_seconds / images * 1e6)


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def samples_of(root: Path) -> list[list[str]]:
    """The files of each sample, the image last, in shuffled order."""
    samples: dict[str, list[str]] = {}
    for path in sorted(files_of(root), reverse=True):
        samples.setdefault(path.rpartition(".")[0], []).append(path)
    shuffled = [samples[key] for key in sorted(samples)]
    random.Random(0).shuffle(shuffled)
    return shuffled


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=24_000)
    parser.add_argument("--scale", type=float, default=0.6, help="sizes of the images times this")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--contents-only", action="store_true", help="leave names and inodes in memory, for root too")
    parser.add_argument("--root", type=Path, help="a set that is there already")
    parser.add_argument("--folder", type=Path, help="where the set is made, or was made by an earlier run")
    parser.add_argument("--outputs", type=Path, help="where shards are written, until they are removed")
    arguments = parser.parse_args()
    is_all = not arguments.contents_only and os.access(DROP, os.W_OK)
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.root or (arguments.folder or Path(temporary)) / f"cold-{arguments.images}-{arguments.scale}"
        if not root.exists():
            make_imagenet(root, arguments.images, 1000, arguments.scale)
        samples = samples_of(root)
        forget = forget_all if is_all else functools.partial(make_cold, root)
        outputs = arguments.outputs or arguments.folder or Path(temporary)
        cases: dict[str, Callable[[], Rate]] = {}
        for count in arguments.readers:
            cases[f"plain readers, {count}"] = functools.partial(readers, count, forget, samples)
        for count in arguments.workers:
            cases[f"conversion, {count}"] = functools.partial(conversion, count, forget, root, outputs, len(samples))
        rounds = [{name: run() for name, run in cases.items()} for _ in range(arguments.runs)]
    cold = "nothing of the files in memory"
    if not is_all:
        cold = "NAMES AND INODES IN MEMORY, because only root can drop them: opens wait for nothing"
    print(f"{len(samples):,} images, medians of {arguments.runs} alternating rounds, {cold}")
    print(f"{'':<24}{'images/s':>12}{'CPU us/image':>14}{'to best readers':>17}")
    rows = [_row(name, rounds) for name in cases]
    for row in rows:
        print("{name:<24}{images_per_s:>12,.0f}{cpu_us:>14.0f}{to_best:>17.2f}".format(**row))
    print(json.dumps({"benchmark": "cold_files", "images": len(samples), "cache": cold, "rows": rows}))


def _row(name: str, rounds: Sequence[dict[str, Rate]]) -> dict[str, Any]:
    plain = [each for each in rounds[0] if each.startswith("plain")]
    best = max(plain, key=lambda each: statistics.median(one[each].images_per_s for one in rounds))
    return {
        "name": name,
        "images_per_s": statistics.median(one[name].images_per_s for one in rounds),
        "cpu_us": statistics.median(one[name].cpu_us for one in rounds),
        "to_best": statistics.median(one[name].images_per_s / one[best].images_per_s for one in rounds),
    }


if __name__ == "__main__":
    main()
