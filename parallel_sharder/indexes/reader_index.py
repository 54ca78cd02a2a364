"""ReaderIndex, the interface of each reader's index: it refuses, withdraws, is made shard by shard, and is written.

Each reader's index is a subclass in a module of its own, and folder.READERS lists the subclasses. An index of one shard
is a file beside the shard, which is written as soon as the shard's members are known. An index of all shards in a
folder is written at the end, under the folder's lock. No file of another kind is replaced or removed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from parallel_sharder.catalog.sets import json_at
from parallel_sharder.errors import DestinationError
from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.member_places import ShardMembers
from parallel_sharder.indexes.shard_sets import ShardSet
from parallel_sharder.options import Reader
from parallel_sharder.stores import store_of


class ReaderIndex:
    """The index of the shards of `sets`, all in one folder, for one reader.

    An index is made by these calls in this order: `begin`, `add` for each shard, `contents`, `write_large`, `write`.
    `close` is always called at the end, after an error too. `seeks` says whether the reader reads from offsets in a
    shard, so that where its members are must be known. `lists_samples` says whether the index of the folder lists
    samples, and not only counts. `file_names` is a regular expression for the names of the files that are written
    under the lock.
    """

    reader: ClassVar[Reader]
    seeks: ClassVar[bool] = False
    lists_samples: ClassVar[bool] = False
    file_names: ClassVar[str] = ""

    def __init__(self, folder: str, sets: Sequence[ShardSet]) -> None:
        self._folder = folder
        self._sets = sets

    @staticmethod
    def index_path(shard_path: str) -> str | None:
        """Return the path of the index beside a shard, or None if the reader wants none."""
        return None

    @staticmethod
    def shard_of(index_name: str) -> str | None:
        """Return the name of the shard to which an index of this name belongs, or None if the name is no index's."""
        return None

    @classmethod
    def index_shard(cls, path: str, members: ShardMembers) -> Any:
        """Write the index beside the shard at `path`, and return what `add` needs of the shard.

        Raises ValueError with the reason for a shard that the reader cannot take.
        """
        return None

    @classmethod
    def remove_partials(cls, folder: str) -> None:
        """Remove the partial files that killed or interrupted runs have left."""
        if cls.file_names:
            store_of(folder).remove_partials(folder, cls.file_names)

    def refuse(self) -> None:
        """Raise DestinationError if a file of another kind has the name of an index of the folder or of a set."""

    def refuse_beside_shards(self) -> None:
        """Raise DestinationError if a file of another kind has the name of an index beside a shard of the sets."""
        for path in self._beside_shards():
            if not is_shard_index(path):
                raise in_the_way(path)

    def withdraw(self) -> bool:
        """Remove the entries of the sets' shards, which are about to be removed, and return whether there were any."""
        beside = [path for path in self._beside_shards() if is_shard_index(path)]
        for path in beside:
            store_of(path).remove(path)
        return bool(beside)

    def begin(self) -> None:
        """Prepare for the first shard."""

    def add(self, number: int, shard: Shard, found: Any) -> None:
        """Add a shard and what `index_shard` has returned of it; `number` counts the shards of all sets from 0."""

    def contents(self, shards: Mapping[str, Sequence[Shard]]) -> dict[str, bytes]:
        """Return the content of each index of the whole folder, by its path; `shards` has the shards of each set."""
        return {}

    @property
    def notices(self) -> Sequence[str]:
        """Sentences on what `contents` has not written, and what the user can do."""
        return ()

    def write_large(self) -> list[str]:
        """Write the file that can need much space, before any other index of the folder; return its path, if any."""
        return []

    def write(self, contents: Mapping[str, bytes]) -> list[str]:
        """Write the files with these contents, and return the paths of the written files."""
        for path, content in contents.items():
            store_of(path).put(path, content, self.is_own)
        return [*contents]

    def close(self) -> None:
        """Remove files that were not written to their end."""

    @classmethod
    def is_own(cls, path: str) -> bool:
        """Return whether the file at `path`, which has the name of an index, is one and may be replaced."""
        return False

    def _owns(self, shard_name: str) -> bool:
        return any(each.owns(shard_name) for each in self._sets)

    def _beside_shards(self) -> Iterator[str]:
        """Yield the paths of the files that have the names of indexes beside shards of the sets."""
        if store_of(self._folder).is_folder(self._folder):
            for name in sorted(store_of(self._folder).names(self._folder)):
                shard = self.shard_of(name)
                if shard is not None and self._owns(shard):
                    yield os.path.join(self._folder, name)

    def _by_split(
        self, shards: Mapping[str, Sequence[Shard]], taken: Collection[str] = ()
    ) -> dict[str, Sequence[Shard]]:
        """Return the shards of each split.

        A set stands under its own name instead if another set has the same split, or if the split's name is `taken`.
        """
        uses = Counter(name for each in self._sets for name in {each.split, each.name})
        alone = {each.name for each in self._sets if uses[each.split] == 1 and each.split not in taken}
        return {each.split if each.name in alone else each.name: shards[each.name] for each in self._sets}


