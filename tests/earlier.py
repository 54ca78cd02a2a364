"""Sets as one commit has left them, for the tests of all that come after it: `python -m tests.earlier ARCHIVE`.

The archive holds two folders, made from the sources of `tests.golden` below the system's temporary folder: `finished`,
a set with all that can lie beside it, and `half`, of which the process was killed once KILLED_AT samples were written.
Its journal has two shards done and a third dealt, which is whole under its name; a temporary file of annotations is
left. Whoever has made the sources again has the options here to verify and to continue with. 305386f.tgz was made at
commit 305386f, 6b1defb.tgz at 6b1defb, the last commit that knew no nodes, and cecd7b5.tgz at cecd7b5, the last that
knew no stage.
"""

from __future__ import annotations

import contextlib
import gzip
import multiprocessing
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from parallel_sharder import Options, Silent, convert
from tests import golden

FINISHED: dict[str, Any] = {
    "root": "kaggle",
    "split": "val",
    "annotations": "boxes",
    "shards": 3,
    "index": "all",
    "card": True,
    "md5": True,
    "workers": 0,
}
HALF: dict[str, Any] = {"root": "archives", "split": "train", "maxcount": 5, "seed": 1, "workers": 0}
KILLED_AT = 15


class _Killer(Silent):
    """Ends the process without a word, as SIGKILL does."""

    def progress(self, samples: int, tar_bytes: int) -> None:
        if samples >= KILLED_AT:
            os._exit(0)


def _convert_half() -> None:
    convert(Options(**HALF, dest="half"), _Killer())


def write_archive(path: Path) -> None:
    """Make both sets, and pack them without what differs from run to run."""
    folder = Path(tempfile.gettempdir(), "made")
    folder.mkdir()
    with contextlib.chdir(folder):
        golden.make_sources()
        convert(Options(**FINISHED, dest="finished"))
        process = multiprocessing.get_context("spawn").Process(target=_convert_half)
        process.start()
        process.join()
        with gzip.GzipFile(path, "wb", mtime=0) as file, tarfile.open(fileobj=file, mode="w") as archive:
            for each in ("finished", "half"):
                archive.add(each, filter=_plain)
    shutil.rmtree(folder)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    return member.replace(mtime=0, uid=0, gid=0, uname="root", gname="root", deep=False)


if __name__ == "__main__":
    write_archive(Path(sys.argv[1]).absolute())
