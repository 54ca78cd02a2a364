"""Memory: what is free in this process goes back to the system.

glibc keeps freed memory for the process, between blocks that are in use. With millions of rows, which are received in
pieces and then joined, that is a third of all memory.
"""

from __future__ import annotations

import ctypes


def give_back_freed() -> None:
    """Give the memory that is free to the system, where the C library can; a gigabyte takes a tenth of a second.

    (malloc_trim: https://man7.org/linux/man-pages/man3/malloc_trim.3.html. Other C libraries do without.)
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
