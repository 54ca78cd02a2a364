"""Matching: a worker finds the samples of one shard for which a condition of --where holds.

It reads the headers of each sample again, and of its members `cls` and `json` alone, and these only if the condition
compares what they have. The values are the top-level names of the JSON, and `cls`: a whole number if the member is one,
else its text. A member that cannot be read as such is a SourceError. Workers use this module.
"""

from __future__ import annotations

import itertools
import json
import operator
import os
from array import array
from typing import Any, NamedTuple

from parallel_sharder.errors import SourceError, unreadable
from parallel_sharder.sources.shards.where import Condition, label_in, names_in, type_in_words
from parallel_sharder.staging.through import plain_bytes
from parallel_sharder.tar.headers import members_within
from parallel_sharder.tar.member_header import Read, TarMember, refusal
from parallel_sharder.tar.names import key_and_field
from parallel_sharder.text import counted

LIMIT_BYTES = 64 << 20
"""The largest cls or JSON that is read: real ones have some kilobytes, and each is parsed in memory."""

NAMES_LIMIT = 100
"""How many names are kept for people, who misspell one: more are no help, and JSON can have any number."""

_MEND = "Mend it, or leave the sample out by --drop."


class Matching(NamedTuple):
    """Whether the condition holds for each sample of one shard, a byte a sample.

    `names` are those that the values of the samples have; of many, the first NAMES_LIMIT and what the condition names.
    `types` has each name that the condition has, with each type, in words, of its values.
    """

    images: bytes
    names: frozenset[str]
    types: frozenset[tuple[str, str]]


class Stretches(NamedTuple):
    """The stretches of samples in the shard at `path`: stretch i belongs to sample `sample[i]`, counted from 0.

    All columns are native: int32 samples, which do not decrease, and int64 offsets and sizes.
    """

    path: str
    sample: bytes
    offset: bytes
    size: bytes


def matching(stretches: Stretches, condition: Condition) -> Matching:
    """Return for which samples the condition holds. Raises SourceError if a sample cannot be read."""
    names = frozenset(names_in(condition))
    samples = array("i", stretches.sample)
    held = bytearray((samples[-1] + 1) if samples else 0)
    there: set[str] = set()
    types: set[tuple[str, str]] = set()
    try:
        with plain_bytes(stretches.path) as read:
            values = _Values(read, stretches.path, names)
            columns = zip(samples, array("q", stretches.offset), array("q", stretches.size), strict=True)
            for sample, of_sample in itertools.groupby(columns, operator.itemgetter(0)):
                for _, offset, size in of_sample:
                    values.look_in(offset, offset + size)
                its = values.taken()
                compared = names & its.keys()
                types.update((name, type_in_words(its[name])) for name in compared)
                there |= its.keys() if len(there) < NAMES_LIMIT else compared
                held[sample] = condition.holds(its)
    except OSError as error:
        raise unreadable(stretches.path, error) from error
    return Matching(bytes(held), frozenset(there), frozenset(types))


class _Values:
    """Collects the values of one sample after another, from the stretches that it is told."""

    def __init__(self, read: Read, path: str, names: frozenset[str]) -> None:
        self._read = read
        self._path = path
        self._wants_label = "cls" in names
        self._wants_json = bool(names - {"cls"})
        self._members: dict[str, TarMember] = {}

    def look_in(self, start: int, stop: int) -> None:
        """Note where the sample has its label and its JSON. Raises SourceError if the stretch is none."""
        for member in members_within(self._read, start, stop, self._path):
            parts = None if member.kind else key_and_field(member.name)
            field = "" if parts is None else parts[1].lower()  # readers compare fields so
            if field in ("cls", "json"):
                self._members[field] = member

    def taken(self) -> dict[str, Any]:
        """Return the values of the sample, and begin the next one."""
        label, fields = self._members.get("cls"), self._members.get("json")
        self._members = {}
        values: dict[str, Any] = {}
        if fields is not None and (self._wants_json or label is None):
            values = self._parsed(fields)
        if label is not None and self._wants_label:
            values["cls"] = self._label(label)
        return values

    def _label(self, member: TarMember) -> int | str:
        return label_in(self._content(member))

    def _parsed(self, member: TarMember) -> dict[str, Any]:
        try:
            content = json.loads(self._content(member))
        except (ValueError, RecursionError) as error:
            raise refusal(self._path, member.offset, f"{member.name} is no JSON: {error}", _MEND) from error
        return content if isinstance(content, dict) else {}

    def _content(self, member: TarMember) -> bytes:
        if member.size > LIMIT_BYTES:
            words = f"{member.name} has {counted(member.size, 'byte')}; --where reads up to {LIMIT_BYTES:,}"
            raise refusal(self._path, member.offset, words, _MEND)
        content = self._read(member.data, member.size)
        if len(content) < member.size:
            raise SourceError(f"{os.path.abspath(self._path)} has become shorter while it was read. Copy it again.")
        return content
