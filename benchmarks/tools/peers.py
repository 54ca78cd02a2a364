"""What a conversion is compared with: each peer is a function of (root, out, workers), run in a process of its own.

All read the same tree, which make_imagenet has made, and write under `out`, which does not exist yet. What they leave
out matters as much as what they do:

  ours            parallel_sharder with its defaults, but workers are started by spawn: the system adds the time of a
                  process to its parent's only if the parent waits for it, which nobody does for a fork server's workers
  raw copy        open, read and close each image and annotation, one write for each 256 KB, a sync at the end; no tar,
                  no parsing, no names; `workers` processes share the files
  read only       the same without the writing
  GNU tar         tar of the same list of files, and a sync; one process
  reference       the known single-process script on webdataset's ShardWriter, which parses each annotation; one process
  reference pool  the same in a process pool, each process with shards of its own: what people do today
  litData         Lightning's optimize(); images and annotations are stored as they are
  MDS             MosaicML's MDSWriter, one for each process; images and annotations are stored as they are

These read shards that old_shards has made of the tree beforehand:

  re-shard        parallel_sharder, which shuffles its own shards anew
  re-shard PAX    the same from shards of webdataset's writer, whose members have PAX headers
  cat             all of our shards into one file, and a sync; one process
  pipe            webdataset's reader and its ShardWriter, nothing decoded, and a sync; one process
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Peer = Callable[[Path, Path, int], None]

COPY_BYTES = 256 * 1024


class Figures(NamedTuple):
    """One run: wall time, and the CPU time (user and system) of all its processes."""

    wall_seconds: float
    cpu_seconds: float


def ours(root: Path, out: Path, workers: int) -> None:
    """The real command line."""
    _convert(f"--root {root} --dest {out} --workers {workers}")


def _convert(words: str) -> None:
    from parallel_sharder.cli.main import main

    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    assert main(f"{words} --maxsize 100MB --start-method spawn --quiet".split()) == 0


def old_shards(root: Path) -> Path:
    """The folder with the shards of the tree `root`, ours and webdataset's, made if no earlier run has done that."""
    folder = root.with_name(f"{root.name}-shards")
    if not folder.exists():
        process = multiprocessing.get_context("spawn").Process(target=_make_old_shards, args=(root, folder))
        process.start()
        process.join()
        assert process.exitcode == 0
    return folder


def _make_old_shards(root: Path, folder: Path) -> None:
    made = folder.with_name(f"{folder.name}-begun")
    shutil.rmtree(made, ignore_errors=True)
    ours(root, made / "ours", 2)
    (made / "pax").mkdir()
    for path in sorted((made / "ours").glob("*.tar")):
        with tarfile.open(path) as old, tarfile.open(made / "pax" / path.name, "w") as new:
            for member in old:
                member.mtime += 0.5
                new.addfile(member, old.extractfile(member))
    # What was written in small pieces lies in small pages, which take twice as long to read as what was read ahead.
    _drop_from_cache(map(str, made.rglob("*.tar")))
    made.rename(folder)


def re_shard(root: Path, out: Path, workers: int) -> None:
    """The real command line, from our own shards."""
    _re_shard(old_shards(root) / "ours", out, workers)


def re_shard_pax(root: Path, out: Path, workers: int) -> None:
    """The same from webdataset's."""
    _re_shard(old_shards(root) / "pax", out, workers)


def _re_shard(old: Path, out: Path, workers: int) -> None:
    _convert(f"--layout shards --root {old}/*.tar --dest {out} --workers {workers} --seed 7")


def cat(root: Path, out: Path, workers: int) -> None:
    """One file, by one process, whatever `workers`."""
    del workers
    out.mkdir()
    with open(out / "all", "wb") as file:
        subprocess.run(["cat", *sorted((old_shards(root) / "ours").glob("*.tar"))], stdout=file, check=True)
    _sync(out)


def pipe(root: Path, out: Path, workers: int) -> None:
    """One process, whatever `workers`."""
    del workers
    library: Any = importlib.import_module("webdataset")
    out.mkdir()
    paths = sorted(map(str, (old_shards(root) / "ours").glob("*.tar")))
    with library.ShardWriter(f"{out}/%06d.tar", maxsize=100e6, verbose=0) as writer:
        for sample in library.WebDataset(paths, shardshuffle=False):
            writer.write(sample)
    _sync(out)


def raw_copy(root: Path, out: Path, workers: int) -> None:
    """Every byte of the source, once through memory."""
    out.mkdir()
    paths = files_of(root)
    _in_processes(_copy, [(paths[number::workers], out / f"{number}") for number in range(workers)])


def read_only(root: Path, out: Path, workers: int) -> None:
    """Every byte of the source, into memory and no further."""
    del out
    paths = files_of(root)
    _in_processes(_copy, [(paths[number::workers], None) for number in range(workers)])


def gnu_tar(root: Path, out: Path, workers: int) -> None:
    """One archive, by one process, whatever `workers`."""
    del workers
    out.mkdir()
    (out / "list").write_text("\n".join(files_of(root)))
    subprocess.run(["tar", "-cPf", out / "all.tar", "--no-recursion", "-T", out / "list"], check=True)
    _sync(out)


def reference(root: Path, out: Path, workers: int) -> None:
    """One process, whatever `workers`."""
    del workers
    out.mkdir()
    images = sorted((root / "train").glob("*/*.JPEG"))
    random.Random(0).shuffle(images)
    _reference_part(root, images, out / "imagenet_train-%06d.tar")


