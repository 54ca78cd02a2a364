"""The fingerprint: what a set is made from and with, by names for people; and the difference of two, in words.

A run continues the set of an earlier run only if their fingerprints agree in every entry. This module only compares:
`resume` chooses the entries, and `journal.journal` keeps them.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

import msgpack
import xxhash

from parallel_sharder.errors import DestinationError

FORMAT = 5
"""The format of the journal and of its promises about the shards, such as which files are stored. It is an entry of the
fingerprint."""

_DIGESTS = {
    "digest of names, sizes and classes": "names or sizes of files, or classes,",
    "rows": "the rows of the table",
}
"""The entries that are digests, and what differs where they do."""

LISTS = ("meta", "keep", "drop")
"""The entries that are digests of lists that the user has named."""

_TIMES_OF_MANY = re.compile("times of [0-9,]+ archives")

Fingerprint = Mapping[str, Any]
"""What a set is made from and with, by name."""


def fingerprint_digest(fingerprint: Fingerprint) -> bytes:
    """Return the digest of a fingerprint, which stands for it in the records; b"" for a value that cannot be packed."""
    try:
        return xxhash.xxh3_128_digest(msgpack.packb(sorted(fingerprint.items(), key=lambda item: str(item[0]))))
    except (TypeError, ValueError):  # nested too deeply, say
        return b""


def refuse_other(path: str, before: Fingerprint, now: Fingerprint, archives: Mapping[str, str]) -> None:
    """Raise DestinationError, with what changed, if the journal at `path` is of another set.

    `archives` has the paths of the source's archives, by the names of the entries that have their modification times.
    """
    formats = [each if isinstance(each, int) else 0 for each in (before.get("format"), now.get("format"))]
    if formats[0] != formats[1]:
        which = "an earlier" if formats[0] < formats[1] else "a later"
        raise DestinationError(
            f"the shards there were begun by {which} version of parallel_sharder (format {formats[0]} in {path}, and "
            f"this version's is {formats[1]}), and what it stores can differ. Go on with that version, choose another "
            "--dest, or remove what it has made and start anew with --overwrite."
        )
    if changes := _changes(before, now):
        raise DestinationError(
            "the shards there were made from other files, or with other options:",
            *(f"  {_line(name, was, is_now)}" for name, (was, is_now) in changes.items()),
            *_lost_times(changes, archives),
            f"({path} has the record.) Type the options, and restore the files, that the shards there were begun with "
            f"(parallel-sharder status {shlex.quote(os.path.dirname(path) or os.curdir)} shows the command); choose "
            "another --dest; or remove what that run has made and start anew with --overwrite.",
        )


def _line(name: str, was: Any, is_now: Any) -> str:
    """Return how an entry has changed, in words; of a digest only what it is of, because its value says no more."""
    if name in _DIGESTS:
        return f"{_DIGESTS[name]} differ"
    if name in LISTS:
        its = ["none" if each is None else "a list" for each in (was, is_now)]
        return f"--{name}: {its[0]}, now {'another' if was and is_now else its[1]}"
    if _TIMES_OF_MANY.fullmatch(name):
        count = name.removeprefix("times of ")
        return f"{count}, or their times, differ" if was and is_now else f"{'then' if was else 'now'} {count}"
    return f"{name}: {_in_words(name, was)}, now {_in_words(name, is_now)}"


def _in_words(name: str, value: Any) -> str:
    """Return the value of an entry in words. None means "none", or for an archive's time that it was not used."""
    return str(value) if value is not None else "not used" if name.startswith("time of ") else "none"


def _lost_times(changes: Mapping[str, tuple[Any, Any]], archives: Mapping[str, str]) -> list[str]:
    """Return the remedy if only modification times of archives changed, which copying loses; else no lines."""
    if not all(name in archives and was for name, (was, _) in changes.items()):
        return []
    one = len(changes) == 1
    return [
        f"If {'this is the same archive' if one else 'these are the same archives'}, copied without "
        f"{'its time' if one else 'their times'} (cp -p keeps {'it' if one else 'them'}), run",
        *(f"  touch -d {was} {shlex.quote(archives[name])}" for name, (was, _) in changes.items()),
        "and then the same command again, which continues.",
    ]


def _changes(before: Fingerprint, now: Fingerprint) -> dict[str, tuple[Any, Any]]:
    """Return the value before and the value now of each entry that differs, by name."""
    names = dict.fromkeys((*before, *now))
    return {name: (before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)}
