"""A headless Chromium of the system, driven by Playwright: for what pages cost in a browser, and for their tests."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",  # which root has not
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def program() -> str | None:
    """Return the path of a Chromium; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Hold a browser inside the block. `program` must have found one, and Playwright be installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program(), args=[*QUIET])
        try:
            yield browser
        finally:
            browser.close()


def renderer_bytes() -> int:
    """Return what the largest renderer of a browser that this process has started has in memory, shared pages divided.

    That is the sum of PSS, as /proc/PID/smaps_rollup has it.
    """
    renderers = [each for each in psutil.Process().children(recursive=True) if "--type=renderer" in _words(each)]
    return max((each.memory_full_info().pss for each in renderers), default=0)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []
