"""Digests of whole files: a path comes in, digests in hex go out.

Each function reads one file from its first byte to its last, a megabyte at a time, so an engine's worker can run it.
Only regular files are read.
"""

from __future__ import annotations

import hashlib

import xxhash

from parallel_sharder.stores.regular import open_regular

_READ_BYTES = 1 << 20


def digest_if_readable(path: str) -> tuple[str, str]:
    """Return the path of a file and its XXH3-128 in hex, or "", which no file has, if the file cannot be read."""
    digest = xxhash.xxh3_128()
    try:
        _read_through(path, digest)
    except OSError:
        return path, ""
    return path, digest.hexdigest()


def digests_of(path: str) -> tuple[str, str, str]:
    """Return the path of a file, its MD5 and its XXH3-128, in hex. Raises OSError if it cannot be read."""
    md5, xxh3_128 = hashlib.md5(usedforsecurity=False), xxhash.xxh3_128()
    _read_through(path, md5, xxh3_128)
    return path, md5.hexdigest(), xxh3_128.hexdigest()


def _read_through(path: str, *digests: hashlib._Hash | xxhash.xxh3_128) -> None:
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        while block := file.read(_READ_BYTES):
            for digest in digests:
                digest.update(block)
