"""The wids library's index of a set: `<set>.json`, which has the shards with their counts of samples and sizes.

Source: wids/wids_index.py of webdataset (`wids-shard-index-v1`). A manifest of ours is such an index already, so a
conversion writes no other. This module writes the index of other tools' shards, and adds the MD5 of the shards to a
manifest that lacks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.catalog.sets import is_wids, json_at
from parallel_sharder.errors import ManifestError
from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.member_places import ShardMembers
from parallel_sharder.indexes.reader_index import ReaderIndex, content_before, json_bytes
from parallel_sharder.indexes.shard_sets import ShardSet
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.tar.ustar import NAME_LIMIT_BYTES

_NAME = re.compile(r"((?:.*/)?.*?)\..*")


class Wids(ReaderIndex):
    """wids' index of each set."""

    reader = "wids"

    def __init__(self, folder: str, sets: Sequence[ShardSet]) -> None:
        super().__init__(folder, sets)
        self._samples: dict[str, int] = {}  # the counts by wids' rule, by the shard's name

    @classmethod
    def index_shard(cls, path: str, members: ShardMembers) -> int:
        """Return how many samples wids finds in the shard."""
        return count_samples(members)

    def refuse(self) -> None:
        """Raise DestinationError if a file of another kind has the name of a set's index."""
        for each in self._sets:
            content_before(self._path(each.name), is_wids)

    def add(self, number: int, shard: Shard, found: Any) -> None:
        """Keep the count of samples."""
        self._samples[shard.name] = found

    def contents(self, shards: Mapping[str, Sequence[Shard]]) -> dict[str, bytes]:
        """Return an index for each set without a manifest, and a manifest with the shards' MD5 if these are known."""
        files = {}
        for name, some in shards.items():
            path = self._path(name)
            manifest = Manifest.read(path) if store_of(path).exists(path) else None
            if manifest is None:
                content_before(path, is_wids)
                files[path] = self._index(name, some)
            elif some[0].md5:
                files[path] = _with_md5(path, manifest, some)
        return files

    @classmethod
    def is_own(cls, path: str) -> bool:
        """Return whether the file is an index for wids."""
        content = json_at(path)
        return content is not None and is_wids(content)

    def _path(self, set_name: str) -> str:
        return SetFiles(self._folder, set_name).manifest

    def _index(self, name: str, shards: Sequence[Shard]) -> bytes:
        """Return the index that `widsindex create` writes of these shards; it has MD5 only if they were asked for."""
        entries = [
            {"url": shard.name, **({"md5sum": shard.md5} if shard.md5 else {}), "nsamples": self._samples[shard.name],
             "filesize": shard.file_bytes}
            for shard in sorted(shards)
        ]  # fmt: skip
        return json_bytes({"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries, "name": name})


def _with_md5(path: str, manifest: Manifest, shards: Iterable[Shard]) -> bytes:
    try:
        return manifest.with_md5({shard.name: (shard.md5, shard.xxh3_128) for shard in shards}).to_bytes()
    except ManifestError as error:
        raise ManifestError(f"{path} {error.args[0]}") from error


def count_samples(members: ShardMembers) -> int:
    """Return how many samples wids finds in a shard with these members.

    Raises ValueError for a name that wids misreads.
    """
    names = [member.name for member in members.named]
    keys = [key for columns in members.columns or () for key in columns.keys]
    text = "".join(names)
    is_usual = text.isascii() and text.isprintable() and max(map(len, names), default=0) <= NAME_LIMIT_BYTES
    if members.columns is not None and is_usual and len({*keys}) == len(keys):
        return len(keys)  # gives the same count in a tenth of the time
    return _count_by_names(names)


def _count_by_names(names: Iterable[str]) -> int:
    """Return how many samples wids finds in a shard whose members have these `names`, in their order.

    wids counts a name once, and no name without a dot. The key ends at the first dot after the folder, and can be
    empty, so a hidden file is a sample of its own. Raises ValueError for a name that wids misreads.
    """
    found = dict.fromkeys(names)
    for name in found:
        size = len(name.encode("utf-8", "surrogateescape"))
        if size > NAME_LIMIT_BYTES:
            raise ValueError(f"holds {name!r}, of {size} bytes, and wids reads the first {NAME_LIMIT_BYTES} of a name")
        if "\n" in name or re.search("[\ud800-\udfff]", name):
            raise ValueError(f"holds {name!r}, and wids reads only names of one line in UTF-8")
    keys = (match[1] for match in map(_NAME.fullmatch, found) if match)
    return sum(1 for _ in groupby(keys))
