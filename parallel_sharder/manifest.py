"""The manifest: the index of a finished set, written last, and read only if it is as this tool writes it.

A wids index (`wids-shard-index-v1`), so that wids and webdataset read it as it is, with further keys for people and
tools. It is a function of the source, the choices and the tool's version: what differs from run to run (times, rates,
workers) is in the summary, never here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import xxhash

from parallel_sharder.destination import ShardPattern
from parallel_sharder.errors import ManifestError
from parallel_sharder.mended import mended_in_all
from parallel_sharder.model import WNID, ImageClass, ShardRecord
from parallel_sharder.options import ANNOTATIONS, LABELS, ON_BAD, SEED_LIMIT, SPLITS
from parallel_sharder.regular import read_regular
from parallel_sharder.schema import Kind, Shape, fault, instead, matching, one_of, optional, or_null, whole_number

TOOL = "parallel_sharder"

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
    shards = [
        {
            "url": os.path.basename(record.path),
            "nsamples": record.samples,
            "filesize": record.file_bytes,
            **({"md5sum": record.md5} if md5 else {}),
            "tar_bytes": record.tar_bytes,
            "xxh3_128": record.xxh3_128,
        }
        for record in records
    ]
    mended = mended_in_all(choices["annotations"], records)
    content: dict[str, Any] = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": name,
        "shardlist": shards,
        "tool": {"name": TOOL, "version": tool_version},
        "options": dict(choices),
        "totals": _totals(shards),
        **({"mended": mended} if mended else {}),
        "classes": [
            {"label": row.label, "wnid": row.id, "name": row.name, "count": int(count)} for row, count in table
        ],
    }
    return signed(content)


def with_md5(content: Mapping[str, Any], digests: Mapping[str, tuple[str, str]]) -> bytes:
    """The manifest with this content, and with the MD5 of each shard, of which MD5 and XXH3-128 are given by its name.

    Raises ManifestError for a shard that has not the digest that the manifest has.
    """
    shards = []
    for entry in content["shardlist"]:
        name = entry["url"]
        md5, xxh3_128 = digests[name]
        if xxh3_128 != entry[DIGEST]:
            raise ManifestError(
                f"has {entry[DIGEST]} as digest (XXH3-128) of {name}, and the file has {xxh3_128}: it is not as it was "
                "finished. No MD5 was written. Copy it again, or convert again with --check, which makes it anew."
            )
        fields: dict[str, Any] = {}
        for field, value in entry.items():
            if field != "md5sum":
                fields[field] = value
            if field == "filesize":  # where `manifest` has it
                fields["md5sum"] = md5
        shards.append(fields)
    return signed({**content, "shardlist": shards})


def signed(content: Mapping[str, Any]) -> bytes:
    """The manifest with this content, and with the digest of it."""
    rest = {name: value for name, value in content.items() if name != DIGEST}
    return _text({**rest, DIGEST: xxhash.xxh3_128_hexdigest(_text(rest))})


def read_manifest(path: str) -> dict[str, Any] | None:
    """The manifest at `path`, as `manifest_in` gives it, or None if what is there is JSON, but not one of ours.

    Raises ManifestError if it is missing or cannot be read too.
    """
    try:
        data = read_regular(path)
    except FileNotFoundError as error:
        raise ManifestError("is missing: the set is not finished") from error
    except OSError as error:
        raise ManifestError(f"cannot be read: {error.strerror}") from error
    return manifest_in(data)


def manifest_in(data: bytes) -> dict[str, Any] | None:
    """The manifest that these bytes are, or None if they are JSON, but not one of ours.

    Each field is there, with a value that can be, and those that follow from others agree with them; only "annotations"
    may be missing among the options, which is "original" then, and each shard's "md5sum". Raises ManifestError if it is
    damaged: not JSON, not to the byte what its digest was made of, or not so; then the message says where.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"is damaged: it is not JSON: {error}") from error
    if not isinstance(content, dict) or not is_ours(content):
        return None
    rest = {name: value for name, value in content.items() if name != DIGEST}
    try:
        holds = data == _text(content) and content.get(DIGEST) == xxhash.xxh3_128_hexdigest(_text(rest))
    except RecursionError:
        holds = False
    if not holds:
        raise ManifestError("is damaged: its content does not give the digest that it ends with")
    if found := fault(content, _SHAPE) or _contradiction(content):
        raise ManifestError(f"is damaged: {found}")
    return content


