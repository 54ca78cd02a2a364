"""Command words: the command line that makes a set, from what its journal has of the options.

The entries of a fingerprint come in (see resume), and the words behind --root and --dest go out. A journal has the
digests of lists alone, and nothing of where the data set is: ROOT and FILE stand for these, and `unknown` says so to
people. It does not have what leaves the shards as they are either, such as --card.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parallel_sharder.journal.fingerprint import LISTS
from parallel_sharder.options import OTHER_FORMS, Options

ROOT, FILE = "ROOT", "FILE"
"""What stands for the data set's place, and for a list."""

_NAMED = ("image_field", "image", "label", "caption", "key", "where", "on_duplicate", "apart")
_DEFAULTS = {"on duplicate": "fail", "apart": "refuse"}


def words_of_choices(fingerprint: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that makes these choices."""
    words = [word for option in _selecting(fingerprint) for word in option]
    defaults = Options().choices
    for name in [each for each in defaults if each in fingerprint]:
        value = fingerprint[name]
        if value == defaults[name] or (name == "split" and value is None):  # a set without splits
            continue
        words += ["--no-shuffle"] if name == "seed" and value is None else [_option(name), str(value)]
    return words


def unknown(words: Sequence[str]) -> list[str]:
    """Return sentences on what stands in these words for something that the journal does not have."""
    lines = [f"where {ROOT} is the data set's folder, or what --root named"] if ROOT in words else []
    if FILE in words:
        lines.append(f"where {FILE} is the list that was named, of which the journal has the digest alone")
    if lines:
        lines.append("and with --index, --md5 and --card as they were given: the journal does not have them")
    return lines


def _selecting(fingerprint: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the options that select and read rows, which ImageNet's sets have not."""
    if fingerprint.get("form") not in OTHER_FORMS:
        return
    yield ["--layout", str(fingerprint["form"])]
    if table := fingerprint.get("table"):
        yield ["--table", os.path.join(ROOT, table)]
    if of_images := fingerprint.get("with"):
        yield ["--with", ",".join(of_images)]
    columns = fingerprint.get("columns")
    if columns is not None and not any("," in name for name in columns):  # such a name cannot be typed
        yield ["--columns", ",".join(columns)]
    for name in _NAMED:
        entry = name.replace("_", " ")
        value = fingerprint.get(entry)
        if value is not None and value != _DEFAULTS.get(entry):
            yield [_option(name), str(value)]
    if fingerprint.get("rename keys"):
        yield ["--rename-keys"]
    for name in LISTS:
        if fingerprint.get(name) is not None:
            yield [_option(name), FILE]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
