"""Lists of keys: the files that --keep and --drop name, which choose samples by their keys.

A file has a key a line. Its order does not matter, and empty lines are passed over. A key is that of the shards; where
--rename-keys has changed it, the new one serves too. What is not chosen is marked in `Rows.alive`, and keys that no
sample has are counted for people.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xxhash

from parallel_sharder.columns import Bools
from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.sources.shards.rows import Rows
from parallel_sharder.sources.small_files import refuse_utf16
from parallel_sharder.stores.regular import read_regular
from parallel_sharder.text import counted, first_few

_SHOWN = 5
_NUMBERED = re.compile(rb"(.+)=23[0-9]+", re.DOTALL)
"""A key that --on-duplicate rename has made (see twins.py)."""


class KeyList(NamedTuple):
    """The keys of one file, sorted, each once; `path` is "" for those of a finished set."""

    option: str
    path: str
    keys: tuple[bytes, ...]

    @property
    def identity(self) -> dict[str, int | str]:
        """What a manifest keeps of the list: the count of keys, and their digest."""
        return {"count": len(self.keys), "xxh3_128": xxhash.xxh3_128_hexdigest(b"\n".join(self.keys))}


def read_key_list(option: str, path: str) -> KeyList:
    """Return the keys in the file at `path`. Raises SourceError if it cannot be read, or has no key."""
    try:
        content = read_regular(path)
    except OSError as error:
        raise unreadable(path, error, f"Name another file with {option}.") from error
    refuse_utf16(content, path)
    if b"\0" in content:
        raise SourceError(f"{path} is no text in UTF-8, with a key a line. Convert it, and name it with {option}.")
    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    keys = {line.rstrip(b"\r") for line in lines} - {b""}
    if not keys:
        raise SourceError(f"{path} has no key. Write one a line, or leave {option} out.")
    return KeyList(option, path, tuple(sorted(keys)))


def known_list(keys: Sequence[bytes], *, are_renamed: bool) -> KeyList:
    """Return the keys of a finished set as a list of keys to keep.

    With `are_renamed`, a key may be that of a duplicate, whose key in the source is without the number.
    """
    of_duplicates = {match[1] for key in keys if (match := _NUMBERED.fullmatch(key))} if are_renamed else set()
    return KeyList("", "", tuple(sorted({*keys, *of_duplicates})))


def choose(rows: Rows, wanted: KeyList, *, keep: bool) -> list[str]:
    """Mark the rows that are not in the list, or with `keep` False those that are; return notices."""
    chosen, missing = _chosen(rows, wanted)
    rows.alive[rows.order] &= chosen if keep else ~chosen
    if not missing or not wanted.path:
        return []
    lack = counted(len(missing), "key that no sample has", "keys that no sample has")
    shown = first_few([key.decode("utf-8", "replace") for key in missing], _SHOWN)
    return [f"{wanted.path} ({wanted.option}) has {lack}: {shown}"]


def _chosen(rows: Rows, wanted: KeyList) -> tuple[Bools, list[bytes]]:
    """Return for each sorted key whether it is in the list, and the keys of the list that no row has."""
    found = rows.keys.rows_of(wanted.keys)
    chosen = np.zeros(len(rows.keys), np.bool_)
    chosen[found[found >= 0]] = True
    for repeat in rows.keys.repeats().tolist():
        chosen[repeat] = chosen[repeat - 1]
    missing = {key for key, there in zip(wanted.keys, found.tolist(), strict=True) if there < 0}
    if rows.old_keys:
        place_of = np.empty(len(rows), np.int64)
        place_of[rows.order] = np.arange(len(rows))
        listed = set(wanted.keys)
        known = {row: key for row, key in rows.old_keys.items() if key in listed}
        chosen[place_of[list(known)]] = True
        missing -= set(known.values())
    return chosen, sorted(missing)
