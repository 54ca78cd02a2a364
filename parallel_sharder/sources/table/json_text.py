"""JSON text of single values, as json.dumps writes them: what stands behind the colon in a sample's JSON.

Values of Python go in, and ASCII text comes out. What JSON has no number for is told: NaN becomes null, and an infinite
number raises ValueError. This runs once for each cell of a table, so columns are converted as a whole.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii as quoted

__all__ = ["INFINITE", "NULL", "any_column", "any_text", "decimal_column", "number_column", "quoted", "text_column"]

NULL = "null"

_OF_BOOL = {True: "true", False: "false", None: NULL}

INFINITE = "it holds an infinite number, which JSON cannot hold"


def text_column(cells: Sequence[str | None]) -> list[str]:
    """Return the JSON text of each text; None is null."""
    if None in cells:
        return [NULL if cell is None else quoted(cell) for cell in cells]
    return [*map(quoted, cells)]  # type: ignore[arg-type]


def number_column(cells: Sequence[int | None]) -> list[str]:
    """Return the JSON text of each whole number; None is null."""
    return [NULL if cell is None else str(cell) for cell in cells]


def decimal_column(cells: Sequence[float | None]) -> list[str]:
    """Return the JSON text of each number; None and NaN are null. Raises ValueError for an infinite number."""
    texts = [NULL if cell is None else repr(cell) for cell in cells]
    found = {*texts}
    if "inf" in found or "-inf" in found:
        raise ValueError(INFINITE)
    return [NULL if text == "nan" else text for text in texts] if "nan" in found else texts


def any_column(cells: Sequence[object]) -> list[str]:
    """Return the JSON text of each value, of any types. Raises ValueError if JSON cannot hold one of them."""
    types = {*map(type, cells)} - {type(None)}
    if types == {str}:
        return text_column(cells)  # type: ignore[arg-type]
    if types == {int}:
        return number_column(cells)  # type: ignore[arg-type]
    if types == {bool}:
        return [_OF_BOOL[cell] for cell in cells]  # type: ignore[index]
    if types and types <= {int, float}:
        return decimal_column(cells)  # type: ignore[arg-type]
    return [*map(any_text, cells)]


def any_text(value: object) -> str:
    """Return the JSON text of a value, in which NaN is null. Raises ValueError if JSON cannot hold it."""
    if value.__class__ is str:
        return quoted(value)
    try:
        return json.dumps(value, allow_nan=False, default=_other)
    except ValueError:
        return json.dumps(_without_nan(value), default=_other)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _without_nan(value: object) -> object:
    """Return the value with null in place of each NaN. Raises ValueError for an infinite number."""
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(INFINITE)
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [*map(_without_nan, value)]
    return value


def _other(value: object) -> str:
    """Return dates and times by ISO 8601, and decimals by their digits."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise ValueError(f"it holds a {value.__class__.__name__}, which JSON cannot hold")
