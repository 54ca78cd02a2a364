"""Schema: compares a value that was read as JSON with a shape, and returns the first fault in words, with its place.

A shape is a Value, or a dict of fields, or a list with one shape in it, which each entry has to have. This module knows
neither files nor meanings: the shape of a manifest is in `manifest_shape`.
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
"""How much of a wrong value is shown: enough to find it, and still one line."""


@dataclass(frozen=True)
class Value:
    """Values of which `holds` is true, and which `words` describe. With `is_optional`, the field may be missing."""

    words: str
    holds: Callable[[Any], bool]
    is_optional: bool = False


Shape: TypeAlias = "Value | Mapping[str, Shape] | list[Shape]"


def fault(value: object, shape: Shape, where: str = "") -> str:
    """Return the first fault of the value at `where`, "" if there is none. Fields that the shape lacks are allowed."""
    if isinstance(shape, Value):
        return "" if shape.holds(value) else wrong_value(where, value, shape.words)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return wrong_value(where, value, "a list")
        found = (fault(each, shape[0], f"{where}[{number}]") for number, each in enumerate(value))
        return next(filter(None, found), "")
    if not isinstance(value, dict):
        return wrong_value(where, value, "an object")
    found = (_fault_in_field(value, name, each, where) for name, each in shape.items())
    return next(filter(None, found), "")


def _fault_in_field(value: Mapping[str, object], name: str, shape: Shape, where: str) -> str:
    if name in value:
        return fault(value[name], shape, f"{where}.{name}" if where else name)
    is_optional = isinstance(shape, Value) and shape.is_optional
    return "" if is_optional else f"{where or 'it'} has no {name}"


def wrong_value(where: str, value: object, words: str) -> str:
    """Return the sentence that the value at `where` should be another, which `words` describe."""
    if isinstance(value, dict | list):
        found = "an object" if isinstance(value, dict) else "a list"
    else:
        found = json.dumps(value)
    more = "..." if len(found) > _SHOWN_CHARACTERS else ""
    return f"{where} is {found[:_SHOWN_CHARACTERS]}{more}, and should be {words}"


def whole_number(lowest: int, highest: int = MANY) -> Value:
    """Return a Value for whole numbers from `lowest` to `highest`; true, false and 1.0 are none."""
    words = f"a whole number from {lowest:,} {'on' if highest == MANY else f'to {highest:,}'}"
    return Value(words, lambda found: type(found) is int and lowest <= found <= highest)


def one_of(*values: str) -> Value:
    """Return a Value for one of some texts."""
    return Value(" or ".join(map(json.dumps, values)), lambda value: value in values)


def matching(pattern: str, words: str) -> Value:
    """Return a Value for text that a regular expression matches in full."""
    return Value(words, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def or_null(value: Value) -> Value:
    """Return a Value that also allows null."""
    return Value(f"{value.words}, or null", lambda found: found is None or value.holds(found))


def optional(value: Value) -> Value:
    """Return the Value for a field that may be missing."""
    return replace(value, is_optional=True)
