"""Short paths: a page is made to be mailed, so it has no path as it is on the host that made it.

ROOT stands for the folder of the data set, and DEST for that of the shards. Of any other absolute path the last part is
left. Names of files, of classes and of hosts stay.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from parallel_sharder.command_words import ROOT
from parallel_sharder.pages.history import History
from parallel_sharder.text import printable

DEST = "DEST"
"""What stands for the folder of the shards."""

_ELSEWHERE = "..."
"""What stands for the folders of any other path."""

_OTHER_PATH = re.compile(r"(?<![\w.:/])(?:/[^\s/'\"`,;:()]+)+(?=/[^\s/'\"`,;:()]+)")
"""The folders of an absolute path in a text."""


class ShortPaths:
    """The paths of a set, made short. `folder` is that of the shards, as it was typed."""

    def __init__(self, history: History, folder: str) -> None:
        places = {os.path.abspath(folder): DEST, folder: DEST}
        for run in history.runs:
            places |= run.places
            places |= dict.fromkeys(_typed(run.options, "root"), ROOT)
            places |= {os.path.dirname(path) if "%" in path else path: DEST for path in _typed(run.options, "dest")}
        known = sorted((place for place in places if place.strip("./")), key=len, reverse=True)
        self._places = {place.rstrip("/"): places[place] for place in known}
        absolute, relative = (
            "|".join(re.escape(place) for place in self._places if os.path.isabs(place) == is_absolute) or r"(?!)"
            for is_absolute in (True, False)
        )
        self._known = re.compile(rf"(?<![\w/.-])(?:({absolute})(?=[/\s:,;'\")]|\.?$)|({relative})(?=/))")

    def path(self, path: str) -> str:
        """Return a path, which the whole text is."""
        for place, name in self._places.items():
            if path == place or path.startswith(f"{place}/"):
                return printable(name + path[len(place) :])
        return printable(f"{_ELSEWHERE}/{os.path.basename(path)}" if os.path.isabs(path) else path)

    def text(self, text: str) -> str:
        """Return a text in which there may be paths."""
        short = self._known.sub(lambda match: self._places[match[0]], text)
        return printable(_OTHER_PATH.sub(_ELSEWHERE, short))

    def words(self, words: Sequence[str]) -> list[str]:
        """Return the words of a command."""
        return [*map(self.path, words)]


def _typed(options: Mapping[str, Any], name: str) -> list[str]:
    """Return the folders that an option names, as they were typed; of a pattern, what comes before its wildcards."""
    value = options.get(name)
    values = value if isinstance(value, list) else [value]
    return [re.sub(r"/?[^/]*[*?\[{].*", "", each).rstrip("/") for each in values if isinstance(each, str)]
