"""Variants of one conversion, in one process: each round runs each once, and shows what a part costs or gains."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from benchmarks.tools.make_imagenet import kept_set
from parallel_sharder import Options, convert

Patches = Sequence[tuple[Any, str, Any]]
"""What a variant replaces: for each thing its owner, its name, and the value that stands there instead."""


class Figures(NamedTuple):
    """One run, for each image, in microseconds; CPU is user and system time."""

    cpu_us: float
    wall_us: float


def measure(root: Path, images: int, patches: Patches, *, late_syncs: bool) -> Figures:
    """Time one conversion by --workers 0; with `late_syncs` the shards are synced afterwards, within the time."""
    out = Path(tempfile.mkdtemp(dir=root.parent))
    gc.collect()
    with contextlib.ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(patch.object(owner, name, value))
        cpu, wall = time.process_time(), time.monotonic()
        convert(Options(root=root, dest=str(out), workers=0, maxsize=100_000_000))
    for shard in out.glob("*.tar") if late_syncs else ():
        descriptor = os.open(shard, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    figures = Figures((time.process_time() - cpu) / images * 1e6, (time.monotonic() - wall) / images * 1e6)
    shutil.rmtree(out)
    return figures


def compare(name: str, about: str | None, variants: Mapping[str, Patches], late_syncs: Sequence[str] = ()) -> None:
    """Run the command line of a benchmark that compares each of `variants` with the first, and print the figures."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--folder", type=Path, help="where the set is made, or was made by an earlier run")
    arguments = parser.parse_args()
    images = arguments.images
    with tempfile.TemporaryDirectory() as temporary:
        root = kept_set(arguments.folder or Path(temporary), images)
        rounds = [
            {
                variant: measure(root, images, patches, late_syncs=variant in late_syncs)
                for variant, patches in variants.items()
            }
            for _ in range(arguments.runs + 1)
        ][1:]  # the first one warms the cache
    first = next(iter(variants))
    print(f"{images:,} images, medians of {arguments.runs} rounds, warm, in one process")
    print(f"{'':<14}{'CPU us/image':>14}{'wall us/image':>15}{f'CPU of {first}':>20}{f'wall of {first}':>20}")
    for variant in variants:
        cpu, wall = (statistics.median(each[variant][i] for each in rounds) for i in (0, 1))
        of_cpu, of_wall = (statistics.median(each[first][i] / each[variant][i] for each in rounds) for i in (0, 1))
        print(f"{variant:<14}{cpu:>14.1f}{wall:>15.1f}{of_cpu:>20.3f}{of_wall:>20.3f}")
    print(json.dumps({"benchmark": name, "images": images, "rounds": rounds}))
