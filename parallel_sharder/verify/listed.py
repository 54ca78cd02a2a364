"""The listed problems: the list of problems beside a finished set, as verify reads it.

Takes the manifest's path and the keys in the shards. Returns the problems, and a Deviation for each line that the tool
would have written otherwise, or that the shards contradict. It does not know whether a line is true of the source: only
source_comparison.py finds that.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from parallel_sharder.columns import Keys
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Deviation, Problem
from parallel_sharder.setfiles import SetFiles
from parallel_sharder.stores import store_of

_LINE_LIMIT_BYTES = 1 << 20
"""The longest line that is read. A path has at most 4 KB, and a detail is not much longer."""

_KEY = re.compile("[!-~]{0,99}")
_FIELDS = {"path": str, "key": str, "kind": str, "detail": str, "left_out": bool}


class Listed(NamedTuple):
    """A problem in the list; `key` is "" if the problem concerns no sample."""

    key: str
    kind: Kind
    detail: str
    is_left_out: bool


def read_listed(manifest_path: str, on_bad: str) -> tuple[list[Listed], list[Deviation]]:
    """Return the problems that are listed beside a manifest, and what is wrong with the list.

    `on_bad` is the value of `--on-bad` with which the set was made.
    """
    path = SetFiles.at_manifest(manifest_path).problems
    listed: list[Listed] = []
    deviations: list[Deviation] = []
    try:
        with io.BufferedReader(store_of(path).open(path)) as file:
            for number, line in enumerate(_lines(file), 1):
                try:
                    listed.append(_listed(line, on_bad))
                except (ValueError, RecursionError) as error:
                    why = f": {error}" if type(error) is ValueError else ""
                    deviations.append(Deviation(path, f"line {number} is not as the tool writes it{why}"))
    except FileNotFoundError:
        pass  # the set has no problems
    except OSError as error:
        deviations.append(Deviation(path, f"cannot be read: {error.strerror or error}"))
    return listed, deviations


def against_shards(manifest_path: str, listed: list[Listed], keys: Keys) -> list[Deviation]:
    """Return a Deviation for each sample that is listed as left out but is in a shard, or as stored but is in none.

    `keys` are the keys of all samples in the shards.
    """
    path = SetFiles.at_manifest(manifest_path).problems
    of_samples = [problem for problem in listed if problem.key]
    is_stored = np.isin(np.array([problem.key.encode() for problem in of_samples], "S"), keys)
    wrong = {True: "is listed as left out, but is in a shard", False: "is listed as stored, but is in no shard"}
    return [
        Deviation(path, wrong[stored], each.key)
        for each, stored in zip(of_samples, is_stored.tolist(), strict=True)
        if stored == each.is_left_out
    ]


def _lines(file: Any) -> Iterator[bytes]:
    """Yield the lines; a line that is too long is cut, and no line after it is read."""
    while line := file.readline(_LINE_LIMIT_BYTES):
        yield line
        if len(line) == _LINE_LIMIT_BYTES:
            return


def _listed(line: bytes, on_bad: str) -> Listed:
    """Return the problem in a line. Raises ValueError for a line that the tool would have written otherwise.

    The error says why, unless the JSON decoder has raised it.
    """
    content = json.loads(line)
    if not isinstance(content, dict) or {name: type(value) for name, value in content.items()} != _FIELDS:
        raise ValueError(f"its fields are not {', '.join(_FIELDS)} with their types")
    if json.dumps(content).encode("ascii") + b"\n" != line:
        raise ValueError("json.dumps would write it otherwise")
    if not _KEY.fullmatch(content["key"]):
        raise ValueError("no sample can have its key")
    if content["kind"] not in {*Kind}:
        raise ValueError(f"no problem is of the kind {content['kind'][:60]!r}")
    kind = Kind(content["kind"])
    is_kept = on_bad == "keep" and kind in (Kind.BAD_IMAGE, Kind.BAD_ANNOTATION)
    if content["left_out"] != Problem(kind, "", "", "", is_kept).leaves_out:
        raise ValueError(f"left_out is {str(content['left_out']).lower()} for {kind.value} with --on-bad {on_bad}")
    return Listed(content["key"], kind, content["detail"], content["left_out"])
