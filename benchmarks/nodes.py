"""What does each node of an array hold and wait for, when a large set's listing is handed to all of them?

python -m benchmarks.nodes [--rows 14000000] [--nodes 64] [--samples 140] [--folder DIR]

A listing of so many rows is written to FOLDER as the first node writes it. Then another process, as any other node,
reads it, makes the plan and takes its share. Memory is the peak resident set of that process (VmHWM); what the
interpreter with numpy holds before is given too. The listing's file is what the storage sends to each node.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.memory import peak_bytes
from parallel_sharder import listing_file
from parallel_sharder.columns import Texts
from parallel_sharder.listing_file import Folders, ListingFile
from parallel_sharder.model import ImageClass, Listing, Part, Place, Role
from parallel_sharder.node import Node
from parallel_sharder.plan import Limits, make_order, make_plan, share_of

CLASSES = 21_841
"""The classes of ImageNet-21k."""

FOLDERS = Folders("/data", "/shards")


def listing_of(rows: int) -> Listing:
    """Return a listing whose keys and sizes are like those of ImageNet-21k; a tenth is annotated."""
    classes = tuple(ImageClass(n, f"class {n}", f"n{n:08d}") for n in range(CLASSES))
    index = np.sort(np.arange(rows, dtype=np.int32) % CLASSES)
    keys = np.empty(rows, "S15")
    for start in range(0, rows, 1_000_000):
        some = index[start : start + 1_000_000]
        keys[start : start + len(some)] = [b"n%08d_%05d" % (row, n) for n, row in enumerate(some.tolist(), start)]
    sizes = np.random.default_rng(0).lognormal(11.3, 0.5, rows).astype(np.int64)
    annotated = np.where(np.arange(rows) % 10 == 0, 700, -1)
    places = tuple(Place(f"/data/{row.id}", f"/data/{row.id}") for row in classes)
    parts = (
        Part(Role.IMAGE, (".JPEG",), index, sizes),
        Part(Role.ANNOTATION, (".xml",), np.where(annotated < 0, -1, index).astype(np.int32), annotated),
    )
    return Listing((), places, classes, Texts.of_array(np.sort(keys)), index, parts, ())


def write(path: Path, rows: int) -> dict[str, float]:
    """Write the listing's file, and return its size and how long that took."""
    listing = listing_of(rows)
    started = time.monotonic()
    with path.open("wb") as file:
        for part in listing_file.to_bytes(listing, FOLDERS, {"nodes": 64}):
            file.write(part)
    return {"write_seconds": time.monotonic() - started, "file_mb": path.stat().st_size / 1e6}


def read(path: Path, nodes: int, samples: int) -> dict[str, float]:
    """Do what a node does before its first chunk, and return how long it takes, and what the process holds then."""
    bare, started = peak_bytes("self") / 1e6, time.monotonic()
    listing = ListingFile(path.read_bytes()).listing(FOLDERS)
    read_seconds, read_mb, started = time.monotonic() - started, peak_bytes("self") / 1e6, time.monotonic()
    order = make_order(listing.keys, 0)
    plan = make_plan(listing.keys, order, listing.part(Role.IMAGE).size + 4096, Limits(10**12, samples, None))
    share = share_of(plan, Node(0, nodes).share(plan.shard_count))
    return {
        "bare_mb": bare,
        "read_seconds": read_seconds,
        "read_mb": read_mb,
        "plan_seconds": time.monotonic() - started,
        "peak_mb": peak_bytes("self") / 1e6,
        "shards": plan.shard_count,
        "share": share.shard_count,
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=14_000_000)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--samples", type=int, default=140)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.read:
        print(json.dumps(read(arguments.read, arguments.nodes, arguments.samples)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "listing"
        written = write(path, arguments.rows)
        words = ["--read", str(path), "--nodes", str(arguments.nodes), "--samples", str(arguments.samples)]
        command = [sys.executable, "-m", "benchmarks.nodes", *words]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    figures |= written
    print(f"{arguments.rows:,} rows, {figures['shards']:,} shards, {arguments.nodes} nodes")
    print(f"first node   writes the listing, {figures['file_mb']:,.0f} MB, in {figures['write_seconds']:.1f} s")
    print(f"other nodes  read it in {figures['read_seconds']:.1f} s, and plan in {figures['plan_seconds']:.1f} s")
    print(
        f"             hold {figures['peak_mb']:,.0f} MB at the peak, {figures['read_mb']:,.0f} MB after reading, "
        f"{figures['bare_mb']:,.0f} MB before; {figures['share']:,} shards are one node's share"
    )
    print(json.dumps({"benchmark": "nodes", "rows": arguments.rows, **figures}))


if __name__ == "__main__":
    main()
