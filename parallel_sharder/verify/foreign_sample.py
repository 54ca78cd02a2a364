"""The rules of readers for the names and contents of another tool's members: what they lose, mis-group or cannot read.

Takes names, contents and the fields of samples, and returns faults as ends of sentences whose subject is the sample.
All readers divide a name at the first dot of its last part: what is before it is the key, the rest is the field. So a
folder's name may have dots, and a field may (`seg.png`). A key may not: of `img.v2.jpg` the key is `img`. That nobody
meant this shows in the other samples, see `dotted_keys`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from parallel_sharder.kinds import Kind
from parallel_sharder.model import IMAGE_ENDINGS
from parallel_sharder.samples.image import examine

OWN_OF_READERS = re.compile(r"__[^/]*__($|/)")
"""The beginnings of names that webdataset takes for its own and passes over."""

_PLAIN = re.compile(r"[!-~]*")
_NAME_LIMIT = 100

_MANY = 10
"""From so many groups of fields on, the one sample of a shard is taken for several. Views of a scene are fewer."""

Fields = tuple[str, ...]
"""The fields of a sample, in the tar's order."""


class Shape(NamedTuple):
    """How many samples have the same fields, with key and offset of the first."""

    samples: int
    key: str
    offset: int


def parted(name: str) -> tuple[str, str]:
    """Return the key and the field in a member's name: readers divide it at the first dot in its last part."""
    start = name.rfind("/") + 1
    key, _, field = name[start:].partition(".")
    return name[:start] + key, field


def fault_in_name(name: str) -> str:
    """Return why readers lose the member with this name, or ""; then it belongs to no sample."""
    base = name[name.rfind("/") + 1 :]
    if OWN_OF_READERS.match(name):
        return "begins with a part such as __meta__: webdataset takes it for its own, and passes over it"
    if "." not in base:
        return "has no dot in its name, and so no field: readers pass over it"
    if base.startswith((".", "__")):
        return f"has a name that begins with {'.' if base[0] == '.' else '__'}: readers pass over it, or disagree on it"
    return ""


def remarks_on_name(name: str, field: str) -> Iterator[str]:
    """Yield remarks on a name: plural nouns, with the readers that cannot read it."""
    if not _PLAIN.fullmatch(name):
        yield "names with white space or other characters than ASCII, which an index for DALI cannot hold"
    if len(name.encode("utf-8", "surrogateescape")) > _NAME_LIMIT:
        yield f"names of more than {_NAME_LIMIT} bytes, of which wids reads only so many"
    if name.startswith("/") or ".." in name.split("/"):
        yield "names that would be unpacked outside of the folder"
    if field != field.lower():
        yield "fields with capitals, which webdataset makes small, and others do not"


def is_read(name: str) -> bool:
    """Return whether the content of a member with this name is checked."""
    field = parted(name)[1].lower()
    return field == "cls" or _ending(field) == "json" or f".{_ending(field)}" in IMAGE_ENDINGS


def fault_in_content(field: str, data: bytes, *, is_whole: bool) -> str:
    """Return what is wrong with the content of a field, or "". Of large content only a JPEG is examined."""
    field = field.lower()
    ending = _ending(field)
    if f".{ending}" in IMAGE_ENDINGS:
        found = examine(memoryview(data)) if is_whole or data.startswith(b"\xff\xd8") else None
        return f"its {field} is {found[1]}" if found is not None and found[0] is Kind.BAD_IMAGE else ""
    if not is_whole:
        return ""
    try:
        if field == "cls":
            int(data)
        elif ending == "json":
            json.loads(data)
    except (ValueError, RecursionError) as error:
        what = f"is no whole number ({data[:40]!r})" if field == "cls" else f"is no JSON: {error}"
        return f"its {field} {what}"
    return ""


def fields_twice(fields: Fields) -> list[str]:
    """Return the fields that a sample has twice. Capitals make no difference, because webdataset makes them small."""
    return [field for field, count in Counter(map(str.lower, fields)).items() if count > 1]


def dotted_keys(shapes: Mapping[Fields, Shape]) -> Iterator[tuple[Fields, str]]:
    """Yield the fields of samples whose keys seem to have dots, with the fault; `shapes` are those of one shard.

    Four signs are believed. A sample has only fields with dots, several behind each beginning, and either one beginning
    (`v2.jpg v2.cls`) or a label behind each (`0.jpg 0.cls 1.jpg 1.cls`). A sample has the field `v2.jpg` and no `jpg`,
    but most samples have a `jpg`. Or a sample has only fields with dots, several groups of them (`0001.jpg`,
    `0002.jpg`), and most samples have none of these fields. Or a sample has several fields, and all of them again
    behind `v2.`, which most samples have not.
    """
    samples = sum(shape.samples for shape in shapes.values())
    having: Counter[str] = Counter()
    for fields, shape in shapes.items():
        for field in {*fields}:
            having[field] += shape.samples
    for fields in shapes:
        dotted = [field for field in fields if "." in field]
        lone = [field for field in dotted if _ending(field) not in fields and 2 * having[_ending(field)] > samples]
        if lone:
            yield (
                fields,
                (
                    f"has the field {lone[0]}, because readers end a key at its first dot; most samples have "
                    f"{_ending(lone[0])}, so its key has a dot"
                ),
            )
        elif len(dotted) == len(fields) and _are_whole(fields):
            yield (
                fields,
                (
                    f"has only members such as {fields[0]} and {fields[-1]}, and none in a plain field, because "
                    "readers end a key at its first dot; so its key has a dot"
                ),
            )
        elif (len(dotted) == len(fields) and _are_several(dotted, having, samples)) or (
            _is_whole_again(fields, dotted) and all(2 * having[field] < samples for field in dotted)
        ):
            yield (
                fields,
                (
                    f"has {len(fields)} members such as {fields[0]} and {dotted[-1]}, because readers end a key at its "
                    "first dot; most samples have no such field, so these are several samples whose keys have dots"
                ),
            )


def _are_whole(fields: Fields) -> bool:
    """Return whether fields that all have dots are whole samples: alike behind each beginning, with a label if many."""
    groups: dict[str, set[str]] = {}
    for field in fields:
        groups.setdefault(field.rpartition(".")[0], set()).add(_ending(field))
    endings = next(iter(groups.values()))
    is_alike = all(group == endings for group in groups.values())
    return is_alike and len(endings) > 1 and (len(groups) == 1 or "cls" in endings)


def _is_whole_again(fields: Fields, dotted: list[str]) -> bool:
    """Return whether a sample's fields without dots, two or more, are there again as a group with dots."""
    plain = {*fields}.difference(dotted)
    groups = {field.rpartition(".")[0] for field in dotted}
    return len(plain) > 1 and any(
        plain <= {_ending(f) for f in dotted if f.startswith(f"{group}.")} for group in groups
    )


def _are_several(dotted: list[str], having: Mapping[str, int], samples: int) -> bool:
    """Return whether fields with dots are in fact members of several samples."""
    groups = {field.rpartition(".")[0] for field in dotted}
    if samples == 1:
        return len(groups) >= _MANY
    return len(groups) > 1 and all(2 * having[field] < samples for field in dotted)


def _ending(field: str) -> str:
    return field.rpartition(".")[2]
