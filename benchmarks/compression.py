"""What do compressed shards cost, and what do they save?

python -m benchmarks.compression [--images 1000] [--runs 5] [--folder DIR]

Each compressor gets one shard's tar, from memory, on one thread, in alternating rounds. One of them is Python's zlib at
level 9, the default of tarfile, which compresses the reference script's shards. The table has the CPU time for each MB
of the tar, and the compressed size.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.tools.make_imagenet import kept_set
from parallel_sharder import Options, convert
from parallel_sharder.tar.compress import GZIP_LEVEL, ZSTD_LEVEL, Sink, open_stream

WRITE_BYTES = 128 * 1024
"""About the size of a sample."""


def ours(compression: str) -> Callable[[bytes], int]:
    """Return a function that compresses with parallel_sharder's own stream, and returns the size."""

    def size(data: bytes) -> int:
        written = 0

        def count(some: bytes) -> None:
            nonlocal written
            written += len(some)

        stream = open_stream(compression, Sink(count), 1)
        for start in range(0, len(data), WRITE_BYTES):
            stream.write(memoryview(data)[start : start + WRITE_BYTES])
        stream.close()
        return written

    return size


def pythons(level: int) -> Callable[[bytes], int]:
    """Return a function that compresses with Python's gzip, and returns the size."""

    def size(data: bytes) -> int:
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=level, mtime=0) as stream:
            for start in range(0, len(data), WRITE_BYTES):
                stream.write(memoryview(data)[start : start + WRITE_BYTES])
        return len(out.getvalue())

    return size


COMPRESSORS = {
    f".tgz, isal, level {GZIP_LEVEL}": ours("gzip"),
    f".tar.zst, level {ZSTD_LEVEL}": ours("zstd"),
    "Python's gzip, level 9": pythons(9),
    "Python's gzip, level 1": pythons(1),
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the set is made, or was made by an earlier run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = kept_set(arguments.folder or Path(temporary), arguments.images)
        convert(Options(root=root, dest=f"{temporary}/x-%06d.tar", workers=0, shards=1))
        data = Path(f"{temporary}/x-000000.tar").read_bytes()
    rounds, sizes = [], {}
    for _ in range(arguments.runs):
        seconds = {}
        for name, compress in COMPRESSORS.items():
            start = time.process_time()
            sizes[name] = compress(data)
            seconds[name] = time.process_time() - start
        rounds.append(seconds)
    first = next(iter(COMPRESSORS))
    print(f"a shard of {len(data) / 1e6:.0f} MB, medians of {arguments.runs} rounds")
    print(f"{'':<26}{'CPU ms per MB':>14}{'size':>9}{'.tgz against it':>17}")
    rows = []
    for name in COMPRESSORS:
        cost = statistics.median(each[name] for each in rounds) * 1e3 / (len(data) / 1e6)
        ratio = statistics.median(each[first] / each[name] for each in rounds)
        rows.append({"name": name, "cpu_ms_per_mb": cost, "size": sizes[name] / len(data), "ours_to_cpu": ratio})
        print(f"{name:<26}{cost:>14.2f}{sizes[name] / len(data):>9.1%}{ratio:>17.2f}")
    print(json.dumps({"benchmark": "compression", "tar_bytes": len(data), "rows": rows}))


if __name__ == "__main__":
    main()
