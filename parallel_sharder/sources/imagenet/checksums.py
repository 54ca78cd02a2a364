"""Checksums: whether the official archives are, to the byte, what their makers have published."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.sources.downloads import official_name
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.published import MD5
from parallel_sharder.sources.small_files import InTar
from parallel_sharder.stores.regular import open_regular

READ_BYTES = 1 << 20
TICK_SECONDS = 0.2


def check_archives(layout: Layout, progress: Callable[[str, int, int], None]) -> list[str]:
    """Compare the archives of the layout with their known MD5, side by side; the names of those that were compared.

    `progress` is told what is done, how much of it, and of how much. Raises SourceError naming those that differ, and
    if no archive of the layout is known.
    """
    devkits = [str(file.archive) for file in (layout.class_list, *layout.val_labels) if isinstance(file, InTar)]
    there = dict.fromkeys(path for path in (*layout.archives, *devkits) if os.path.isfile(path))
    paths = [path for path in there if official_name(path) in MD5]
    if not paths:
        raise SourceError(
            f"--check-archives: none of the archives whose MD5 is known is used here, but {layout.images}. Known are "
            f"{', '.join(MD5)}. Leave out --check-archives."
        )
    total = sum(map(os.path.getsize, paths)) // 1_000_000
    done, stop = [0] * len(paths), threading.Event()
    with ThreadPoolExecutor(len(paths)) as pool:  # hashing leaves the interpreter to others
        try:
            tasks = [pool.submit(_md5, path, done, number, stop) for number, path in enumerate(paths)]
            while wait(tasks, TICK_SECONDS).not_done:
                progress("checking MB", sum(done) // 1_000_000, total)
        finally:
            stop.set()
    wrong = [
        f"  {path}: {task.result()}, and should be {MD5[official_name(path)]}"
        for path, task in zip(paths, tasks, strict=True)
        if task.result() != MD5[official_name(path)]
    ]
    if wrong:
        raise SourceError(
            "archives are not the official ones, by their MD5:",
            *wrong,
            "Download them again, or leave out --check-archives.",
        )
    return [os.path.basename(path) for path in paths]


def _md5(path: str, done: list[int], number: int, stop: threading.Event) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            while not stop.is_set() and (block := file.read(READ_BYTES)):
                digest.update(block)
                done[number] += len(block)
    except OSError as error:
        raise unreadable(path, error, "Download or copy it again, or leave out --check-archives.") from error
    return digest.hexdigest()
