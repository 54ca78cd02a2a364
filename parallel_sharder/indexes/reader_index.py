"""What each reader's index answers to: refuse what is in its place, withdraw, be made shard by shard, be written.

Each reader's index is a subclass in a file of its own, and folder.READERS lists these. What an index says of a shard
alone is a file beside the shard, written as soon as the shard's members are known. What it says of all shards in a
folder is written at the end, under the folder's lock. Nothing of another kind is replaced or removed.
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
from parallel_sharder.indexes.members import ShardMembers
from parallel_sharder.indexes.shard_sets import ShardSet
from parallel_sharder.options import Reader
from parallel_sharder.stores import store_of


class ReaderIndex:
    """The index of the shards of `sets`, all in one folder, for one reader.

    An index is made in this order: `begin`, `add` for each shard, `contents`, `write`; then, come what may, `close`.
    `seeks` says whether the reader looks for places in a shard: then the shard's members have to be known.
    `lists_samples` says whether the index of the folder has more of each shard than its counts. `file_names` is a
    regular expression for the names of what is written under the lock.
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
        """The path of the file beside a shard; None if the reader wants none."""
        return None

    @staticmethod
    def shard_of(index_name: str) -> str | None:
        """The name of the shard beside which a file of this name is the reader's index; None if it is no index."""
        return None

    @classmethod
    def index_shard(cls, path: str, members: ShardMembers) -> Any:
        """Write what lies beside the shard at `path`, and return what `add` wants to know of the shard.

        Raises ValueError, which says why, for a shard that the reader cannot take.
        """
        return None

    @classmethod
    def remove_partials(cls, folder: str) -> None:
        """Remove what killed runs, or an interrupt, have left of files that were being written."""
        if cls.file_names:
            store_of(folder).remove_partials(folder, cls.file_names)

    def refuse(self) -> None:
        """Raise DestinationError if a file that says something of all shards in the folder, or of a set, is foreign."""

    def refuse_beside_shards(self) -> None:
        """Raise DestinationError if what has the name of an index beside a shard of the sets is something else."""
        for path in self._beside_shards():
            if not is_shard_index(path):
                raise in_the_way(path)

    def withdraw(self) -> bool:
        """Remove what the index says of the sets' shards, which are about to be removed.

        Returns whether it said anything.
        """
        beside = [path for path in self._beside_shards() if is_shard_index(path)]
        for path in beside:
            store_of(path).remove(path)
        return bool(beside)

    def begin(self) -> None:
        """Get ready for the first shard."""

    def add(self, number: int, shard: Shard, found: Any) -> None:
        """Take what `index_shard` has found in the shard of this number; numbers count the shards of all sets."""

    def contents(self, shards: Mapping[str, Sequence[Shard]]) -> dict[str, bytes]:
        """The content, by its path, of each file that says something of all `shards`, which are by the set's name."""
        return {}

    def write(self, contents: Mapping[str, bytes]) -> list[str]:
        """Write the files with these contents; return the paths of what was written."""
        for path, content in contents.items():
            store_of(path).put(path, content, self.is_own)
        return [*contents]

    def close(self) -> None:
        """Remove what was not written to its end."""

    @classmethod
    def is_own(cls, path: str) -> bool:
        """Whether the file at `path`, which has a name of this index's, is of its kind, so that it can be replaced."""
        return False

    def _owns(self, shard_name: str) -> bool:
        return any(each.owns(shard_name) for each in self._sets)

    def _beside_shards(self) -> Iterator[str]:
        """The files that have the names of indexes beside shards of the sets."""
        if store_of(self._folder).is_folder(self._folder):
            for name in sorted(store_of(self._folder).names(self._folder)):
                shard = self.shard_of(name)
                if shard is not None and self._owns(shard):
                    yield os.path.join(self._folder, name)

    def _by_split(
        self, shards: Mapping[str, Sequence[Shard]], taken: Collection[str] = ()
    ) -> dict[str, Sequence[Shard]]:
        """The shards of each split; of each set by its own name, where the split's is `taken`, or one of several."""
        uses = Counter(name for each in self._sets for name in {each.split, each.name})
        alone = {each.name for each in self._sets if uses[each.split] == 1 and each.split not in taken}
        return {each.split if each.name in alone else each.name: shards[each.name] for each in self._sets}


class JsonIndex(ReaderIndex):
    """An index that is one JSON file for all sets in a folder; what the file says of other shards stays."""

    file: ClassVar[str]
    nothing: ClassVar[Mapping[str, Any]] = {}
    """The content of a file that says nothing of any shard."""

    @staticmethod
    def is_of_kind(content: Mapping[str, Any]) -> bool:
        """Whether that is what such a file says."""
        raise NotImplementedError

    @staticmethod
    def without(content: Mapping[str, Any], is_owned: Callable[[str], bool]) -> dict[str, Any]:
        """The content without the shards whose names are owned."""
        raise NotImplementedError

    def combined(self, before: Mapping[str, Any], shards: Mapping[str, Sequence[Shard]]) -> dict[str, Any]:
        """The content that was `before`, with these shards, which are by the set's name."""
        raise NotImplementedError

    @property
    def _path(self) -> str:
        return os.path.join(self._folder, self.file)

    def refuse(self) -> None:
        """Raise DestinationError if the file is of another kind."""
        content_before(self._path, self.is_of_kind)

    def withdraw(self) -> bool:
        """Leave out the sets' shards; a file that says nothing then is removed."""
        content = json_at(self._path) or {}
        if not self.is_of_kind(content) or (rest := self.without(content, self._owns)) == content:
            return False
        if rest != self.nothing:
            store_of(self._path).put(self._path, json_bytes(self.combined(rest, {})), self.is_own)
        elif self.is_own(self._path):
            store_of(self._path).remove(self._path)
        return True

    def contents(self, shards: Mapping[str, Sequence[Shard]]) -> dict[str, bytes]:
        """The one file."""
        rest = self.without(content_before(self._path, self.is_of_kind), self._owns)
        return {self._path: json_bytes(self.combined(rest, shards))}

    @classmethod
    def is_own(cls, path: str) -> bool:
        """Whether the file's content is of this kind."""
        content = json_at(path)
        return content is not None and cls.is_of_kind(content)


def content_before(path: str, is_of_kind: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """The JSON in the file that would be replaced; empty if there is no file.

    Raises DestinationError for a file of another kind.
    """
    content = json_at(path)
    if content is not None and is_of_kind(content):
        return content
    if content is None and not store_of(path).exists(path):
        return {}
    raise in_the_way(path)


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """The content as the readers' own tools write it."""
    return (json.dumps(content, indent=2) + "\n").encode("ascii")


def is_shard_index(path: str) -> bool:
    """Whether a file is what DALI or energon reads beside a shard: text that names its version, or offsets from 0."""
    try:
        with store_of(path).open(path) as file:
            head = file.read(8)
            return head.startswith(b"v1.") or (head == bytes(8) and os.fstat(file.fileno()).st_size % 8 == 0)
    except OSError:
        return False


def in_the_way(path: str) -> DestinationError:
    """The error that a file of another kind has the name of an index."""
    kind = store_of(path).kind(path) or "something else"
    return DestinationError(f"{path} is there and is {kind}. Nothing is overwritten: move it out of the way.")
