"""The file of a page: how a page of this tool is known from any other file, and how an outdated one goes."""

from __future__ import annotations

import contextlib

from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.stores.regular import open_regular

MARK = b"<!doctype html>\n<!-- a report page, made by parallel_sharder -->\n"
"""The beginning of each page: a file that begins so is replaced by the next one, and no other."""


def is_page(path: str) -> bool:
    """Return whether the file at `path` is a page that this tool has made."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


def forget_page(files: SetFiles) -> None:
    """Remove the page of an earlier set, because the set is made anew; what is no page of this tool stays."""
    with contextlib.suppress(OSError):  # that it cannot be removed stops no run
        if is_page(files.report):
            store_of(files.report).remove(files.report)
