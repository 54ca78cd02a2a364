"""The manifest: the index of a finished set, written last.

A wids index (`wids-shard-index-v1`), so that wids and webdataset read it as it is, with further keys for people and
tools. It is a function of the source, the choices and the tool's version: what differs from run to run (times, rates,
workers) is in the summary, never here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from parallel_sharder import durable
from parallel_sharder.errors import DestinationError
from parallel_sharder.model import ImageClass, ShardRecord


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a set was made from and with. `seed` is None for the order of the keys."""

    tool_version: str
    name: str
    split: str
    seed: int | None
    labels: str
    maxsize: int
    maxcount: int | None
    shards: int | None


def manifest(
    provenance: Provenance, classes: Sequence[ImageClass], class_counts: Sequence[int], records: Sequence[ShardRecord]
) -> bytes:
    """The manifest of the set of `records` (in order of number), as JSON text.

    `class_counts` are the stored samples of each of `classes`. Source of the wids keys: webdataset 0.2.x,
    wids/wids_specs.py; the reader wants `wids_version`, and `url` and `nsamples` of each shard.
    """
    table = sorted(zip(classes, class_counts, strict=True), key=lambda row: row[0].label)
    content: dict[str, Any] = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": provenance.name,
        "shardlist": [
            {
                "url": os.path.basename(record.path),
                "nsamples": record.samples,
                "filesize": record.file_bytes,
                "tar_bytes": record.tar_bytes,
                "xxh3_128": record.xxh3_128,
            }
            for record in records
        ],
        "tool": {"name": "parallel_sharder", "version": provenance.tool_version},
        "split": provenance.split,
        "seed": provenance.seed,
        "limits": {"maxsize": provenance.maxsize, "maxcount": provenance.maxcount, "shards": provenance.shards},
        "labels": provenance.labels if classes else None,
        "totals": {
            "samples": sum(record.samples for record in records),
            "shards": len(records),
            "filesize": sum(record.file_bytes for record in records),
            "tar_bytes": sum(record.tar_bytes for record in records),
        },
        "classes": [
            {"label": row.label, "wnid": row.wnid, "name": row.name, "count": int(count)} for row, count in table
        ],
    }
    return (json.dumps(content, indent=1) + "\n").encode("ascii")


def write_manifest(path: str, content: bytes) -> None:
    """Put the manifest in its place, whole and synced. Raises DestinationError if that cannot be."""
    try:
        durable.write_file(path, content)
    except OSError as error:
        raise DestinationError(f"{path} cannot be written: {error.strerror or error}") from error
