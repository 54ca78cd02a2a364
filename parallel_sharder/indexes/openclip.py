"""open_clip's index of a folder: `sizes.json`, with the count of samples of each shard.

Source: open_clip's train/data.py. What the file says of others' shards stays.
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
        """Whether that is what a `sizes.json` says."""
        return all(type(count) is int for count in content.values())

    @staticmethod
    def without(content: Mapping[str, Any], is_owned: Callable[[str], bool]) -> dict[str, Any]:
        """The content without the shards whose names are owned."""
        return {name: count for name, count in content.items() if not is_owned(name)}

    def combined(self, before: Mapping[str, Any], shards: Mapping[str, Sequence[Shard]]) -> dict[str, Any]:
        """The content that was `before`, with these shards, by name."""
        new = {shard.name: shard.samples for some in shards.values() for shard in some}
        return dict(sorted({**before, **new}.items()))
