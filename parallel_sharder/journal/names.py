"""The names that the files of a set can have, by its fingerprint: what else a journal names must not be touched."""

from __future__ import annotations

import os
from collections.abc import Iterator

from parallel_sharder.journal.entries import Dealt
from parallel_sharder.journal.fingerprint import Fingerprint
from parallel_sharder.pattern import ShardPattern
from parallel_sharder.setfiles import SetFiles


class Names:
    """The names that the files of a set can have: shards with their numbers, and files beside them without."""

    def __init__(self, files: SetFiles, fingerprint: Fingerprint) -> None:
        self._beside = [os.path.basename(path) for path in files.beside]
        first, shard_count = fingerprint.get("names of shards"), fingerprint.get("shard count")
        self._pattern = ShardPattern.of_set(files.name, first) if isinstance(first, str) and "/" not in first else None
        self._shard_count = shard_count if isinstance(shard_count, int) and self._pattern else 0

    @property
    def all(self) -> Iterator[Dealt]:
        """All names, each as an entry that it was dealt."""
        yield from map(Dealt, self._beside)
        if self._pattern is not None:
            yield from (Dealt(self._pattern.path(number), number) for number in range(self._shard_count))

    def has(self, name: str, number: int | None) -> bool:
        """Return whether `name` is that of shard `number`, or, if that is None, of a file beside the shards."""
        if number is None:
            return name in self._beside
        return self._pattern is not None and 0 <= number < self._shard_count and name == self._pattern.path(number)
