"""Schema: whether a value that was read as JSON is what it should be; if not, what is wrong, and where.

A shape is a Kind of value, or a dict of fields, or a list with one shape in it, which is that of each entry. Knows no
file and no meaning: the shape of a manifest is the manifest's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

MANY = 2**63 - 1
"""The largest number that a column of numbers holds."""

_SHOWN_CHARACTERS = 60
"""Of a value that is not as it should be: enough to find it, and one line."""


@dataclass(frozen=True)
class Kind:
    """Values of which `holds` is true, called `words` for people; `is_optional` if the field need not be there."""

    words: str
    holds: Callable[[Any], bool]
    is_optional: bool = False


Shape: TypeAlias = "Kind | Mapping[str, Shape] | list[Shape]"


def fault(value: object, shape: Shape, where: str = "") -> str:
    """What is wrong with the value at `where`, "" if nothing is. Fields that the shape has not may be there too."""
    if isinstance(shape, Kind):
        return "" if shape.holds(value) else instead(where, value, shape.words)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return instead(where, value, "a list")
        found = (fault(each, shape[0], f"{where}[{number}]") for number, each in enumerate(value))
        return next(filter(None, found), "")
    if not isinstance(value, dict):
        return instead(where, value, "an object")
    found = (_fault_in_field(value, name, each, where) for name, each in shape.items())
    return next(filter(None, found), "")


def _fault_in_field(value: Mapping[str, object], name: str, shape: Shape, where: str) -> str:
    if name in value:
        return fault(value[name], shape, f"{where}.{name}" if where else name)
    is_optional = isinstance(shape, Kind) and shape.is_optional
    return "" if is_optional else f"{where or 'it'} has no {name}"


def instead(where: str, value: object, words: str) -> str:
    """That something else should be at `where`."""
    if isinstance(value, dict | list):
        found = "an object" if isinstance(value, dict) else "a list"
    else:
        found = json.dumps(value)
    more = "..." if len(found) > _SHOWN_CHARACTERS else ""
    return f"{where} is {found[:_SHOWN_CHARACTERS]}{more}, and should be {words}"


def whole_number(lowest: int, highest: int = MANY) -> Kind:
    """Whole numbers from one to another; true, false and 1.0 are none."""
    to = "on" if highest == MANY else f"to {highest:,}"
    return Kind(f"a whole number from {lowest:,} {to}", lambda value: type(value) is int and lowest <= value <= highest)


def one_of(*values: str) -> Kind:
    """One of some texts."""
    return Kind(" or ".join(map(json.dumps, values)), lambda value: value in values)


def matching(pattern: str, words: str) -> Kind:
    """Text that all of a pattern matches."""
    return Kind(words, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def or_null(kind: Kind) -> Kind:
    """The same, or nothing."""
    return Kind(f"{kind.words}, or null", lambda value: value is None or kind.holds(value))


def optional(kind: Kind) -> Kind:
    """The same, in a field that need not be there."""
    return replace(kind, is_optional=True)
