"""The values of options: how they are read, and what is said of those that are not valid.

A check returns a complaint, "" if there is none, so that a caller can collect them all and `refuse` once. Messages name
options as they are typed. This module knows no single option, and looks at no disk.
"""

from __future__ import annotations

import numbers
import operator
import os
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from parallel_sharder.errors import OptionsError

_SIZE = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?(?:e\+?[0-9]{1,2})?)\s*([kmgt]?)(i?)b?", re.IGNORECASE | re.ASCII)

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes that `1e9`, `500MB` (powers of 1,000) or `1GiB` (powers of 1,024) means.

    Raises ValueError for other text.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r} is not a size; write bytes like 1000000000, 1e9, 500MB or 1GiB")
    number, unit, binary = match.groups()
    exponent = " kmgt".index(unit.lower() or " ")
    return int(Decimal(number) * (1024 if binary else 1000) ** exponent)


def expand(options: Any, *fields: str, several: Sequence[str] = (), **names: str) -> list[str]:
    """Replace a "~" that begins one of these paths by the home folder, and return complaints about what is no path.

    The fields `several` come first, and hold one path or a list of paths, of which none is empty. `names` has what
    complaints call a field that does not have the name of its option.
    """
    complaints = []
    for field in (*several, *fields):
        name, value = names.get(field, f"--{field.replace('_', '-')}"), getattr(options, field)
        if value is None and field != "dest":
            continue
        is_list = field in several and isinstance(value, Sequence) and not isinstance(value, str | bytes)
        paths = [*map(_expanded, value if is_list else [value])]
        complaints += [_not_a_path(name, path) for path in paths] or [f"{name} names no folder"]
        object.__setattr__(options, field, paths[0] if len(paths) == 1 else tuple(paths))
    return complaints


def _expanded(path: Any) -> Any:
    """Return the path with a "~" that begins it replaced; what is no path unchanged."""
    if is_path(path) and os.fspath(path).startswith("~"):
        return os.path.expanduser(path)
    return os.fspath(path) if is_path(path) and not isinstance(path, str | Path) else path


def _not_a_path(name: str, path: Any) -> str:
    """Return the complaint about what is no path or an empty one; else ""."""
    if not is_path(path):
        return f"{name} {path!r} is not a path"
    return "" if os.fspath(path) else f"{name} is empty; name a path (this folder is .)"


def urls_in(options: Any, *fields: str) -> list[str]:
    """Return complaints about the URLs in these fields, which hold a path, or several."""
    values = [(field, getattr(options, field)) for field in fields]
    paths = [(field, path) for field, value in values for path in (value if isinstance(value, tuple) else [value])]
    return [
        f"--{field.replace('_', '-')} {path} is a URL, and this tool downloads nothing; name a path of this machine"
        for field, path in paths
        if isinstance(path, str) and _URL.match(path)
    ]


def make_whole(options: Any, *fields: str) -> None:
    """Replace whole numbers of any type in these fields by ints."""
    for field in fields:
        object.__setattr__(options, field, whole(getattr(options, field)))


def not_flags(options: Any, *fields: str) -> list[str]:
    """Replace numpy's truth values in these fields by Python's, and return complaints about other values.

    The complaints name the fields, not options: the command line gives only truth values.
    """
    complaints = []
    for field in fields:
        value = getattr(options, field)
        if type(value).__name__ in ("bool", "bool_"):
            object.__setattr__(options, field, bool(value))
        else:
            complaints.append(f"{field} {value!r} is neither True nor False")
    return complaints


def is_path(value: Any) -> bool:
    """Return whether the value is text or a path-like object, and valid as a path on this system."""
    try:
        return isinstance(os.fspath(value), str) and b"\0" not in os.fsencode(value)
    except (TypeError, UnicodeEncodeError):
        return False


def refuse(complaints: Sequence[str]) -> None:
    """Raise OptionsError with the complaints that are not empty, if there are any."""
    if any(complaints):
        raise OptionsError([*filter(None, complaints)])


def whole_size(value: Any) -> Any:
    """Return the bytes that a number such as 1e9, or a text for parse_size, means; values of other types unchanged.

    Raises ValueError for other text.
    """
    if value is None or isinstance(value, str):
        return parse_size(str(value))
    is_fraction = isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral)
    return int(value) if is_fraction and float(value).is_integer() else whole(value)


def whole(value: Any) -> Any:
    """Return a whole number of any type, numpy's included, as an int; other values unchanged."""
    try:
        return value if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return value


def not_among(option: str, value: str | None, allowed: tuple[str | None, ...]) -> str:
    """Return the complaint about a value that is not allowed; else ""."""
    if value in allowed:
        return ""
    return f"{option} {value!r} is not one of {', '.join(filter(None, allowed))}"


def split_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once; text is split at its commas."""
    given = [*filter(None, names.split(","))] if isinstance(names, str) else names
    if not isinstance(given, Sequence):
        return (given,)
    return tuple(name for place, name in enumerate(given) if name not in given[:place])


def outside(option: str, value: float | None, lowest: int, highest: int | None) -> str:
    """Return the complaint about a value that is no whole number from `lowest` to `highest`; else "", also for None."""
    if value is None:
        return ""
    if not isinstance(value, int) or isinstance(value, bool):
        return f"{option} {value!r} is not a whole number"
    if value >= lowest and (highest is None or value <= highest):
        return ""
    return (
        f"{option} {value} is outside {lowest:,} to {highest:,}" if highest else f"{option} {value} is below {lowest:,}"
    )
