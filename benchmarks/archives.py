"""Is converting from the official archives as fast as from the unpacked tree, and how long does indexing take?

python -m benchmarks.archives [--images 12000] [--runs 5] [--workers 1 2] [--members 1281167] [--folder DIR]

First, the same set is converted from its tree and from its archives, in alternating runs, with the files in the page
cache. What a further sample takes is the slope between the whole set and a quarter of it. Then an archive of --members
members of a few hundred bytes is converted, and the same command is run again, which reads the index of the archive
that the first run has kept. Peak memory is the coordinator's.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.tools.make_imagenet import (
    ANNOTATED,
    IMAGES,
    TINY,
    annotation,
    class_sizes,
    image_bytes,
    image_size,
    kept_set,
    keys_of,
)
from benchmarks.tools.peers import measure, ours
from benchmarks.tools.step import CONVERT, run_step
from parallel_sharder.demo import write_meta
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids
from parallel_sharder.tar import ustar

_TEMPLATE = ustar.HeaderTemplate()


def pack(raw: Path, root: Path) -> None:
    """Make the official archives of the set at `raw`."""
    root.mkdir()
    folders = sorted((raw / "train").iterdir())
    with (root / "ILSVRC2012_img_train.tar").open("wb") as train:
        for folder in folders:
            images = ((path.name, path.read_bytes()) for path in sorted(folder.glob("*.JPEG")))
            _write_inner(train, folder.name, images)
        train.write(ustar.END)
    with tarfile.open(
        root / "ILSVRC2012_bbox_train_v2.tar.gz", "w:gz", compresslevel=6, format=tarfile.GNU_FORMAT
    ) as xmls:
        for folder in folders:
            for path in sorted(folder.glob("*.xml")):
                xmls.add(path, f"./{folder.name}/{path.name}")
    _pack_devkit(root, raw)


def make_tiny(root: Path, members: int) -> None:
    """Make archives of `members` members of a few hundred bytes, in 1,000 classes, annotated as the real set is."""
    root.mkdir(parents=True)
    draw = random.Random(0)
    with (
        (root / "ILSVRC2012_img_train.tar").open("wb") as train,
        tarfile.open(
            root / "ILSVRC2012_bbox_train_v2.tar.gz", "w:gz", compresslevel=6, format=tarfile.GNU_FORMAT
        ) as xmls,
    ):
        for wnid, count in zip(sorted(ilsvrc_ids()), class_sizes(members, 1000), strict=True):
            keys = [*keys_of(draw, wnid, count)]
            sizes = [round(image_size(draw) * TINY) for _ in keys]
            images = ((f"{key}.JPEG", image_bytes(draw, size)) for key, size in zip(keys, sizes, strict=True))
            _write_inner(train, wnid, images)
            for key in keys:
                if draw.random() < ANNOTATED:
                    xml = annotation(draw, wnid, key).encode()
                    member = tarfile.TarInfo(f"./{wnid}/{key}.xml")
                    member.size = len(xml)
                    xmls.addfile(member, io.BytesIO(xml))
        train.write(ustar.END)
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    write_meta(data / "meta.mat", {wnid: f"class {wnid}" for wnid in ilsvrc_ids()})


def _write_inner(train: io.BufferedWriter, wnid: str, images: Iterable[tuple[str, bytes]]) -> None:
    inner = b"".join(
        part
        for name, data in images
        for part in (_TEMPLATE.header(name, len(data)), data, bytes(-len(data) % ustar.BLOCK_BYTES))
    )
    inner += bytes(10_240 - len(inner) % 10_240)
    train.write(_TEMPLATE.header(f"{wnid}.tar", len(inner)))
    train.write(inner)


def _pack_devkit(root: Path, raw: Path) -> None:
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as devkit:
        devkit.add(raw / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--members", type=int, default=IMAGES)
    parser.add_argument("--folder", type=Path, help="where the sets are made, or were made by an earlier run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        rows = race(arguments.images, arguments.workers, arguments.runs, folder)
        root = folder / f"archives-tiny-{arguments.members}"
        if not root.exists():
            start = time.monotonic()
            make_tiny(root, arguments.members)
            print(f"made {arguments.members:,} members in {time.monotonic() - start:.0f} s", file=sys.stderr)
        words = root, f"{temporary}/shards", max(arguments.workers), min(1000, arguments.members)
        steps = {step: run_step(CONVERT, *words) for step in ("first", "again")}
    print(f"{arguments.images:,} images, medians of {arguments.runs} alternating runs, warm")
    print(f"{'':<20}{'CPU us of a':>13}{'wall us of a':>14}{'archives against tree':>26}")
    print(f"{'workers':<20}{'further one':>13}{'further one':>14}{'CPU':>15}{'wall':>11}")
    for row in rows:
        ratios = f"{row['cpu_ratio']:>15.2f}{row['wall_ratio']:>11.2f}" if row["source"] == "archives" else ""
        print(f"{row['workers']:<3}{row['source']:<17}{row['cpu_us']:>13.0f}{row['wall_us']:>14.0f}{ratios}")
    print(f"{arguments.members:,} members of a few hundred bytes")
    for step, figures in steps.items():
        seconds = ", ".join(f"{phase} {taken:.1f} s" for phase, taken in figures["seconds"].items())
        print(f"{step:<20}{seconds}, coordinator's peak {figures['peak_mb']:.0f} MB")
    print(json.dumps({"benchmark": "archives", "images": arguments.images, "rows": rows, "steps": steps}))


def race(images: int, workers: list[int], runs: int, folder: Path) -> list[dict[str, float | str]]:
    """Return a row for each source and number of workers."""
    sizes = images, images // 4
    for size in sizes:
        raw = kept_set(folder, size)
        if not (folder / f"archives-{size}").exists():
            pack(raw, folder / f"archives-{size}")
    prefixes = {"tree": "set", "archives": "archives"}
    rows: list[dict[str, float | str]] = []
    for count in workers:
        slopes: dict[str, list[tuple[float, float]]] = {source: [] for source in prefixes}
        for number in range(runs + 1):
            for source, prefix in prefixes.items():
                large, small = (measure(ours, folder / f"{prefix}-{size}", count, folder) for size in sizes)
                if number:
                    further = sizes[0] - sizes[1]
                    pair = zip(large, small, strict=True)
                    slopes[source].append(tuple((a - b) / further * 1e6 for a, b in pair))  # type: ignore[arg-type]
        wall, cpu = range(2)  # of Figures
        for source, some in slopes.items():
            rows.append(
                {
                    "source": source,
                    "workers": count,
                    "cpu_us": statistics.median(each[cpu] for each in some),
                    "wall_us": statistics.median(each[wall] for each in some),
                    "cpu_ratio": _ratio(some, slopes["tree"], cpu),
                    "wall_ratio": _ratio(some, slopes["tree"], wall),
                }
            )
    return rows


def _ratio(some: list[tuple[float, float]], others: list[tuple[float, float]], clock: int) -> float:
    return statistics.median(one[clock] / other[clock] for one, other in zip(some, others, strict=True))


if __name__ == "__main__":
    main()
