"""Where the fields of a tar header stand: one table of constants, for whoever writes headers and whoever reads them.

Source: POSIX.1-1988, ustar. A header is one block of BLOCK_BYTES. `block[NAME]` is the name's field. This module
imports nothing and does nothing, so a reader that uses it shares no code with the writer.
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
"""In the order in which they stand. Twelve bytes behind the last are unused."""
