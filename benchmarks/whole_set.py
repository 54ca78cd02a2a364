"""Does a conversion of the whole training set's number of files work, and where do its time and memory go?

python -m benchmarks.whole_set [--images 1281167] [--workers 2] [--shards 1000] [--rows N ...] [--folder DIR]

Real files, as many as the set has and of a few hundred bytes each, are converted and verified against the source;
--folder keeps the set. Then 1.28 and 14 million rows (as many as ImageNet-21k has) are planned and dealt without files,
and the indexes of all readers are written for the 1.28 million. Peak memory is the coordinator's, as the system counts
it (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tools.make_imagenet import IMAGES, TINY, make_imagenet
from benchmarks.tools.step import CONVERT, PEAK, run_step

VERIFY = (
    PEAK
    + """
from parallel_sharder import VerifyOptions, verify_shards
root, dest, workers, _ = sys.argv[1:]
start = time.monotonic()
verdict = verify_shards(VerifyOptions(dest=dest, source=Path(root), workers=int(workers)))
assert not verdict.deviations, verdict.deviations[:3]
print_with_peak({"samples": verdict.samples, "seconds": {"verify": time.monotonic() - start}})
"""
)
_ROWS = (
    PEAK
    + """
import numpy as np
from functools import partial
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.engines import open_engine
from parallel_sharder.indexes.readers import ReaderIndexes
from parallel_sharder.model import ShardRecord
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.options import INDEXES
from parallel_sharder.indexes.computed import computed_members
from parallel_sharder.deal import make_chunks
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.columns import Texts
from parallel_sharder.model import ImageClass, Job, Listing, Part, Place, Role
from parallel_sharder.plan import Limits, make_order, make_plan
rows = int(sys.argv[1])
times = [time.monotonic()]
classes = tuple(ImageClass(n, f"class {n}", f"n{n:08d}") for n in range(1000))
class_index = np.repeat(np.arange(1000, dtype=np.int32), -(-rows // 1000))[:rows]
number = np.arange(rows)
keys = np.empty(rows, "S17")
for at in range(0, rows, 100_000):
    keys[at : at + 100_000] = [b"n%08d_%07d" % (c, n) for n, c in enumerate(class_index[at : at + 100_000], at)]
draw = np.random.default_rng(0)
annotated = draw.random(rows) < 0.425
listing = Listing(
    (), tuple(Place(f"/data/imagenet/train/{row.id}", "") for row in classes), classes, Texts.of_array(keys),
    class_index,
    (
        Part(Role.IMAGE, (".JPEG",), class_index.copy(), draw.integers(2_000, 220_000, rows)),
        Part(
            Role.ANNOTATION, (".xml",), np.where(annotated, class_index, np.int32(-1)), np.where(annotated, 900, -1)
        ),
    ),
    (),
)
del number, annotated
times.append(time.monotonic())
plan = make_plan(listing.keys, make_order(listing.keys, 0), FORMS["original"].sample_bytes(listing), Limits(10**9))
times.append(time.monotonic())
pattern = ShardPattern.parse("/shards/x-%06d.tar")
job = Job(listing.places, classes, "none", 1, "original", "skip")
chunks = sum(1 for _ in make_chunks(listing, plan, pattern, job))
times.append(time.monotonic())
names = ["make the rows", "plan", "deal"]
if len(sys.argv) > 2:
    pattern = ShardPattern.parse(sys.argv[2] + "/imagenet_train-%06d.tar")
    jsons = [np.full(count, 400, np.uint32).tobytes() for count in np.diff(plan.cuts).tolist()]
    records = [
        ShardRecord(n, pattern.path(n), len(some) // 4, 10**9, 10**9, "", json_bytes=some)
        for n, some in enumerate(jsons)
    ]
    for record in records:  # energon's index looks at one JSON of each shard
        with open(record.path, "wb") as file:
            file.truncate(2 * 10**9)
    made = [(record, partial(computed_members, listing, plan, "original", record)) for record in records]
    readers = [name for name in INDEXES if name != "wids"]
    with open_engine(0, None) as engine:
        ReaderIndexes(pattern, "train", readers).index(made, engine, Silent())
    times.append(time.monotonic())
    names.append("index for all readers")
print_with_peak({
    "samples": rows, "chunks": chunks, "seconds": dict(zip(names, np.diff(times).tolist(), strict=True)),
})
"""
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="*", default=[IMAGES, 14_000_000], help="made in memory")
    parser.add_argument("--folder", type=Path, help="where the set is made, or was made by an earlier run")
    arguments = parser.parse_args()
    steps = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder and arguments.folder.parent) as temporary:
        root = arguments.folder or Path(temporary) / "set"
        if not root.exists():
            start = time.monotonic()
            make_imagenet(root, arguments.images, 1000, TINY)
            print(f"made {arguments.images:,} images in {time.monotonic() - start:.0f} s", file=sys.stderr)
        words = root, f"{temporary}/shards", arguments.workers, arguments.shards
        steps["convert"] = run_step(CONVERT, *words)
        steps["all done already"] = run_step(CONVERT, *words)
        steps["verify"] = run_step(VERIFY, *words)
        for rows in arguments.rows:
            steps[f"{rows:,} rows in memory"] = run_step(_ROWS, rows)
            if rows <= IMAGES:
                with tempfile.TemporaryDirectory(dir=temporary) as indexes:
                    steps[f"{rows:,} rows, indexed"] = run_step(_ROWS, rows, indexes)
    print(f"{'':<28}{'samples':>12}{'peak MB':>9}   seconds")
    for name, figures in steps.items():
        seconds = ", ".join(f"{phase} {taken:.1f}" for phase, taken in figures["seconds"].items())
        print(f"{name:<28}{figures['samples']:>12,}{figures['peak_mb']:>9.0f}   {seconds}")
    print(
        json.dumps({"benchmark": "whole_set", "workers": arguments.workers, "shards": arguments.shards, "steps": steps})
    )


if __name__ == "__main__":
    main()
