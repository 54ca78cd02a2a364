"""Filters: what stands for the lists of keys by which shards were chosen, when a set is compared with its source.

A manifest has no list of keys, which can be as long as the set, but their counts and that of the samples they took
away. So the keys of the set, and of what it has left out, are chosen again, and the counts are compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.model import Deviation, Listing
from parallel_sharder.verify.listed import Listed
from parallel_sharder.verify.source_comparison import Rows


def keys_for_lists(manifest: Manifest, rows: Rows, listed: Sequence[Listed]) -> tuple[bytes, ...] | None:
    """Return the keys that a set made with lists of keys has or has left out, in place of the lists; None without."""
    if manifest.selection.get("keep") is None and manifest.selection.get("drop") is None:
        return None
    left_out = {problem.key.encode("ascii", "replace") for problem in listed if problem.is_left_out} - {b""}
    return tuple(sorted({*rows.keys.tolist(), *left_out}))


def filtered(path: str, manifest: Manifest, listing: Listing) -> list[Deviation]:
    """Return a deviation if the source has another number of samples that are not chosen than the conversion found."""
    then, now = manifest.selection.get("filtered"), listing.selection.get("filtered")
    if then == now:
        return []
    words = f"{then:,} samples of the source were not chosen, and now {now:,} are neither in the set nor left out"
    return [Deviation(path, words)]
