"""Checksums: the official archives are compared with the MD5 that their makers have published (`--check-archives`).

A Layout goes in, and the names of the archives that were compared come out. An archive that differs is a SourceError.
"""

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
    """Compare the archives of the layout with their published MD5 at the same time, and return the compared names.

    `progress` is called with the name of the work, the megabytes done, and all megabytes. Raises SourceError, which
    names the archives that differ, and if the layout has no archive whose MD5 is known.
    """
    devkits = [str(file.archive) for file in (layout.class_list, *layout.val_labels) if isinstance(file, InTar)]
    there = dict.fromkeys(path for path in (*layout.archives, *devkits) if os.path.isfile(path))
    paths = [path for path in there if official_name(path) in MD5]
    if not paths:
        raise SourceError(
            f"--check-archives: the images are read from {layout.images}, and no archive is used whose MD5 is known. "
            f"The known ones are {', '.join(MD5)}. Leave out --check-archives."
        )
    total = sum(map(os.path.getsize, paths)) // 1_000_000
    done, stop = [0] * len(paths), threading.Event()
    with ThreadPoolExecutor(len(paths)) as pool:  # hashing releases the interpreter's lock
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
            "the MD5 of archives differs from the official one:",
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
