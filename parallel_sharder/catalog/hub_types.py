"""Hub types: the types of the fields of samples, as a dataset card tells them to the library `datasets`.

The names of the fields come in, and the type of the JSON; the entry `features` of the card goes out. `datasets` needs
it where fields differ between samples: without it, it stops if the first five samples differ, and else takes no field
that they lack. With it, a field that a sample lacks is None. Source: packaged_modules/webdataset/webdataset.py of
`datasets` 5.2, which parses some fields by the last part of their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from parallel_sharder.catalog.loading import IMAGES

_PARSED = {
    **dict.fromkeys(("cls", "cls2", "index", "inx", "id"), "int64"),
    **dict.fromkeys(("txt", "text", "transcript"), "string"),
    **dict.fromkeys(("json", "jsn"), "json"),
    **dict.fromkeys(IMAGES - {"heic", "heif"}, "image"),
}
"""The types of fields by the last part of their names. Pillow, which `datasets` decodes with, does not open HEIC."""

_OF_NO_TYPE = frozenset(
    ("ten", "tb", "mp", "msg", "npy", "npz", "cbor", "pth", "gz", "bz2", "xz", "zst", "lz4", "zip", "7z")
)
"""The last parts of names of fields that `datasets` unpacks or parses into values whose type the name does not say."""


def features_of(fields: Iterable[str], json_type: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the types of these fields, images first; none if the type of one of them is not known."""
    types = {name: json_type if name == "json" else _type_of(name) for name in dict.fromkeys(fields)}
    if not all(types.values()):
        return []
    order = sorted(types, key=lambda name: types[name] != {"dtype": "image"})
    keys = [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]
    return [*keys, *({"name": name, **types[name]} for name in order)]


def has_known_types(fields: Iterable[str]) -> bool:
    """Return whether the type of each of these fields is known."""
    return all(_type_of(name) for name in fields)


def _type_of(field: str) -> dict[str, str]:
    """Return the type of a field that is not `json`, and nothing if it is not known."""
    last = field.lower().rpartition(".")[2]
    return {} if last in _OF_NO_TYPE else {"dtype": _PARSED.get(last, "binary")}