class JsonIndex(ReaderIndex):
    """An index that is one JSON file for all sets in a folder. Its entries for other shards stay."""

    file: ClassVar[str]
    nothing: ClassVar[Mapping[str, Any]] = {}
    """The content of a file that lists no shard."""

    @staticmethod
    def is_of_kind(content: Mapping[str, Any]) -> bool:
        """Return whether the content is that of the reader's index."""
        raise NotImplementedError

    @staticmethod
    def without(content: Mapping[str, Any], is_owned: Callable[[str], bool]) -> dict[str, Any]:
        """Return the content without the shards whose names are owned."""
        raise NotImplementedError

    def combined(self, before: Mapping[str, Any], shards: Mapping[str, Sequence[Shard]]) -> dict[str, Any]:
        """Return the content `before` with these shards added; `shards` has the shards of each set."""
        raise NotImplementedError

    @property
    def _path(self) -> str:
        return os.path.join(self._folder, self.file)

    def refuse(self) -> None:
        """Raise DestinationError if the file is of another kind."""
        content_before(self._path, self.is_of_kind)

    def withdraw(self) -> bool:
        """Remove the entries of the sets' shards, and the file if no entry is left. Return whether there were any."""
        content = json_at(self._path) or {}
        if not self.is_of_kind(content) or (rest := self.without(content, self._owns)) == content:
            return False
        if rest != self.nothing:
            store_of(self._path).put(self._path, json_bytes(self.combined(rest, {})), self.is_own)
        elif self.is_own(self._path):
            store_of(self._path).remove(self._path)
        return True

    def contents(self, shards: Mapping[str, Sequence[Shard]]) -> dict[str, bytes]:
        """Return the content of the one file."""
        rest = self.without(content_before(self._path, self.is_of_kind), self._owns)
        return {self._path: json_bytes(self.combined(rest, shards))}

    @classmethod
    def is_own(cls, path: str) -> bool:
        """Return whether the file's content is that of the reader's index."""
        content = json_at(path)
        return content is not None and cls.is_of_kind(content)


def content_before(path: str, is_of_kind: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """Return the JSON in the file that would be replaced, which is empty if there is no file.

    Raises DestinationError for a file of another kind.
    """
    content = json_at(path)
    if content is not None and is_of_kind(content):
        return content
    if content is None and not store_of(path).exists(path):
        return {}
    raise in_the_way(path)


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return the content as the readers' own tools write it."""
    return (json.dumps(content, indent=2) + "\n").encode("ascii")


def is_shard_index(path: str) -> bool:
    """Return whether a file is an index beside a shard: DALI's begins with its version, energon's with the offset 0."""
    try:
        with store_of(path).open(path) as file:
            head = file.read(8)
            return head.startswith(b"v1.") or (head == bytes(8) and os.fstat(file.fileno()).st_size % 8 == 0)
    except OSError:
        return False


def in_the_way(path: str) -> DestinationError:
    """Return the error that a file of another kind has the name of an index."""
    kind = store_of(path).kind(path) or "something else"
    return DestinationError(f"{path} is there and is {kind}. Nothing is overwritten: move it out of the way.")
