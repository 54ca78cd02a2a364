"""The standard streams: results are printed to standard output, everything else to standard error.

Each can be closed, be a pipe that nobody reads, or lie on a full disk. What that means for each kind of text is
decided here.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys

from parallel_sharder.text import printable_lines


def open_standard_files() -> None:
    """Open closed standard streams on /dev/null, and let standard output print paths of any bytes.

    Otherwise a file would get the number of a closed stream, and a worker's messages would be written into the file.
    """
    with contextlib.suppress(OSError):  # without /dev/null, the streams stay closed
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is: paths can hold any bytes


def print_result(text: str) -> None:
    """Print to standard output. A closed pipe is no error; other errors are reported on standard error."""
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = None  # otherwise Python would try again at exit
        if not isinstance(error, BrokenPipeError):
            complain(f"standard output cannot be written: {error.strerror}. All else is done.")


def complain(message: str) -> None:
    """Print a message to standard error. A stream that cannot be written is no error."""
    with contextlib.suppress(OSError):
        print(f"parallel-sharder: {printable_lines(message)}", file=sys.stderr, flush=True)
