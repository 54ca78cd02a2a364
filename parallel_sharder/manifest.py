"""The manifest: the index of a finished set, written last.

A wids index (`wids-shard-index-v1`), so that wids and webdataset read it as it is, with further keys for people and
tools. It is a function of the source, the choices and the tool's version: what differs from run to run (times, rates,
workers) is in the summary, never here.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import xxhash

from parallel_sharder import durable
from parallel_sharder.boxes import in_all
from parallel_sharder.errors import DestinationError, ManifestError
from parallel_sharder.model import ImageClass, ShardRecord

DIGEST = "xxh3_128"
"""The manifest's last entry: the digest of its text without that entry."""


def manifest(
    name: str,
    tool_version: str,
    choices: Mapping[str, Any],
    classes: Sequence[ImageClass],
    class_counts: Sequence[int],
    records: Sequence[ShardRecord],
    md5: bool,
) -> bytes:
    """The manifest of the set of `records` (in order of number), as JSON text.

    `choices` are Options.choices; `class_counts` are the stored samples of each of `classes`; `md5` adds that of each
    shard, which the records then have. The last entry is the digest of all before it, so that damage to the manifest is
    noticed too. Source of the wids keys: webdataset 0.2.x, wids/wids_specs.py; the reader wants `wids_version`, and
    `url` and `nsamples` of each shard.
    """
    table = sorted(zip(classes, class_counts, strict=True), key=lambda row: row[0].label)
    content: dict[str, Any] = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": name,
        "shardlist": [
            {
                "url": os.path.basename(record.path),
                "nsamples": record.samples,
                "filesize": record.file_bytes,
                **({"md5sum": record.md5} if md5 else {}),
                "tar_bytes": record.tar_bytes,
                "xxh3_128": record.xxh3_128,
            }
            for record in records
        ],
        "tool": {"name": "parallel_sharder", "version": tool_version},
        "options": dict(choices),
        "totals": {
            "samples": sum(record.samples for record in records),
            "shards": len(records),
            "filesize": sum(record.file_bytes for record in records),
            "tar_bytes": sum(record.tar_bytes for record in records),
        },
        **({"mended": in_all(records)._asdict()} if choices["annotations"] == "boxes" else {}),
        "classes": [
            {"label": row.label, "wnid": row.wnid, "name": row.name, "count": int(count)} for row, count in table
        ],
    }
    return _with_digest(content)


def with_md5(content: Mapping[str, Any], md5: Mapping[str, str]) -> bytes:
    """The manifest with this content, and with the MD5, in hex, of the shards of these names."""
    shards = []
    for entry in content["shardlist"]:
        fields: dict[str, Any] = {}
        for name, value in entry.items():
            if name != "md5sum":
                fields[name] = value
            if name == "filesize":  # where `manifest` has it
                fields["md5sum"] = md5[entry["url"]]
        shards.append(fields)
    return _with_digest({**content, "shardlist": shards})


def _with_digest(content: Mapping[str, Any]) -> bytes:
    rest = {name: value for name, value in content.items() if name != DIGEST}
    return _text({**rest, DIGEST: xxhash.xxh3_128_hexdigest(_text(rest))})


def read_manifest(path: str) -> dict[str, Any] | None:
    """The manifest at `path`, or None if what is there is JSON, but not one of ours.

    Raises ManifestError if it is missing, or damaged: not JSON, or not to the byte what its digest was made of.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
        content = json.loads(data)
    except FileNotFoundError as error:
        raise ManifestError("is missing: the set is not finished") from error
    except OSError as error:
        raise ManifestError(f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"is damaged: it is not JSON: {error}") from error
    if not isinstance(content, dict) or not {"tool", DIGEST} & content.keys():
        return None
    rest = {name: value for name, value in content.items() if name != DIGEST}
    if data != _text(content) or content.get(DIGEST) != xxhash.xxh3_128_hexdigest(_text(rest)):
        raise ManifestError("is damaged: its content does not give the digest that it ends with")
    return content


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode("ascii")


def write_manifest(path: str, content: bytes) -> None:
    """Put the manifest in its place, whole and synced, if it is not there. Raises DestinationError if it cannot be."""
    try:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if file.read() == content:
                return
        durable.write_file(path, content)
    except OSError as error:
        raise DestinationError(f"{path} cannot be written: {error.strerror or error}.") from error
