"""The headers of finished shards, anybody's: read side by side on workers, for the readers' indexes.

A worker writes what lies beside its shard; what the index of the folder wants to know of the shard comes back.
"""

from __future__ import annotations

import gc
import gzip
import os
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import IO

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.folder import Found, index_shard
from parallel_sharder.indexes.members import ShardMembers
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.tars import Stream, TarMember, reader, tar_members
from parallel_sharder.stores import store_of
from parallel_sharder.stores.digests import digests_of


def index_headers(
    paths: Sequence[str], readers: Collection[str], engine: Engine, monitor: Monitor, *, md5: bool = False
) -> Iterator[Found]:
    """Write what lies beside the shards at `paths`, and yield what is found in each, in any order.

    `md5` asks for each shard's MD5, for which all of the shard is read. Raises SourceError for a shard that cannot be
    read, is damaged, or that a reader cannot take.
    """
    task = partial(read_and_index, readers=readers, md5=md5)
    for done, found in enumerate(engine.each(task, paths), 1):
        yield found
        monitor.working("indexing shards", done, len(paths))


def read_and_index(path: str, *, readers: Collection[str], md5: bool) -> Found:
    """Read the headers of a shard, all of it for the MD5, and write the indexes that stand beside it."""
    gc.disable()  # none of a hundred thousand small values is garbage, and looking for that takes a tenth of the time
    try:
        with store_of(path).open(path) as file:
            size = os.fstat(file.fileno()).st_size
            members = ShardMembers.of_headers([*_members_of(file, size, path)])
        digests = digests_of(path)[1:] if md5 else ("", "")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}. Mend that, or copy it again.") from error
    finally:
        gc.enable()
    return index_shard(Shard(os.path.basename(path), 0, size, *digests), path, members, readers)


def _members_of(file: IO[bytes], size: int, path: str) -> Iterator[TarMember]:
    """The members of a shard; of a compressed one, all of it is read, and offsets are those before compression."""
    if path.endswith(".tar"):
        return tar_members(reader(file.fileno()), 0, size, path)
    stream = _Zstd(file) if path.endswith(".zst") else gzip.GzipFile(fileobj=file)
    return tar_members(Stream(stream, path), 0, None, path)


class _Zstd:
    """What a file that zstd has compressed holds; damage is an OSError, as gzip's is."""

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard  # here, so that others do without it

        self._stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        self._error = zstandard.ZstdError

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        try:
            return self._stream.read(size)
        except self._error as error:
            raise OSError(str(error)) from error
