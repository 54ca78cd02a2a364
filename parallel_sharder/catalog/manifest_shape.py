"""The shape of a manifest: which fields its JSON has, with which values, and which of them have to agree.

JSON comes in, and the first fault goes out in words, with its place; "" if there is none. Unknown fields are allowed,
because later versions add some. Among the options "annotations" may be missing, and in a shard its MD5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from parallel_sharder.catalog.schema import (
    Shape,
    Value,
    fault,
    matching,
    one_of,
    optional,
    or_null,
    whole_number,
    wrong_value,
)
from parallel_sharder.options import ANNOTATIONS, LABELS, ON_BAD, OTHER_FORMS, SEED_LIMIT, SPLITS
from parallel_sharder.pattern import ShardPattern

TOOL = "parallel_sharder"

DIGEST = "xxh3_128"
"""The manifest's last entry: the digest of its text without that entry."""


def is_ours(content: Mapping[str, Any]) -> bool:
    """Return whether the JSON is a manifest of this tool, sound or damaged."""
    tool = content.get("tool")
    return DIGEST in content or (isinstance(tool, dict) and tool.get("name") == TOOL)


_WNID = "n[0-9]{8}"
_COUNT = whole_number(0)
_HEX_DIGEST = matching("[0-9a-f]{32}", "32 hexadecimal digits")
_TEXT = Value("text", lambda value: isinstance(value, str) and not re.search("[\ud800-\udfff]", value))
_SHAPE: Mapping[str, Shape] = {
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
    "totals": {"samples": _COUNT, "shards": _COUNT, "filesize": _COUNT, "tar_bytes": _COUNT},
}
_LIMITS: Mapping[str, Shape] = {
    "seed": or_null(whole_number(0, SEED_LIMIT - 1)),
    "maxsize": whole_number(1),
    "maxcount": or_null(whole_number(1)),
    "shards": or_null(whole_number(1)),
    "on_bad": one_of(*ON_BAD),
}
_LABEL = whole_number(0, 2**31 - 1)
_OF_IMAGENET: Mapping[str, Shape] = {
    "options": {
        "split": one_of(*SPLITS),
        "labels": one_of(*LABELS),
        "annotations": optional(one_of(*ANNOTATIONS)),
        **_LIMITS,
    },
    "classes": [
        {"label": _LABEL, "wnid": matching(_WNID, "a WordNet ID, such as n01440764"), "name": _TEXT, "count": _COUNT}
    ],
}
_OF_OTHERS: Mapping[str, Shape] = {
    "options": {"form": one_of(*OTHER_FORMS), "split": or_null(one_of(*SPLITS)), **_LIMITS},
    "fields": Value(
        'a map of fields to "all" or "some"',
        lambda value: isinstance(value, dict) and {*map(str, value.values())} <= {"all", "some"},
    ),
    "source": Value("a map", lambda value: isinstance(value, dict)),
    "classes": [{"label": _LABEL, "id": _TEXT, "name": _TEXT, "count": _COUNT}],
}


def manifest_fault(content: Mapping[str, Any]) -> str:
    """Return the first fault in the JSON of a manifest, in its fields or in how they agree, and its place; else ""."""
    checks = _fault_in_fields, _fault_in_names, _fault_in_totals, _fault_in_classes
    return next(filter(None, (check(content) for check in checks)), "")


def _fault_in_fields(content: Mapping[str, Any]) -> str:
    """Return the first field that is missing or has a value that is not valid, in words; else ""."""
    options = content.get("options")
    is_other = isinstance(options, dict) and "form" in options
    return fault(content, {**_SHAPE, **(_OF_OTHERS if is_other else _OF_IMAGENET)})


def _fault_in_names(content: Mapping[str, Any]) -> str:
    """Return a fault unless the shards have a pattern's names, from number 0 on, which fit the set's name."""
    if not content["shardlist"]:
        return "shardlist is empty, and a set has shards"
    name, first = content["name"], content["shardlist"][0]["url"]
    pattern = ShardPattern.of_set(name, first)
    if pattern is None:
        return wrong_value("shardlist[0].url", first, f"the name of shard 0 of the set {json.dumps(name[:60])}")
    for number, entry in enumerate(content["shardlist"]):
        if entry["url"] != pattern.path(number):
            return wrong_value(f"shardlist[{number}].url", entry["url"], json.dumps(pattern.path(number)))
    return ""


def _fault_in_totals(content: Mapping[str, Any]) -> str:
    """Return a fault unless the totals are the sums over the shards."""
    totals = content["totals"]
    for name, total in totals_of(content["shardlist"]).items():
        if totals[name] != total:
            return wrong_value(f"totals.{name}", totals[name], f"{total}, as the shards have it")
    return ""


def totals_of(shards: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the sums over the entries of all shards."""
    return {
        "samples": sum(entry["nsamples"] for entry in shards),
        "shards": len(shards),
        "filesize": sum(entry["filesize"] for entry in shards),
        "tar_bytes": sum(entry["tar_bytes"] for entry in shards),
    }


def _fault_in_classes(content: Mapping[str, Any]) -> str:
    """Return a fault unless each class is listed once, in the order of the labels."""
    for number, (before, row) in enumerate(pairwise(content["classes"]), 1):
        if row["label"] <= before["label"]:
            return wrong_value(f"classes[{number}].label", row["label"], f"above {before['label']}, the one before it")
    ids = sorted(row.get("wnid", row.get("id")) for row in content["classes"])
    twice = [one for one, other in pairwise(ids) if one == other]
    return f"classes has {twice[0]} twice" if twice else ""
