"""open_clip's index of a folder: `sizes.json`, which has the count of samples of each shard.

Source: open_clip's train/data.py. The file's entries for other shards stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parallel_sharder.indexes import Shard
from parallel_sharder.indexes.reader_index import JsonIndex


class OpenClip(JsonIndex):
    """open_clip's `sizes.json`."""

    reader = "openclip"
    file = "sizes.json"
    file_names = r"sizes\.json"

    @staticmethod
    def is_of_kind(content: Mapping[str, Any]) -> bool:
        """Return whether the content is that of a `sizes.json`: a whole number for each name."""
        return all(type(count) is int for count in content.values())

    @staticmethod
    def without(content: Mapping[str, Any], is_owned: Callable[[str], bool]) -> dict[str, Any]:
        """Return the content without the shards whose names are owned."""
        return {name: count for name, count in content.items() if not is_owned(name)}

    def combined(self, before: Mapping[str, Any], shards: Mapping[str, Sequence[Shard]]) -> dict[str, Any]:
        """Return the content `before` with these shards added, sorted by name."""
        new = {shard.name: shard.samples for some in shards.values() for shard in some}
        return dict(sorted({**before, **new}.items()))
