"""The reading of shards: each is listed by its headers, or read through, because it is compressed or to be staged.

What was found in shards that are read through is kept, so that a later run of the same command need not do that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from parallel_sharder.engines.engine import Engine
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Archive, Problem
from parallel_sharder.monitor.monitor import Monitor
from parallel_sharder.sources.kept_index import KeptIndex
from parallel_sharder.sources.passage import Passage, passed
from parallel_sharder.sources.shards.listed import ListedShard, list_members, list_shard
from parallel_sharder.sources.spool import Scratch
from parallel_sharder.sources.survey import results_of
from parallel_sharder.staging.look import Looked
from parallel_sharder.text import counted

_FORMAT = "shards, 1"
"""The format of the kept index."""


class Reading:
    """The reading of the shards `archives`, of which those with the paths `packed` are compressed.

    If the stage of `scratch` has a folder, all are read through once, and copied there. `index` keeps what was found in
    shards that are read through, and `looked` has what the `look` of `scratch` has kept of their members.
    """

    def __init__(
        self, archives: Sequence[Archive], packed: Collection[str], rename_keys: bool, scratch: Scratch
    ) -> None:
        self.archives = archives
        self.looked: Sequence[Looked] = ()
        self.index: KeptIndex[ListedShard] | None = None
        self._packed = packed
        self._rename_keys = rename_keys
        self._scratch = scratch
        if packed or scratch.stage.folder:
            of = [_FORMAT, [*map(list, archives)], rename_keys]
            self.index = KeptIndex(scratch.index_path, of, _as_list, _as_shard)

    def shards(self, engine: Engine, monitor: Monitor) -> list[ListedShard]:
        """Return the samples of each shard, in the order of the shards. Raises SourceError as `list_shard` does."""
        if self.index is None:
            return self._listed(self.archives, engine, monitor)
        if self.index.found is None:
            self.index.found = self._read(engine, monitor)
        return [*self.index.found]  # whoever makes columns of them empties the list

    def copies(self) -> dict[str, str]:
        """Return the paths of the copies that are whole, by those of their shards."""
        return self._scratch.stage.copies(self.archives)

    def _read(self, engine: Engine, monitor: Monitor) -> list[ListedShard]:
        """Return the same, after reading through what has to be."""
        stage, packed = self._scratch.stage, self._packed
        copyings = stage.copyings([each for each in self.archives if stage.folder or each.path in packed])
        passages = [
            Passage(each, partial(list_members, each.archive.path, self._rename_keys), self._scratch.look)
            for each in copyings
        ]
        results = passed(passages, engine, monitor)
        self.looked = [result.looked for result in results]
        found: dict[str, ListedShard] = {result.found.path: result.found for result in results}
        left = [archive for archive in self.archives if archive.path not in found]
        found.update((shard.path, shard) for shard in self._listed(left, engine, monitor))
        return [found[archive.path] for archive in self.archives]

    def _listed(self, archives: Sequence[Archive], engine: Engine, monitor: Monitor) -> list[ListedShard]:
        if not archives:
            return []
        tasks = [partial(list_shard, archive.path, rename_keys=self._rename_keys) for archive in archives]
        return results_of(tasks, engine, named(archives), partial(monitor.scanning, unit="shard"))


def named(archives: Sequence[Archive]) -> str:
    """Return the shards in words."""
    if len(archives) == 1:
        return archives[0].path
    return f"{counted(len(archives), 'tar')}, from {archives[0].path} to {archives[-1].path}"


def _as_list(shard: ListedShard) -> Sequence[object]:
    problems = [(each.kind.value, each.path, each.key, each.detail, each.kept) for each in shard.problems]
    return [*shard._replace(problems=()), problems]


def _as_shard(values: list[Any]) -> ListedShard:
    *columns, shapes, renamed, unfit, _, problems = values
    listed = tuple(Problem(Kind(kind), *rest) for kind, *rest in problems)
    return ListedShard._make([*columns, tuple(map(tuple, shapes)), renamed, unfit, listed])
