"""Compression of shards: a stream takes the bytes of a tar, and hands compressed bytes to the shard's file.

The libraries are isal for gzip and zstandard for zstd. Both cut the data into blocks of a fixed size, so the bytes are
the same for any number of threads. Both write one gzip member or one zstd frame, because many readers stop at the end
of the first. One version of a library always writes the same bytes; another version may compress otherwise.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import IO, Any, Protocol, cast

GZIP_LEVEL = 1
"""JPEGs do not shrink. Of the levels 0 to 3, 0 makes them larger, and 2 and 3 cost time to save under 0.1 %."""

GZIP_BLOCK_BYTES = 1 << 20
"""The bytes one thread compresses at a time. Fewer make shards larger (each block is flushed), more cost memory."""

ZSTD_LEVEL = 3
"""The library's default."""

ZSTD_JOB_BYTES = 1 << 20
"""The bytes that one thread compresses at a time: the least that zstd allows. The default of 8 MB takes 60 MB more
memory for one thread, and does not make JPEGs smaller."""


class Stream(Protocol):
    """A stream that compresses what is written to it, and ends the compressed data when it is closed."""

    def write(self, data: memoryview, /) -> int:
        """Take all of `data` before returning; the caller may change it afterwards."""

    def close(self) -> None:
        """End the stream: hand on all that is left. Nothing can be written afterwards."""


class Sink:
    """The writable file that compressors need, made from one function."""

    closed = False

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        """Hand all of `data` on, and return its length."""
        self._write(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: all data have been handed on."""

    def close(self) -> None:
        """Do nothing: the shard closes its file."""


def open_stream(compression: str, sink: Sink, threads: int) -> Stream:
    """Return a stream that compresses into `sink` on `threads` threads (at least 1).

    `compression` is "gzip" or "zstd". The libraries are imported here, so that uncompressed runs do not load them.
    """
    if compression == "gzip":
        from isal import igzip_threaded

        options: dict[str, Any] = {"compresslevel": GZIP_LEVEL, "threads": threads, "block_size": GZIP_BLOCK_BYTES}
        stream = igzip_threaded.open(sink, "wb", **options)  # type: ignore[no-untyped-call]
        # Without this its threads end with the calling thread, and other threads that write later wait forever.
        stream.raw._calling_thread = threading.main_thread()
        _gzip_streams.add(stream)
        return cast("Stream", stream)
    import zstandard

    # With threads=0 zstd does not cut the data into jobs, and the bytes differ from those with any positive number.
    parameters = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL, threads=threads, job_size=ZSTD_JOB_BYTES, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    return compressor.stream_writer(cast("IO[bytes]", sink), closefd=False)


def library_version(compression: str) -> str:
    """Return name and versions of the library for `compression` ("gzip" or "zstd"): the bytes depend on them."""
    if compression == "gzip":
        import isal

        return f"isal {isal.__version__} (ISA-L {isal.ISAL_VERSION})"
    import zstandard

    return f"zstandard {zstandard.__version__} (zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))})"


_gzip_streams: weakref.WeakSet[Any] = weakref.WeakSet()


def abandon(stream: Stream) -> None:
    """Give up a stream that cannot be closed, because its threads have ended or belong to another process.

    Python would close the stream once nothing refers to it, and would wait for these threads; so it is kept forever.
    """
    if stream in _gzip_streams:
        cast("Any", stream).raw.running = False  # this ends its threads if they run
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(stream))


def _abandon_all() -> None:
    for stream in [*_gzip_streams]:
        abandon(stream)


os.register_at_fork(after_in_child=_abandon_all)
