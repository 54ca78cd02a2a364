"""The key rule: the key of a sample follows from the path of its image, and from its twins.

Paths below the split go in, as bytes, and keys come out, in ASCII. Slashes stay. Each byte that is no ASCII letter,
digit, `_`, `-` or slash becomes `=` and its two hex digits, and so does a `_` at the beginning of a part. A key of more
than 80 bytes becomes its first 63, `~`, and 16 hex digits: XXH3-64 of the path's bytes that the key is made of. These
are the path without its ending. Images of one folder that differ by their ending alone are twins, and the key of a twin
is made of its whole path. An image is a twin too if its path without its ending is the whole path of a twin: a.jpg.gif
beside a.jpg and a.png. So two paths have two keys (but for two equal digests), which a test proves.

Workers use this module, so it does not import numpy. It knows neither files nor formats.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence

import xxhash

RULE = 1
"""The version of the rule. What changes keys raises it."""

LIMIT_BYTES = 80
"""The longest key. With a dot and an ending of 19 bytes, it fills the 100 bytes that a tar has for a name."""

_KEPT_BYTES = 63

_ESCAPED = re.compile(rb"[^A-Za-z0-9_/-]|(?<![^/])_")
_ALL_PLAIN = re.compile(rb"(?:[A-Za-z0-9-][A-Za-z0-9_/-]{0,79}+\.[A-Za-z0-9]++\0)*+")
"""Paths that are their keys and an ending, each with a NUL behind it, but for a `_` behind a slash."""


def key_of(path: bytes) -> bytes:
    """Return the key that is made of `path`: a path below the split without its ending, or a twin's whole path.

    Other texts are made safe by the same rule, such as the name of a set or the key of a foreign shard.
    """
    key = _ESCAPED.sub(_hex, path)
    return key if len(key) <= LIMIT_BYTES else b"%b~%016x" % (key[:_KEPT_BYTES], xxhash.xxh3_64_intdigest(path))


def set_name(folder: str, otherwise: str) -> str:
    """Return the name of a set by its root folder, made safe; `otherwise` for a folder without a name, such as `/`."""
    return key_of(os.fsencode(os.path.basename(os.path.abspath(folder)))).decode("ascii") or otherwise


def keys_of(paths: Sequence[bytes]) -> list[bytes]:
    """Return the key of each image of a set. `paths` are different, and hold whole folders, so that twins are seen."""
    joined = b"\0".join((*paths, b""))
    # In most folders all names are plain. One match over all takes far less time than a substitution for each.
    is_plain = _ALL_PLAIN.fullmatch(joined) and b"/_" not in joined
    stems = [path[: path.index(b".")] for path in paths] if is_plain else [os.path.splitext(path)[0] for path in paths]
    if len(set(stems)) < len(stems):
        twins = _twins_among(paths, stems)
        stems = [path if path in twins else stem for path, stem in zip(paths, stems, strict=True)]
        is_plain = None
    return stems if is_plain else [*map(key_of, stems)]


def _twins_among(paths: Sequence[bytes], stems: Sequence[bytes]) -> set[bytes]:
    """Return the paths of twins; `stems` are the paths without their endings, in the same order."""
    count = Counter(stems)
    twins: set[bytes] = set()
    for path, stem in sorted(zip(paths, stems, strict=True), key=lambda pair: len(pair[0])):
        if count[stem] > 1 or stem in twins:
            twins.add(path)
    return twins


def _hex(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]
