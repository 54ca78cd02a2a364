"""Ustar, the format of the shards: pure functions from names and sizes to the bytes of headers and padding.

It is plain ustar (POSIX.1-1988) without PAX headers, GNU extensions or the prefix field, because the readers that index
shards (wids, DALI, energon) parse nothing else. All text in a header is ASCII. This module opens nothing.
"""

from __future__ import annotations

import zlib

from parallel_sharder.tar import fields

BLOCK_BYTES = fields.BLOCK_BYTES
NAME_LIMIT_BYTES = fields.NAME.stop - fields.NAME.start
SIZE_DIGITS = 11
SIZE_LIMIT_BYTES = 8**SIZE_DIGITS  # base-256 sizes break wids
MTIME_LIMIT_SECONDS = 8 * 1024**3
END = bytes(2 * BLOCK_BYTES)
"""The end of an archive. Rounding up to 10,240 bytes is optional, and no reader asks for it."""

PADDING = tuple(bytes(-size % BLOCK_BYTES) for size in range(BLOCK_BYTES))
"""The zero bytes that follow a member's data, by the data's size modulo BLOCK_BYTES."""


def member_bytes(size: int) -> int:
    """Return the bytes that a member with `size` bytes of data takes: header, data and padding."""
    return BLOCK_BYTES + size + -size % BLOCK_BYTES


class HeaderTemplate:
    """Makes headers that differ only in name and size; all other fields are laid out once.

    A member is a regular file with mode 0444, uid 0 and gid 0. The modification time `mtime` is in whole seconds since
    1970; the owner `uname` and the group `gname` are ASCII of at most 31 bytes. Raises ValueError, which names the
    field, the value and the limit, for a value that a header cannot hold.
    """

    def __init__(self, *, mtime: int = 0, uname: str = "bigdata", gname: str = "bigdata") -> None:
        if not 0 <= mtime < MTIME_LIMIT_SECONDS:
            raise ValueError(f"tar header: mtime {mtime} is outside 0 to {MTIME_LIMIT_SECONDS - 1} seconds")
        for field, text in (("uname", uname), ("gname", gname)):
            if not text.isascii() or len(text) > 31:
                raise ValueError(f"tar header: {field} {text!r} is not ASCII of at most 31 bytes")
        block = bytearray(BLOCK_BYTES)
        _put(block, fields.MODE, b"0000444")
        _put(block, fields.UID, b"0000000")
        _put(block, fields.GID, b"0000000")
        _put(block, fields.MTIME, b"%011o" % mtime)
        _put(block, fields.CHECKSUM, b" " * 8)
        _put(block, fields.TYPEFLAG, b"0")
        _put(block, fields.MAGIC, b"ustar")
        _put(block, fields.VERSION, b"00")
        _put(block, fields.UNAME, uname.encode("ascii"))
        _put(block, fields.GNAME, gname.encode("ascii"))
        self._between_name_and_size = bytes(block[fields.MODE.start : fields.SIZE.start])
        self.before_checksum = bytes(block[fields.SIZE.start + SIZE_DIGITS : fields.CHECKSUM.start])
        self.after_checksum = b"\0 " + bytes(block[fields.TYPEFLAG.start :])
        self.constant_sum = sum(block)

    def header(self, name: str, size: int) -> bytes:
        """Return the 512-byte header of the member `name` (ASCII, 1 to 100 bytes) with `size` bytes (below 8 GiB)."""
        if not name.isascii() or not 0 < len(name) <= NAME_LIMIT_BYTES or "\0" in name:
            raise ValueError(f"tar header: the name {name!r} is not ASCII of 1 to {NAME_LIMIT_BYTES} bytes without NUL")
        if not 0 <= size < SIZE_LIMIT_BYTES:
            raise ValueError(f"tar header: {name}: {size} bytes is outside 0 to {SIZE_LIMIT_BYTES - 1}")
        encoded, digits = name.encode("ascii"), b"%011o" % size
        # The checksum is the sum of all bytes: of the constant ones, and of name and size.
        checksum = self.constant_sum + sum_of(encoded + digits)
        return b"%b%b%b%b%06o%b" % (
            encoded.ljust(NAME_LIMIT_BYTES, b"\0"),
            self._between_name_and_size,
            digits,
            self.before_checksum,
            checksum,
            self.after_checksum,
        )

    def name_end(self, ending: str, key_bytes: int) -> bytes:
        """Return the bytes between key and size in a header; the member's name is a key of `key_bytes` and `ending`.

        A caller can join a header from its parts, which takes a quarter of the time of `header`: the key, these bytes,
        the size as SIZE_DIGITS octal digits, `before_checksum`, the checksum as six octal digits, `after_checksum`. The
        checksum is `constant_sum` plus the sums of key, ending and digits. Raises ValueError as `header` does.
        """
        self.header("k" * key_bytes + ending, 0)
        return ending.encode("ascii") + bytes(NAME_LIMIT_BYTES - key_bytes - len(ending)) + self._between_name_and_size


def sum_of(data: bytes) -> int:
    """Return the sum of at most 256 bytes, for the checksum of a header.

    The low half of adler32 is a sum modulo 65,521, which so few bytes do not reach. It takes 0.1 µs, and sum() takes 1.
    """
    return zlib.adler32(data, 0) & 0xFFFF


def _put(block: bytearray, field: slice, value: bytes) -> None:
    block[field.start : field.start + len(value)] = value
