"""Member names: the key and the field of a shard's member, as readers of WebDataset shards take them from its name.

The key is the folder and the base name up to its first dot, and the field is the rest. Source: webdataset's
`base_plus_ext` and `tar_file_iterator`, which all other readers follow. This module opens nothing.
"""

from __future__ import annotations

import re

_PARTS = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]*)", re.DOTALL)
_OWN = re.compile(r"__[^/]*__(?:/|$)")
"""Members for the readers themselves, such as `__meta__/info.json`, which belong to no sample."""


def key_and_field(name: str) -> tuple[str, str] | None:
    """Return the key and the field of a member; None if it belongs to no sample.

    That is a member whose base name has no dot or begins with one, and a member for readers.
    """
    match = _PARTS.fullmatch(name)
    return None if match is None or (name[:2] == "__" and _OWN.match(name)) else (match[1], match[2])
