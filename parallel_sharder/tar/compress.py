"""Compressed streams over a shard's file, by the libraries that do it best.

isal for gzip, zstandard for zstd. Both cut the data into blocks of their own choosing, so the bytes are the same for
any number of threads, and both write one member or frame, at whose end many readers stop. A given version of a
library always gives the same bytes; another version may compress otherwise.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import IO, Any, Protocol, cast

GZIP_LEVEL = 1
"""JPEGs do not shrink: of 0 to 3, level 0 makes them larger, and 2 and 3 cost time for under 0.1 %."""

GZIP_BLOCK_BYTES = 1 << 20
"""What one thread compresses at a time. Smaller costs size (each block is flushed), larger costs memory."""

ZSTD_LEVEL = 3
"""The library's default."""

ZSTD_JOB_BYTES = 1 << 20
"""What one thread compresses at a time: the least there is. The default of 8 MB takes 60 MB more for one thread, and
JPEGs do not become smaller by it."""


class Stream(Protocol):
    """What a compressor takes: uncompressed bytes in, and the end of the stream on close."""

    def write(self, data: memoryview, /) -> int:
        """Take all of `data` before returning; it may be reused afterwards."""

    def close(self) -> None:
        """End the stream: everything is handed on, nothing can follow."""


class Sink:
    """The writable file that compressors want, made of one function."""

    closed = False

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        """Hand `data` on, all of it."""
        self._write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """The file belongs to the shard, which closes it."""


def open_stream(compression: str, sink: Sink, threads: int) -> Stream:
    """A stream that compresses into `sink` on `threads` threads (at least 1).

    `compression` is "gzip" or "zstd". The libraries are imported here, so that uncompressed runs do without them.
    """
    if compression == "gzip":
        from isal import igzip_threaded

        options: dict[str, Any] = {"compresslevel": GZIP_LEVEL, "threads": threads, "block_size": GZIP_BLOCK_BYTES}
        stream = igzip_threaded.open(sink, "wb", **options)  # type: ignore[no-untyped-call]
        # Its threads would end with the thread that calls this, and what others write would wait for them forever.
        stream.raw._calling_thread = threading.main_thread()
        _gzip_streams.add(stream)
        return cast("Stream", stream)
    import zstandard

    # With threads=0 zstd would not cut into jobs and give other bytes than with any positive number.
    parameters = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL, threads=threads, job_size=ZSTD_JOB_BYTES, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    return compressor.stream_writer(cast("IO[bytes]", sink), closefd=False)


def library_version(compression: str) -> str:
    """The library that `compression` ("gzip" or "zstd") is done by, and its versions, which the bytes follow from."""
    if compression == "gzip":
        import isal

        return f"isal {isal.__version__} (ISA-L {isal.ISAL_VERSION})"
    import zstandard

    return f"zstandard {zstandard.__version__} (zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))})"


_gzip_streams: weakref.WeakSet[Any] = weakref.WeakSet()


def abandon(stream: Stream) -> None:
    """Give a stream up that cannot be closed, because its threads have ended or are those of another process.

    Python would close it when nobody has it any more, and wait for these threads; so it is kept forever.
    """
    if stream in _gzip_streams:
        cast("Any", stream).raw.running = False  # which ends them if they are there
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(stream))


def _abandon_all() -> None:
    for stream in [*_gzip_streams]:
        abandon(stream)


os.register_at_fork(after_in_child=_abandon_all)
