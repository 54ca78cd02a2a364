"""The standard streams: results go to standard output, everything else to standard error, whatever these are."""

from __future__ import annotations

import contextlib
import io
import os
import sys

from parallel_sharder.text import printable_lines


def open_standard_files() -> None:
    """Open a standard stream that is closed to nowhere, and let standard output take paths of any bytes.

    Otherwise another file would get its number, and what a worker says would be written there.
    """
    with contextlib.suppress(OSError):  # without /dev/null, it stays as it is
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is: paths can hold any bytes


def print_result(text: str) -> None:
    """Print to standard output. A reader who has gone is no error; other errors are reported on standard error."""
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = None  # or Python would try again at exit
        if not isinstance(error, BrokenPipeError):
            complain(f"standard output cannot be written: {error.strerror}. All else is done.")


def complain(message: str) -> None:
    """Print a message to standard error, if anybody listens."""
    with contextlib.suppress(OSError):
        print(f"parallel-sharder: {printable_lines(message)}", file=sys.stderr, flush=True)
