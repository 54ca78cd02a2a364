"""Schema: whether a value that was read as JSON is what it should be; if not, what is wrong, and where.

A shape is a Value, or a dict of fields, or a list with one shape in it, which is that of each entry. This module knows
no file and no meaning: the shape of a manifest is the manifest's.
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
class Value:
    """Values of which `holds` is true, called `words` for people; `is_optional` if the field need not be there."""

    words: str
    holds: Callable[[Any], bool]
    is_optional: bool = False


Shape: TypeAlias = "Value | Mapping[str, Shape] | list[Shape]"


def fault(value: object, shape: Shape, where: str = "") -> str:
    """What is wrong with the value at `where`, "" if nothing is. Fields that the shape has not may be there too."""
    if isinstance(shape, Value):
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
    is_optional = isinstance(shape, Value) and shape.is_optional
    return "" if is_optional else f"{where or 'it'} has no {name}"


def instead(where: str, value: object, words: str) -> str:
    """That something else should be at `where`."""
    if isinstance(value, dict | list):
        found = "an object" if isinstance(value, dict) else "a list"
    else:
        found = json.dumps(value)
    more = "..." if len(found) > _SHOWN_CHARACTERS else ""
    return f"{where} is {found[:_SHOWN_CHARACTERS]}{more}, and should be {words}"


def whole_number(lowest: int, highest: int = MANY) -> Value:
    """Whole numbers from one to another; true, false and 1.0 are none."""
    words = f"a whole number from {lowest:,} {'on' if highest == MANY else f'to {highest:,}'}"
    return Value(words, lambda found: type(found) is int and lowest <= found <= highest)


def one_of(*values: str) -> Value:
    """One of some texts."""
    return Value(" or ".join(map(json.dumps, values)), lambda value: value in values)


def matching(pattern: str, words: str) -> Value:
    """Text that all of a pattern matches."""
    return Value(words, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def or_null(value: Value) -> Value:
    """The same, or nothing."""
    return Value(f"{value.words}, or null", lambda found: found is None or value.holds(found))


def optional(value: Value) -> Value:
    """The same, in a field that need not be there."""
    return replace(value, is_optional=True)
