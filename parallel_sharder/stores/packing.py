"""Packing: whether a file is compressed, which its first bytes say, whatever its name is."""

from __future__ import annotations

from parallel_sharder.stores.regular import open_regular

COMPRESSIONS = {
    b"\x1f\x8b": (".gz", "gzip"),
    b"BZh": (".bz2", "bzip2"),
    b"\xfd7zXZ\0": (".xz", "xz"),
    b"\x28\xb5\x2f\xfd": (".zst", "zstd"),
    b"\x04\x22\x4d\x18": (".lz4", "lz4"),
}
"""The first bytes of a compressed file, its usual ending, and the program that decompresses it with -d."""


def packing_of(path: str) -> tuple[str, str] | None:
    """Return the usual ending and the program of the compression of a file; None if it is not compressed."""
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        begin = file.read(8)
    if begin[1:4] == _SKIPPABLE and begin[0] & 0xF0 == _SKIPPABLE_BEGIN:
        return COMPRESSIONS[b"\x28\xb5\x2f\xfd"]
    return next((packing for magic, packing in COMPRESSIONS.items() if begin.startswith(magic)), None)


_SKIPPABLE_BEGIN, _SKIPPABLE = 0x50, b"\x2a\x4d\x18"
"""The first bytes of a frame that is skipped, with which pzstd begins a file. Source: RFC 8878, 3.1.2."""

PARQUET = "parquet"
"""What Parquet files are packed by: their columns are compressed, and images in them lie behind each other."""


def is_parquet(path: str) -> bool:
    """Return whether the file is a Parquet file. Raises OSError if it cannot be read."""
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        return file.read(4) == b"PAR1"


def is_packed(path: str) -> bool:
    """Return whether the file is compressed, or a Parquet file. False if it cannot be read."""
    try:
        return packing_of(path) is not None or is_parquet(path)
    except OSError:
        return False


def is_gzip(path: str) -> bool:
    """Return whether the file is compressed by gzip, whatever its name is. False if it cannot be read."""
    try:
        packing = packing_of(path)
    except OSError:
        return False
    return packing is not None and packing[1] == "gzip"