def reference_pool(root: Path, out: Path, workers: int) -> None:
    """Each process gets a part of the images, and writes shards of its own."""
    out.mkdir()
    images = sorted((root / "train").glob("*/*.JPEG"))
    random.Random(0).shuffle(images)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.starmap(_reference_part, [(root, images[n::workers], out / f"{n}-%06d.tar") for n in range(workers)])
        pool.close()
        pool.join()


def litdata(root: Path, out: Path, workers: int) -> None:
    """Chunks of 64 MB, its own example's size."""
    library: Any = importlib.import_module("litdata")
    options = {"num_workers": workers, "chunk_bytes": "64MB", "reorder_files": False, "verbose": False}
    library.optimize(_as_dict, [*_samples(root)], str(out), **options)
    _sync(out)


def mds(root: Path, out: Path, workers: int) -> None:
    """Shards of 64 MB, its default's size, in a folder for each process."""
    out.mkdir()
    samples = [*_samples(root)]
    _in_processes(_mds_part, [(samples[number::workers], out / f"{number}") for number in range(workers)])
    _sync(out)


PEERS: dict[str, Peer] = {
    "ours": ours,
    "raw copy": raw_copy,
    "read only": read_only,
    "GNU tar": gnu_tar,
    "reference": reference,
    "reference pool": reference_pool,
    "litData": litdata,
    "MDS": mds,
    "re-shard": re_shard,
    "re-shard PAX": re_shard_pax,
    "cat": cat,
    "pipe": pipe,
}
ONE_PROCESS = {"GNU tar", "reference", "cat", "pipe"}
"""Peers that have one process, whatever the number of workers."""

_NEEDS = {
    "pipe": "webdataset",
    "reference": "webdataset",
    "reference pool": "webdataset",
    "litData": "litdata",
    "MDS": "streaming",
}


def installed(names: Iterable[str]) -> list[str]:
    """Returns those of `names` that can be run; prints that the others are left out."""
    there = []
    for name in names:
        if name in _NEEDS and importlib.util.find_spec(_NEEDS[name]) is None:
            print(f"{name} is left out: {_NEEDS[name]} is not installed (pip install '.[peers]')", file=sys.stderr)
        elif name == "GNU tar" and shutil.which("tar") is None:
            print("GNU tar is left out: there is no tar", file=sys.stderr)
        else:
            there.append(name)
    return there


def measure(peer: Peer, root: Path, workers: int, outputs: Path) -> Figures:
    """Run `peer` in a process of its own, on an output folder in `outputs` that is removed afterwards."""
    out = Path(tempfile.mkdtemp(dir=outputs)) / "out"
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = multiprocessing.get_context("spawn").Process(target=peer, args=(root, out, workers))
    process.start()
    process.join()
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out.parent)
    if process.exitcode != 0:
        raise SystemExit(f"{peer.__name__} failed")
    return Figures(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def make_cold(root: Path) -> None:
    """Drop the contents of the files of `root` from the page cache, as every user may; names and inodes stay there."""
    _drop_from_cache(files_of(root))


def _drop_from_cache(paths: Iterable[str]) -> None:
    os.sync()
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def files_of(root: Path) -> list[str]:
    """Every image and annotation, folder by folder, in the order in which the system lists them."""
    folders = sorted(os.scandir(root / "train"), key=lambda entry: entry.name)
    return [entry.path for folder in folders for entry in os.scandir(folder)]


def _in_processes(function: Callable[..., None], parts: Iterable[tuple[Any, ...]]) -> None:
    processes = [multiprocessing.get_context("fork").Process(target=function, args=part) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def _copy(paths: Sequence[str], target: Path | None) -> None:
    buffer = memoryview(bytearray(4 * 1024 * 1024))
    filled = 0
    out = None if target is None else os.open(target, os.O_WRONLY | os.O_CREAT)
    for path in paths:
        source = os.open(path, os.O_RDONLY)
        filled += os.readv(source, [buffer[filled:]])
        os.close(source)
        if filled >= COPY_BYTES:
            if out is not None:
                os.write(out, buffer[:filled])
            filled = 0
    if out is not None:
        os.write(out, buffer[:filled])
        os.fsync(out)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def _reference_part(root: Path, images: Sequence[Path], pattern: Path) -> None:
    from tests.reference import samples_from, write_shards

    write_shards(samples_from(root, images), pattern)


def _samples(root: Path) -> Iterable[tuple[str, str | None, int]]:
    """Image, annotation and class of each sample, shuffled."""
    folders = sorted((root / "train").iterdir())
    samples = []
    for number, folder in enumerate(folders):
        names = {entry.name for entry in os.scandir(folder)}
        for name in names:
            if name.endswith(".JPEG"):
                xml = name.removesuffix(".JPEG") + ".xml"
                samples.append((f"{folder}/{name}", f"{folder}/{xml}" if xml in names else None, number))
    samples.sort()
    random.Random(0).shuffle(samples)
    return samples


def _as_dict(sample: tuple[str, str | None, int]) -> dict[str, Any]:
    image, xml, label = sample
    return {
        "jpg": Path(image).read_bytes(), "cls": label, "xml": b"" if xml is None else Path(xml).read_bytes()
    }  # fmt: skip


def _mds_part(samples: Sequence[tuple[str, str | None, int]], out: Path) -> None:
    streaming: Any = importlib.import_module("streaming")
    with streaming.MDSWriter(out=str(out), columns={"jpg": "bytes", "cls": "int", "xml": "bytes"}) as writer:
        for sample in samples:
            writer.write(_as_dict(sample))