def is_ours(content: Mapping[str, Any]) -> bool:
    """Whether that is, or was, a manifest of this tool."""
    tool = content.get("tool")
    return DIGEST in content or (isinstance(tool, dict) and tool.get("name") == TOOL)


_COUNT = whole_number(0)
_HEX_DIGEST = matching("[0-9a-f]{32}", "32 hexadecimal digits")
_TEXT = Kind("text", lambda value: isinstance(value, str) and not re.search("[\ud800-\udfff]", value))
_SHAPE: Shape = {
    "__kind__": one_of("wids-shard-index-v1"),
    "wids_version": whole_number(1, 1),
    "name": _TEXT,
    "shardlist": [
        {
            "url": _TEXT,
            "nsamples": _COUNT,
            "filesize": _COUNT,
            "md5sum": optional(_HEX_DIGEST),
            "tar_bytes": _COUNT,
            "xxh3_128": _HEX_DIGEST,
        }
    ],
    "tool": {"name": one_of(TOOL), "version": matching("[0-9A-Za-z.+!_-]+", "a version")},
    "options": {
        "split": one_of(*SPLITS),
        "labels": one_of(*LABELS),
        "annotations": optional(one_of(*ANNOTATIONS)),
        "seed": or_null(whole_number(0, SEED_LIMIT - 1)),
        "maxsize": whole_number(1),
        "maxcount": or_null(whole_number(1)),
        "shards": or_null(whole_number(1)),
        "on_bad": one_of(*ON_BAD),
    },
    "totals": {"samples": _COUNT, "shards": _COUNT, "filesize": _COUNT, "tar_bytes": _COUNT},
    "classes": [
        {
            "label": whole_number(0, 2**31 - 1),
            "wnid": matching(WNID.pattern, "a WordNet ID, such as n01440764"),
            "name": _TEXT,
            "count": _COUNT,
        }
    ],
}


def _contradiction(content: Mapping[str, Any]) -> str:
    """What cannot be in a manifest of which each field by itself can; "" if there is nothing."""
    found = (check(content) for check in (_fault_in_names, _fault_in_totals, _fault_in_classes))
    return next(filter(None, found), "")


def _fault_in_names(content: Mapping[str, Any]) -> str:
    """Shards have the names that a pattern gives, from number 0 on, and the set is called as these say."""
    if not content["shardlist"]:
        return "shardlist is empty, and a set has shards"
    name, first = content["name"], content["shardlist"][0]["url"]
    pattern = ShardPattern.of_set(name, first)
    if pattern is None:
        return instead("shardlist[0].url", first, f"the name of shard 0 of the set {json.dumps(name[:60])}")
    for number, entry in enumerate(content["shardlist"]):
        if entry["url"] != pattern.path(number):
            return instead(f"shardlist[{number}].url", entry["url"], json.dumps(pattern.path(number)))
    return ""


def _fault_in_totals(content: Mapping[str, Any]) -> str:
    """Totals are the sums of what is counted."""
    totals = content["totals"]
    for name, total in _totals(content["shardlist"]).items():
        if totals[name] != total:
            return instead(f"totals.{name}", totals[name], f"{total}, as the shards have it")
    return ""


def _totals(shards: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """What the entries of all shards add up to."""
    return {
        "samples": sum(entry["nsamples"] for entry in shards),
        "shards": len(shards),
        "filesize": sum(entry["filesize"] for entry in shards),
        "tar_bytes": sum(entry["tar_bytes"] for entry in shards),
    }


def _fault_in_classes(content: Mapping[str, Any]) -> str:
    """Each class is there once, in the order of the labels."""
    for number, (before, row) in enumerate(pairwise(content["classes"]), 1):
        if row["label"] <= before["label"]:
            return instead(f"classes[{number}].label", row["label"], f"above {before['label']}, the one before it")
    wnids = sorted(row["wnid"] for row in content["classes"])
    twice = [wnid for wnid, other in pairwise(wnids) if wnid == other]
    return f"classes has {twice[0]} twice" if twice else ""


def is_copy(content: Mapping[str, Any], path: str) -> bool:
    """Whether a manifest with this content lies at `path` under another name than its set's: it tells of nothing."""
    return os.path.basename(path) != f"{content['name']}.json"


def is_manifest(path: str) -> bool:
    """Whether what is at `path` is a manifest of this tool that holds its own digest."""
    try:
        return not os.path.islink(path) and read_manifest(path) is not None
    except ManifestError:
        return False


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode("ascii")
