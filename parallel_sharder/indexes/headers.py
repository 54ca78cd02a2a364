"""The headers of anybody's finished shards: workers read them, several shards at once, for the readers' indexes.

A worker writes the indexes beside its shard, and returns what the indexes of the folder need of the shard.
"""

from __future__ import annotations

import gc
import gzip
import os
import shlex
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import IO

from parallel_sharder.engines.engine import Engine
from parallel_sharder.errors import SourceError
from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.folder import FoundShard, index_shard
from parallel_sharder.indexes.member_places import ShardMembers, key_end, misgrouped
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.stores import store_of
from parallel_sharder.stores.digests import digests_of
from parallel_sharder.tar.headers import Stream, reader, tar_members
from parallel_sharder.tar.member_header import TarMember, refusal


def index_headers(
    paths: Sequence[str], readers: Collection[str], engine: Engine, monitor: Monitor, *, md5: bool = False
) -> Iterator[FoundShard]:
    """Write the indexes beside the shards at `paths`, and yield what is found in each shard, in any order.

    `md5` asks for each shard's MD5, for which the whole shard is read. Raises SourceError for a shard that cannot be
    read, is damaged, or that a reader cannot take.
    """
    task = partial(read_and_index, readers=readers, md5=md5)
    for done, found in enumerate(engine.each(task, paths), 1):
        yield found
        monitor.working("indexing shards", done, len(paths))


def read_and_index(path: str, *, readers: Collection[str], md5: bool) -> FoundShard:
    """Read the headers of a shard (for the MD5 all of it), write the indexes beside it, and return what was found."""
    gc.disable()  # a hundred thousand small values are made, none is garbage, and the search takes a tenth of the time
    try:
        with store_of(path).open(path) as file:
            size = os.fstat(file.fileno()).st_size
            members = ShardMembers.of_headers(_all_members(file, size, path))
        digests = digests_of(path)[1:] if md5 else ("", "")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}. Mend that, or copy it again.") from error
    finally:
        gc.enable()
    _refuse_misgrouped(path, members)
    return index_shard(Shard(os.path.basename(path), 0, size, *digests), path, members, readers)


def _refuse_misgrouped(path: str, members: ShardMembers) -> None:
    """Raise SourceError for a shard whose samples an index would describe otherwise than they are."""
    found = misgrouped(members.samples(key_end))
    if found is not None:
        remedy = (
            f"An index would describe other samples. `parallel-sharder verify {shlex.quote(path)}` names every such "
            "sample. A conversion with --layout shards joins members that lie apart (--apart join) and settles keys "
            "that are there twice (--on-duplicate); mend a field that is there twice."
        )
        raise refusal(path, found[1], found[0], remedy)


def _all_members(file: IO[bytes], size: int, path: str) -> list[TarMember]:
    """Return the members of a shard. Raises SourceError for a damaged one, with the remedy for a shard of ours too."""
    try:
        return [*_members_of(file, size, path)]
    except SourceError as error:
        raise SourceError(f"{error} If a conversion made the shard, --check with it makes the shard anew.") from error


def _members_of(file: IO[bytes], size: int, path: str) -> Iterator[TarMember]:
    """Yield the members of a shard. A compressed shard is read as a whole, and has the offsets before compression."""
    if path.endswith(".tar"):
        return tar_members(reader(file.fileno()), 0, size, path)
    stream = _Zstd(file) if path.endswith(".zst") else gzip.GzipFile(fileobj=file)
    return tar_members(Stream(stream, path), 0, None, path)


class _Zstd:
    """The unpacked content of a file that zstd has compressed. Damage raises OSError, as gzip does."""

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard  # here, because only these shards need it

        self._stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        self._error = zstandard.ZstdError

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; b"" at the end."""
        try:
            return self._stream.read(size)
        except self._error as error:
            raise OSError(str(error)) from error
