"""How long do the scan and the spool of a table take for a row, compared with reading the table at all?

python -m benchmarks.tables [--rows 1000000] [--workers 2] [--folder FOLDER] [--runs 3]

The script makes a Parquet file with a path, a caption, a label and three numbers in each row, and the images that it
names, which are hard links to a few empty files; --folder keeps them. Each run reads all columns with pyarrow alone, in
one process, and then scans the table with the workers: it looks up each file and spools each row. The ratio is that of
a run's wall times. Memory is the most that the process of the coordinator has had by the end of the plan.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from benchmarks.tools.step import PEAK, run_step

GROUP = 50_000
"""How many rows are a row group, and how many names a file gets: ext4 allows 65,000."""

READ = (
    PEAK
    + """
import pyarrow.parquet
start = time.monotonic()
rows = 0
for batch in pyarrow.parquet.ParquetFile(sys.argv[1] + "/rows.parquet").iter_batches():
    rows += len(batch.to_pylist())
print_with_peak({"rows": rows, "seconds": time.monotonic() - start})
"""
)
SCAN = (
    PEAK
    + """
from parallel_sharder import Options
from parallel_sharder.coordinator import plan_of
from parallel_sharder.engines import open_engine
from parallel_sharder.memory import give_back_freed
from parallel_sharder.monitor.monitor import Silent
from parallel_sharder.sources.source import SourceOptions
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.sources.table.source import TableSource
options = SourceOptions(root=(sys.argv[1],), table=sys.argv[1] + "/rows.parquet")
with open_engine(int(sys.argv[2]), None) as engine, TableSource(options) as source:
    start = time.monotonic()
    listing = source.scan(engine, Silent(), Scratch())
    seconds = time.monotonic() - start
    give_back_freed()
    plan_of(listing, Options(root=sys.argv[1], dest="/unused").settled(source.kind))
    print_with_peak({"rows": len(listing), "seconds": seconds})
"""
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the table is kept (default: a temporary folder)")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        make_table(folder, arguments.rows)
        runs = [(run_step(READ, folder), run_step(SCAN, folder, arguments.workers)) for _ in range(arguments.runs)]
    print(f"{'rows':>12}{'read us':>9}{'scan us':>9}{'ratio':>7}{'MB':>6}")
    rows = []
    for read, scanned in runs:
        each = [figures["seconds"] / figures["rows"] * 1e6 for figures in (read, scanned)]
        row = {"read_us": each[0], "scan_us": each[1], "ratio": each[1] / each[0], "mb": scanned["peak_mb"]}
        rows.append(row)
        print(f"{scanned['rows']:>12,}{each[0]:>9.2f}{each[1]:>9.2f}{row['ratio']:>7.2f}{row['mb']:>6.0f}")
    print(json.dumps({"benchmark": "tables", "workers": arguments.workers, "runs": rows}))


def make_table(folder: Path, rows: int) -> None:
    """Make the table and its images, a thousand in a folder, unless they are there."""
    import pyarrow
    import pyarrow.parquet

    table = folder / "rows.parquet"
    if table.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {
        "label": pyarrow.int64(),
        "width": pyarrow.int64(),
        "height": pyarrow.int64(),
        "score": pyarrow.float64(),
    }
    schema = pyarrow.schema({"file_name": pyarrow.string(), "text": pyarrow.string(), **numbers})
    with pyarrow.parquet.ParquetWriter(folder / "rows.begun", schema) as writer:
        for start in range(0, rows, GROUP):
            some = range(start, min(start + GROUP, rows))
            paths = [f"images/{row // 1000:05}/{row:09}.jpg" for row in some]
            first = folder / "images" / f"{start:09}.first"
            first.parent.mkdir(exist_ok=True)
            first.touch()
            for row, path in zip(some, paths, strict=True):
                if row % 1000 == 0:
                    (folder / path).parent.mkdir()
                os.link(first, folder / path)
            first.unlink()
            columns = {
                "file_name": paths,
                "text": [f"a photo of thing number {row} in its usual place" for row in some],
                "label": [row % 1000 for row in some],
                "width": [640] * len(some),
                "height": [480] * len(some),
                "score": [row / 7 for row in some],
            }
            writer.write_table(pyarrow.table(columns))
    (folder / "rows.begun").rename(table)


if __name__ == "__main__":
    main()
