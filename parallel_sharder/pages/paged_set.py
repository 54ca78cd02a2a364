"""A paged set: shards of which a page is made, with the names of their files, and the runs that made them."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass

from parallel_sharder.errors import SharderError
from parallel_sharder.inspection.named import ShardsOfSet
from parallel_sharder.options import StatusOptions
from parallel_sharder.pages.history import History, history_of, is_of
from parallel_sharder.pattern import set_name, shard_name
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.status import SetStatus, status_of
from parallel_sharder.stores import store_of

_NO_EVENTS = (
    "Nothing is recorded of the runs that made this set: it was made by another tool, or by a version that recorded "
    "nothing, or the hidden file with the record was not copied along with the shards."
)
_OTHER_EVENTS = (
    "What is recorded of runs in this folder is not of these shards: their sizes differ. So nothing is said of the run."
)

_SHARD_ENDING = re.compile(r"\.(tar|tgz)(\.\w+)?$")


@dataclass(frozen=True, eq=False)
class PagedSet:
    """A set and its runs. `no_run` says why nothing is known of these, or is "".

    The files of another tool's set have the name of its first shard, without the number.
    """

    shards: ShardsOfSet
    files: SetFiles
    history: History
    no_run: str

    @classmethod
    def of(cls, shards: ShardsOfSet) -> PagedSet:
        """Return the set of these shards with its runs; events that are of other shards are none of its own."""
        files = _files(shards)
        history = history_of(files)
        if not history.working:
            return cls(shards, files, history, _NO_EVENTS)
        if shards.manifest is not None and not is_of(history, shards.manifest):
            return cls(shards, files, History(), _OTHER_EVENTS)
        return cls(shards, files, history, "")

    @property
    def name(self) -> str:
        """The name of the set."""
        return self.files.name

    @functools.cached_property
    def sizes(self) -> list[int]:
        """The bytes of each shard."""
        return [*map(store_of(self.files.folder).size, self.shards.paths)]

    @property
    def samples(self) -> int | None:
        """How many samples the shards have, if that is listed."""
        counts = self.shards.counts
        return sum(map(counts.__getitem__, self.shards.paths)) if counts.keys() >= {*self.shards.paths} else None

    @property
    def is_shuffled(self) -> bool:
        """Whether each shard holds a random part of the set."""
        return self.shards.manifest is not None and self.shards.manifest.options.seed is not None

    def status(self) -> SetStatus | None:
        """Return what the journals say of the set; None of a set of another tool."""
        try:
            sets = status_of(StatusOptions(dest=self.files.folder or os.curdir)).sets
        except SharderError:
            return None
        return next((each for each in sets if SetFiles.at_manifest(each.path).name == self.name), None)


def _files(shards: ShardsOfSet) -> SetFiles:
    if shards.manifest is not None or shards.name.endswith(".json"):
        return SetFiles.at_manifest(shards.name)
    folder, name = os.path.split(shards.paths[0])
    found = shard_name(name)
    return SetFiles(folder, set_name(found.prefix) if found else _SHARD_ENDING.sub("", name))
