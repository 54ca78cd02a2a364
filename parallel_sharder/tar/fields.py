"""The fields of a tar header: one table of their positions, for modules that write or read headers.

A header is one block of BLOCK_BYTES, and `block[NAME]` is the field of the name. This module has constants alone and
imports nothing, so a reader that uses it shares no code with the writer. Source: POSIX.1-1988, ustar.
"""

from __future__ import annotations

BLOCK_BYTES = 512

NAME = slice(0, 100)
MODE = slice(100, 108)
UID = slice(108, 116)
GID = slice(116, 124)
SIZE = slice(124, 136)
MTIME = slice(136, 148)
CHECKSUM = slice(148, 156)
TYPEFLAG = slice(156, 157)
LINKNAME = slice(157, 257)
MAGIC = slice(257, 263)
VERSION = slice(263, 265)
UNAME = slice(265, 297)
GNAME = slice(297, 329)
DEVMAJOR = slice(329, 337)
DEVMINOR = slice(337, 345)
PREFIX = slice(345, 500)

ALL = (
    NAME, MODE, UID, GID, SIZE, MTIME, CHECKSUM, TYPEFLAG, LINKNAME, MAGIC, VERSION, UNAME, GNAME, DEVMAJOR, DEVMINOR,
    PREFIX,
)  # fmt: skip
"""The fields in their order. The twelve bytes behind the last one are unused."""
