"""What does a stage cost on a fast disk, and what does reading images from Parquet cost against pyarrow alone?

python -m benchmarks.staging [--images 12000] [--runs 5] [--folder DIR]

First, a tree, its archives and its shards are converted with --stage on the same disk and without it, in alternating
runs of 2 workers, with the sources in the page cache. Then the images of a Parquet file of the same images are read, in
this process: by the code that copies them to a stage, without the copy, and by pyarrow alone, which reads the column
row group by row group. Figures are medians of the ratios of the pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.archives import pack
from benchmarks.tools.make_imagenet import kept_set
from benchmarks.tools.peers import Figures, measure, old_shards
from parallel_sharder.cli.main import main as command_line
from parallel_sharder.engines.progress import Counts
from parallel_sharder.sources.kept_index import archive_at
from parallel_sharder.staging.copy import copying
from parallel_sharder.staging.embedded import images_of

ROWS_A_GROUP = 100
"""As in the hub's files."""


def unstaged(root: Path, out: Path, workers: int) -> None:
    """A conversion from the source itself."""
    _convert(root, out, workers)


def staged(root: Path, out: Path, workers: int) -> None:
    """The same with a stage beside the shards."""
    _convert(root, out, workers, "--stage", f"{out}-stage")


def _convert(root: Path, out: Path, workers: int, *more: str) -> None:
    source = f"{root}/*.tar" if root.name == "ours" else str(root)
    words = ["--root", source, "--dest", str(out), "--workers", str(workers), "--maxsize", "100MB", *more]
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - this process ends with the conversion
    assert command_line([*words, "--start-method", "spawn", "--quiet"]) == 0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the sets are made, or were made by an earlier run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        tree = kept_set(folder, arguments.images)
        archives = folder / f"archives-{arguments.images}"
        if not archives.exists():
            pack(tree, archives)
        sources = {"tree": tree, "archives": archives, "shards": old_shards(tree) / "ours"}
        rows = [{"source": name, **compared(root, arguments.runs, folder)} for name, root in sources.items()]
        parquet = parquet_of(tree, folder / f"images-{arguments.images}.parquet")
        pairs = [(_cpu(ours, parquet), _cpu(pyarrow_alone, parquet)) for _ in range(arguments.runs + 1)]
        ratio = statistics.median(one / other for one, other in pairs[1:])  # the first warms up
    print(f"{arguments.images:,} images, medians of {arguments.runs} alternating runs, 2 workers")
    print(f"{'source':<12}{'without, s':>12}{'with, s':>12}{'wall ratio':>12}{'CPU ratio':>12}")
    for row in rows:
        print(
            f"{row['source']:<12}{row['unstaged_s']:>12.2f}{row['staged_s']:>12.2f}{row['wall_ratio']:>12.2f}"
            f"{row['cpu_ratio']:>12.2f}"
        )
    print(f"Parquet, CPU of reading the images against pyarrow alone: {ratio:.2f}")
    print(json.dumps({"benchmark": "staging", "images": arguments.images, "rows": rows, "parquet_cpu_ratio": ratio}))


def compared(root: Path, runs: int, folder: Path) -> dict[str, float]:
    """Return the medians of a source's conversions, and of the ratios of each pair."""
    pairs: list[tuple[Figures, Figures]] = []
    for number in range(runs + 1):
        pair = measure(unstaged, root, 2, folder), measure(staged, root, 2, folder)
        if number:  # the first warms up
            pairs.append(pair)
    wall, cpu = range(2)  # of Figures
    return {
        "unstaged_s": statistics.median(plain[wall] for plain, _ in pairs),
        "staged_s": statistics.median(copied[wall] for _, copied in pairs),
        "wall_ratio": statistics.median(copied[wall] / plain[wall] for plain, copied in pairs),
        "cpu_ratio": statistics.median(copied[cpu] / plain[cpu] for plain, copied in pairs),
    }


def parquet_of(tree: Path, path: Path) -> Path:
    """The images of the tree in a Parquet file as the hub has them, made if no earlier run has done that."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        images = sorted((tree / "train").glob("*/*.JPEG"))
        with pq.ParquetWriter(path, pa.schema([("image", struct), ("label", pa.int64())])) as writer:
            for start in range(0, len(images), ROWS_A_GROUP):
                some = images[start : start + ROWS_A_GROUP]
                cells = [{"bytes": image.read_bytes(), "path": image.name} for image in some]
                writer.write_table(pa.table({"image": pa.array(cells, struct), "label": [0] * len(cells)}))
    return path


def ours(path: Path) -> None:
    """Read all images, with their paths and labels."""
    with images_of(copying(archive_at(str(path))), ("label",), Counts()) as images:
        for _ in images:
            pass


def pyarrow_alone(path: Path) -> None:
    """Read the column of the images, as little at a time as pyarrow's row groups allow."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            file.read_row_group(group, columns=["image"], use_threads=False)


def _cpu(read: Callable[[Path], None], path: Path) -> float:
    start = time.process_time()
    read(path)
    return time.process_time() - start


if __name__ == "__main__":
    main()
