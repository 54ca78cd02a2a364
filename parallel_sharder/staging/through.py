"""Through an archive: it is read from front to back, once, and copied to the stage on the way.

`through` yields a Read, by which the members of the archive are listed meanwhile. Reading, listing and writing each
have a thread, so that a disk is not idle while another works.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import os
import tempfile
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

from parallel_sharder.engines.progress import Progress
from parallel_sharder.errors import SourceError, StoppedError, unreadable, unwritable
from parallel_sharder.staging import copy as copies
from parallel_sharder.staging.copy import Copy, Copying, reading
from parallel_sharder.staging.embedded import images_of
from parallel_sharder.staging.look import Take
from parallel_sharder.stores import store_of
from parallel_sharder.stores.packing import PARQUET, packing_of
from parallel_sharder.stores.regular import open_regular
from parallel_sharder.tar.headers import reader
from parallel_sharder.tar.member_header import Read, refusal

_ZSTD_BYTES = 1 << 13
"""How much of a file is handed to zstd at a time. It unpacks all of that at once, up to 32,000 times as much."""

_STEP_BYTES = 1 << 17
"""How much is decompressed at a time. Of a damaged archive, the offset that is told is as exact as that."""

CHUNKS_AHEAD = 4
CHUNKS_BEHIND = 8
"""How many chunks wait to be listed, and to be written: enough that the source is read on while the stage is synced."""


class Through(NamedTuple):
    """The Read of an archive, its size, None if that is not known, and what is told of each file that is wanted.

    With Copying.only, a file that is not told may be a hole in the copy. It is told before the next one is looked for.
    """

    read: Read
    end: int | None
    want: Take


@contextlib.contextmanager
def through(copying: Copying, progress: Progress) -> Iterator[Through]:
    """Yield how an archive is read; at the end of the block the copy is whole.

    The archive is read at most once, and from front to back; what an earlier run has copied is read from the copy,
    unless that has holes. If the block raises, what is copied stays. `progress` is told the bytes of the archive that
    were read. Raises SourceError if the archive cannot be read or changes meanwhile, DestinationError if the copy
    cannot be written, and StoppedError if `progress` says that the run is stopped.
    """
    path = copying.path
    with ExitStack() as exits:
        copy = None if not path or store_of(path).is_file(path) else exits.enter_context(_opened(copying, progress))
        is_whole = bool(path) and (copy is None or copy.is_whole)
        if is_whole and not copying.only:
            file = exits.enter_context(store_of(path).open(path))
            yield Through(reader(file.fileno()), os.fstat(file.fileno()).st_size, _not_needed)
            return
        front = exits.enter_context(_Front(copying, None if is_whole else copy, progress))
        yield Through(front, None if copying.packing else copying.archive.size, front.want)
        front.finish()


def _not_needed(_: int, __: int) -> None:
    """Do what is told of a file that is there already."""


def copy_through(copying: Copying, progress: Progress) -> None:
    """Copy an archive, as `through` does, without a look at its members; it has no holes."""
    if copying.packing == PARQUET:
        with images_of(copying, (), progress):
            return
    with through(copying._replace(only=""), progress):
        pass


@contextlib.contextmanager
def plain_bytes(path: str) -> Iterator[Read]:
    """Yield the Read of the file at `path`, at any offset; a compressed one is unpacked to a temporary file for it.

    Raises SourceError and OSError if it cannot be read, and DestinationError if there is no room for temporary files.
    """
    if packing_of(path) is None:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            yield reader(file.fileno())
        return
    task = reading(path)
    try:
        with tempfile.TemporaryFile() as file:
            for data, _ in _chunks(task, None):
                file.write(data)
            file.flush()
            yield reader(file.fileno())
    except OSError as error:
        remedy = "Make room there, or name another folder in the variable TMPDIR."
        raise unwritable(f"{tempfile.gettempdir()}, where {path} is unpacked to,", error, remedy) from error


class _Front:
    """The Read of an archive that is read from front to back, and written to `copy` if that is not None."""

    def __init__(self, copying: Copying, copy: Copy | None, progress: Progress) -> None:
        self._name = copying.archive.path
        self._copying, self._copy, self._progress = copying, copy, progress
        self._start, self._chunk, self._before = 0, b"", b""
        self._kept = copy.kept_bytes if copy is not None else 0
        self._unwritten = (0, b"")
        self._wanted_end = 0
        self._reading, self._writing = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._ahead: deque[Future[tuple[bytes, int]]] = deque()
        self._behind: deque[Future[None]] = deque()

    def __enter__(self) -> _Front:
        chunks = _chunks(self._copying, self._copy)
        self._next: Callable[[], tuple[bytes, int]] = lambda: next(chunks, (b"", 0))
        self._ahead.extend(self._reading.submit(self._next) for _ in range(CHUNKS_AHEAD))
        self._close = chunks.close
        return self

    def __exit__(self, *_: object) -> None:
        self._reading.shutdown(cancel_futures=True)
        self._writing.shutdown(cancel_futures=True)
        self._close()

    def __call__(self, offset: int, size: int) -> bytes:
        """Return bytes as Read says. What was read last may be asked for again, and the chunk before."""
        if offset < self._start:
            if offset < self._start - len(self._before):
                raise refusal(self._name, offset, "its headers point back, and it is only read forward")
            before = self._before[offset - self._start :][:size]
            return before + (self(self._start, size - len(before)) if len(before) < size else b"")
        while offset >= self._start + len(self._chunk):
            if not self._advance():
                return b""
        at = offset - self._start
        data = self._chunk[at : at + size]
        if len(data) == size:
            return data
        # The rest lies in the next chunks. What was read last may be asked for again, so this chunk's rest is kept.
        before, rest = self._chunk[:at], self._chunk[at:]
        while len(rest) < size and self._advance():
            rest += self._chunk
            self._start, self._chunk = self._start + len(self._chunk) - len(rest), rest
            self._before = before
        return rest[:size]

    def want(self, offset: int, size: int) -> None:
        """Note that these bytes are wanted. Offsets do not decrease."""
        self._wanted_end = offset + size

    def finish(self) -> None:
        """Read the rest, and make the copy whole. Raises SourceError if the archive has changed meanwhile."""
        while self._advance():
            pass
        self._wait_for_writing(0)
        archive = self._copying.archive
        with contextlib.suppress(OSError):
            status = os.stat(archive.path)
            if (status.st_size, status.st_mtime_ns) == archive[1:]:
                if self._copy is not None:
                    self._write(self._copy.finish)
                return
        raise SourceError(
            f"{archive.path} has changed while it was read. When nobody writes to it any more, type the same command "
            "again."
        )

    def _advance(self) -> bool:
        """Go on to the next chunk, and return whether there is one."""
        if self._progress.stopped:
            raise StoppedError
        position = self._start + len(self._chunk)
        chunk, read_bytes = self._ahead.popleft().result()
        self._ahead.append(self._reading.submit(self._next))
        self._write_behind(position, chunk)
        if chunk:
            self._progress.tell(0, read_bytes)
            self._start, self._chunk, self._before = position, chunk, self._chunk
        return bool(chunk)

    def _write_behind(self, position: int, chunk: bytes) -> None:
        """Write the chunk before this one, or leave a hole: which files lie in it is known only now."""
        start, last = self._unwritten
        self._unwritten = position, chunk
        if not last or self._copy is None or start < self._kept:
            return
        if self._copying.only and self._wanted_end <= start:
            self._behind.append(self._writing.submit(self._write, self._copy.skip, len(last)))
        else:
            self._behind.append(self._writing.submit(self._write, self._copy.write, last))
        self._wait_for_writing(CHUNKS_BEHIND)

    def _wait_for_writing(self, left: int) -> None:
        while len(self._behind) > left:
            self._behind.popleft().result()

    def _write(self, do: Callable[..., None], *data: bytes | int) -> None:
        try:
            do(*data)
        except OSError as error:
            remedy = "Make room there, or name another folder with --stage; the same command continues."
            raise unwritable(self._copying.path, error, remedy) from error


def _opened(copying: Copying, progress: Progress) -> Copy:
    try:
        return Copy(copying.path, progress)
    except OSError as error:
        remedy = "Mend that, or name another folder with --stage."
        raise unwritable(copying.path, error, remedy) from error


def _chunks(copying: Copying, copy: Copy | None) -> Generator[tuple[bytes, int]]:
    """Yield the bytes of the unpacked archive, chunk by chunk, each with how many bytes of the archive were read."""
    path, position = copying.archive.path, 0
    kept = copy.kept_bytes if copy is not None else 0
    has_holes = bool(copying.only)
    while copy is not None and position < kept and not has_holes:
        data = copy.read(position)
        position += len(data)
        yield data, min(position, copying.archive.size)
    try:
        with open(path, "rb", buffering=copies.CHUNK_BYTES, opener=open_regular) as raw:
            if not copying.packing:
                raw.seek(position)
                while data := _read_all(raw, _next(position, kept)):
                    position += len(data)
                    yield data, position
                return
            with _decompressor(copying.packing, raw, path) as stream:
                position = 0
                while data := _unpacked(stream, kept - position, path, position):
                    position += len(data)
                    if position > kept or has_holes:
                        yield data, raw.tell()
    except OSError as error:
        raise unreadable(path, error) from error


def _next(position: int, kept: int) -> int:
    """Return how much is read at a time: no chunk is kept only in part."""
    return min(copies.CHUNK_BYTES, kept - position) if position < kept else copies.CHUNK_BYTES


def _read_all(raw: Any, size: int) -> bytes:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size and (count := raw.readinto(view[filled:])):
        filled += count
    return bytes(view[:filled])


def _unpacked(stream: Any, kept: int, path: str, position: int) -> bytes:
    """Return the next bytes of a decompressed stream; of those that are `kept` already, no other ones."""
    parts, left = [], _next(0, kept)
    try:
        while left and (part := stream.read(min(left, _STEP_BYTES))):
            parts.append(part)
            left -= len(part)
    except (EOFError, OSError, zlib.error, lzma.LZMAError, *_errors()) as error:
        at = position + sum(map(len, parts))
        raise refusal(path, at, f"it cannot be decompressed any further: {error}") from error
    return b"".join(parts)


def _errors() -> tuple[Any, ...]:
    import zstandard
    from isal import igzip_lib

    return igzip_lib.IsalError, zstandard.ZstdError


class _Zstandard:
    """The decompressed bytes of a file of zstd's frames. (The package's own stream takes a cut file as whole.)"""

    def __init__(self, raw: Any) -> None:
        import zstandard

        self._raw, self._decompressor = raw, zstandard.ZstdDecompressor(max_window_size=1 << 31)
        self._frame: Any = None
        self._packed, self._plain = b"", memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end. Raises EOFError if the file ends within a frame."""
        while not self._plain:
            packed = self._packed or self._raw.read(_ZSTD_BYTES)
            if not packed and self._frame is not None:
                raise EOFError("the file ends within a frame of zstd")
            if not packed:
                return b""
            self._frame = self._frame or self._decompressor.decompressobj()
            self._plain, self._packed = memoryview(self._frame.decompress(packed)), b""
            if self._frame.eof:
                self._frame, self._packed = None, self._frame.unused_data
        data, self._plain = bytes(self._plain[:size]), self._plain[size:]
        return data

    def close(self) -> None:
        """Do nothing; whoever has opened the file closes it."""


def _decompressor(packing: str, raw: Any, path: str) -> Any:
    if packing == "gzip":
        from isal import igzip

        return igzip.IGzipFile(fileobj=raw)  # type: ignore[no-untyped-call]
    if packing == "zstd":
        return contextlib.closing(_Zstandard(raw))
    if packing == "bzip2":
        return bz2.BZ2File(raw)
    if packing == "xz":
        return lzma.LZMAFile(raw)
    raise SourceError(
        f"{path} is compressed by {packing}, which this tool does not read. Decompress it once: {packing} -d {path}"
    )
